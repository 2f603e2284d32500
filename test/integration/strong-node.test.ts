import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Etcd3 } from 'etcd3'
import type { ConfigInput } from '../../src/config.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/free-port.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('two whole nodes with an etcd cluster between them: joined, in step, and a comparison holds for both', async (t) => {
  const cluster = await StrongEtcd.start(t, { members: 1 })
  const ports = await freePorts(3)
  const settings = (index: number): ConfigInput => ({
    registry: `etcd://${cluster.endpoints.map((endpoint) => endpoint.replace(/^\w+:\/\//, '')).join(',')}`,
    etcd: { serve: 'always', port: ports[index] as number },
  })
  const alice = await startTestNode(t, 'alice', { config: settings(0) })
  const bob = await startTestNode(t, 'bob', { config: settings(1) })
  await alice.createFederation({ name: 'lab' })
  const { token } = await alice.invite()
  await bob.join(token)
  assert.equal(bob.federation.members.self().name, 'bob')
  assert.equal(bob.federation.sync, undefined)
  assert.equal(bob.federation.cluster?.state().connected, true)

  await alice.federation.registry.put('/tools/x', bytes('of alice'))
  await eventually(
    () => bob.federation.registry.get('/tools/x') !== undefined,
    'the cluster never brought the tool to bob',
  )
  await assert.rejects(bob.federation.registry.put('/tools/x', bytes('mine'), { shown: true }), {
    code: 'CONFLICT',
  })

  // Both want the same names at once, and compare before they take them: each name has one taker.
  const clients = ports.slice(0, 2).map((port) => new Etcd3({ hosts: `127.0.0.1:${port}` }))
  t.after(() => {
    for (const client of clients) client.close()
  })
  const take = async (client: Etcd3, key: string) => {
    const taken = await client.if(key, 'Create', '==', 0).then(client.put(key).value('mine')).commit()
    return taken.succeeded
  }
  for (let name = 0; name < 10; name += 1) {
    const key = `/shared/name-${name}`
    const taken = await Promise.all(clients.map((client) => take(client, key)))
    assert.equal(taken.filter(Boolean).length, 1, `${key} was taken by ${taken}`)
  }

  // Who is removed writes nothing more, through the cluster neither; what it wrote before is there for newcomers.
  await bob.federation.registry.put('/tools/of-bob', bytes('of bob'))
  await eventually(() => alice.federation.registry.get('/tools/of-bob') !== undefined, 'the tool of bob')
  await alice.federation.members.remove(bob.peerId, 'done')
  await eventually(() => bob.federation.members.wasRemoved(bob.peerId), 'bob never heard of it')
  await assert.rejects(bob.federation.registry.put('/tools/late', bytes('late')))
  const carol = await startTestNode(t, 'carol', { config: settings(2) })
  await carol.join((await alice.invite()).token)
  assert.equal(carol.federation.members.former(bob.peerId)?.reason, 'done')
  assert.equal(carol.federation.registry.get('/tools/of-bob')?.author, bob.peerId)
  for (const { federation } of [alice, carol]) assert.equal(federation.registry.get('/tools/late'), undefined)
})
