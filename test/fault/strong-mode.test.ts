/** What befalls the etcd cluster of strong mode, and what a member's registry makes of it (protocols/strong-mode.md). */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isNodeError } from '../../src/base/errors.ts'
import { clusterWriteTimeoutMs, MINUTE_MS } from '../../src/base/limits.ts'
import { eventually } from '../support/eventually.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'
import { type StrongNode, startStrongFederation, startStrongNode } from '../support/strong-node.ts'
import { Wire } from '../support/strong-wire.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const json = (value: unknown) => bytes(JSON.stringify(value))
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString()

/** Attempts end in time; beyond this somebody waits for what does not come. */
const REFUSED_WITHIN_MS = 2 * clusterWriteTimeoutMs + 2_000

async function federation(t: TestContext, endpoints: readonly string[]) {
  const [alice, bob, carol] = await startStrongFederation(t, ['bob', 'carol'], { address: { endpoints } })
  assert(alice && bob && carol)
  return { alice, bob, carol }
}

const connected = (...nodes: readonly StrongNode[]) =>
  eventually(
    () => nodes.every(({ cluster }) => cluster.state().connected),
    'a node did not come back',
    30_000,
  )

async function refused(write: Promise<unknown>): Promise<void> {
  const late = sleep(REFUSED_WITHIN_MS, 'no answer', { ref: false })
  const answer = await Promise.race([
    write.then(
      () => 'written',
      (error: unknown) => error,
    ),
    late,
  ])
  assert(isNodeError(answer, 'REGISTRY_UNREACHABLE'), String(answer))
}

const agreed = (...nodes: readonly StrongNode[]) =>
  eventually(
    () => new Set(nodes.map(({ registry }) => registry.digest())).size === 1,
    'the members never agreed',
    30_000,
  )

test('of two members that claim a name at one instant exactly one wins it, fifty times', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 3 })
  const { alice, bob, carol } = await federation(t, etcd.endpoints)
  const winners: string[] = []
  for (let n = 0; n < 50; n += 1) {
    const key = `/tools/name-${n}`
    const claim = ({ registry, identity }: StrongNode) =>
      registry.put(key, bytes(identity.peerId), { shown: true }).then(
        () => [identity.peerId],
        (error: unknown) => {
          assert(isNodeError(error, 'CONFLICT'), String(error))
          return []
        },
      )
    const won = (await Promise.all([claim(bob), claim(carol)])).flat()
    assert.equal(won.length, 1, `${key} was won by ${won.length}`)
    winners.push(...won)
  }
  await agreed(alice, bob, carol)
  for (const [n, winner] of winners.entries()) {
    for (const { registry } of [alice, bob, carol]) {
      const shown = registry.get(`/tools/name-${n}`)
      assert.deepEqual([shown?.author, shown?.contested], [winner, false])
    }
  }
})

test('a clock that is behind takes no name that is taken', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const { alice, bob, carol } = await federation(t, etcd.endpoints)
  await bob.stop()
  const { genesis, directory } = bob
  const clock = { now: () => Date.now() - 5 * MINUTE_MS }
  const late = await startStrongNode(t, { genesis, directory, clock, address: { endpoints: etcd.endpoints } })
  await carol.registry.put('/tools/mine', bytes('1'), { shown: true })
  await late.cluster.catchUp()
  await assert.rejects(late.registry.put('/tools/mine', bytes('2'), { shown: true }), { code: 'CONFLICT' })
  assert.equal(alice.registry.get('/tools/mine')?.author, carol.identity.peerId)
})

test('two members that count in one key lose no step, though each steps on the word of the other', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const { alice, bob, carol } = await federation(t, etcd.endpoints)
  // Of keys that operators write, the record that orders last is shown; so each reads what the other has counted.
  await alice.registry.put(`/members/${bob.identity.peerId}`, json({ name: 'bob', role: 'operator' }))
  const key = `/members/${carol.identity.peerId}`
  await alice.registry.put(key, json({ name: 'n0', role: 'member' }))
  await eventually(() => text(bob.registry.get(key)?.value)?.includes('n0') === true, 'bob never heard of it')
  const count = (value: Uint8Array | undefined) => Number(/n(\d+)/.exec(text(value) ?? '')?.[1])
  const step = ({ registry }: StrongNode) =>
    registry.keyValues.transact(async (tx) => {
      await tx.put(key, json({ name: `n${count(tx.get(key)?.value) + 1}`, role: 'member' }), 0n)
    })
  for (let n = 0; n < 25; n += 1) await Promise.all([step(alice), step(bob)])
  await agreed(alice, bob, carol)
  assert.equal(count(carol.registry.get(key)?.value), 50)
})

test('the answer to a write is lost: it is written once, and its writer learns of it', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const wire = await Wire.to(t, etcd.port(0))
  const address = { endpoints: [`http://127.0.0.1:${wire.port}`] }
  const alice = await startStrongNode(t, { address })
  await alice.cluster.catchUp()
  await alice.registry.put('/tools/x', bytes('1'))

  wire.cut('answers')
  const writing = alice.registry.put('/tools/x', bytes('2'))
  // The cluster has it while nobody has told alice.
  await eventually(
    async () => (await etcd.ctl('get', '--prefix', '--keys-only', '/mao/')).includes('/tools/x '),
    'not there',
  )
  await sleep(500)
  assert.equal(text(alice.registry.get('/tools/x')?.value), '1')
  wire.mend()
  const entry = await writing
  assert.deepEqual([text(entry.value), entry.version], ['2', 2], 'it was written twice')
  await connected(alice)
  await alice.registry.put('/tools/x', bytes('3'))
  assert.equal(alice.registry.get('/tools/x')?.version, 3)
})

test('the history was compacted while a node was cut off: it reads everything anew', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const wire = await Wire.to(t, etcd.port(0))
  const alice = await startStrongNode(t, { address: { endpoints: etcd.endpoints } })
  const address = { endpoints: [`http://127.0.0.1:${wire.port}`] }
  const bob = await startStrongNode(t, { address, genesis: alice.genesis })
  await alice.members.admit(bob.identity.peerId, 'bob', 'member')
  await bob.cluster.catchUp()
  await bob.registry.put('/tools/gone', bytes('1'))
  await agreed(alice, bob)
  wire.cut('both')
  await alice.registry.delete('/tools/gone')
  for (let n = 0; n < 1_200; n += 1) void alice.registry.put(`/tools/t${n}`, bytes('x'))
  await alice.registry.put('/tools/last', bytes('x'))
  await alice.cluster.catchUp()
  assert(alice.cluster.state().revision > bob.cluster.state().revision + 10)
  await etcd.ctl('compact', String(alice.cluster.state().revision))
  wire.mend()
  await connected(bob)
  await agreed(alice, bob)
  assert.deepEqual([bob.registry.list('/tools/').length, bob.registry.get('/tools/gone')], [1_201, undefined])
  await bob.registry.put('/tools/after', bytes('x'))
})

test('a cluster that was set up anew gets back what its members know, and they do not miss what it learns', async (t) => {
  const first = await StrongEtcd.start(t, { members: 1 })
  const second = await StrongEtcd.start(t, { members: 1 })
  const wire = await Wire.to(t, first.port(0))
  const address = { endpoints: [`http://127.0.0.1:${wire.port}`] }
  const [alice, bob] = await startStrongFederation(t, ['bob'], { address })
  assert(alice && bob)
  for (let n = 0; n < 5; n += 1) await bob.registry.put(`/tools/t${n}`, bytes('x'))
  await agreed(alice, bob)
  // The new one has come as far as the old one was, with other things.
  for (let n = 0; n < 40; n += 1) await second.ctl('put', '/other/application', String(n))
  wire.turnTo(second.port(0))
  await connected(alice, bob)
  const kept = async () =>
    (await second.ctl('get', '--prefix', '--keys-only', '/mao/')).match(/\/tools\//g)?.length
  await eventually(async () => (await kept()) === 5, 'the cluster did not get its records back', 30_000)
  await connected(alice, bob)
  await bob.registry.put('/tools/new', bytes('x'))
  await eventually(
    () => alice.registry.get('/tools/new') !== undefined,
    'alice watches a history that is over',
  )
  await first.killAll()
})

/** Each has a cluster of its own and does nothing but wait for most of its time; so they wait at once. */
suite('waits that run out', { concurrency: true }, () => {
  test('all of etcd away: what is known is read, writes are refused in time, and all goes on when it is back', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 3 })
    const { alice, bob, carol } = await federation(t, etcd.endpoints)
    await bob.registry.put('/tools/before', bytes('1'))
    await agreed(alice, bob, carol)

    await etcd.killAll()
    await refused(bob.registry.put('/tools/during', bytes('2')))
    assert.equal(bob.registry.get('/tools/during'), undefined)
    assert.equal(text(carol.registry.get('/tools/before')?.value), '1')
    assert.equal(carol.registry.list('/tools/').length, 1)
    const { connected: is, lastError, endpoints } = bob.cluster.state()
    assert.deepEqual([is, endpoints.length], [false, 3])
    assert.notEqual(lastError, undefined)
    // A restart finds what was stored here, cluster or not.
    const { genesis, directory } = carol
    await carol.stop()
    const again = await startStrongNode(t, { genesis, directory, address: { endpoints: etcd.endpoints } })
    assert.equal(text(again.registry.get('/tools/before')?.value), '1')

    await etcd.startAll()
    await connected(alice, bob, again)
    await bob.registry.put('/tools/after', bytes('3'))
    await again.registry.put('/pipelines/after', bytes('{}'))
    await agreed(alice, bob, again)
    assert.equal(text(alice.registry.get('/tools/after')?.value), '3')
  })

  test('two of three away: no quorum, no write; with the second back it goes on', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 3 })
    const { alice, bob, carol } = await federation(t, etcd.endpoints)
    await Promise.all([etcd.kill(1), etcd.kill(2)])
    await Promise.all([
      refused(alice.registry.put('/tools/a', bytes('1'))),
      refused(bob.registry.put('/tools/b', bytes('1'))),
    ])
    assert.equal(bob.registry.get('/tools/b'), undefined)
    assert.equal(bob.members.list().length, 3, 'what was known is not read any more')
    // The one member that is left has lost its leader, and nobody believes in it any more.
    await eventually(
      () => [alice, bob, carol].every(({ cluster }) => !cluster.state().connected),
      'a node still follows a member without a leader',
    )
    // Refused at once now, so that nothing piles up.
    const begun = performance.now()
    await refused(carol.registry.put('/tools/c', bytes('1')))
    assert(performance.now() - begun < REFUSED_WITHIN_MS)

    await etcd.restart(1)
    await connected(alice, bob, carol)
    await bob.registry.put('/tools/b', bytes('2'))
    await agreed(alice, bob, carol)
    assert.equal(text(carol.registry.get('/tools/b')?.value), '2')
  })

  test('the network is cut in the middle of writes for longer than they wait: none is lost, none is half there', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const wire = await Wire.to(t, etcd.port(0))
    const { alice, bob } = await (async () => {
      const [founder, member] = await startStrongFederation(t, ['bob'], {
        address: { endpoints: etcd.endpoints },
      })
      assert(founder && member)
      await member.stop()
      const { genesis, directory } = member
      const address = { endpoints: [`http://127.0.0.1:${wire.port}`] }
      return { alice: founder, bob: await startStrongNode(t, { genesis, directory, address }) }
    })()
    await bob.cluster.catchUp()
    const writes = Array.from({ length: 40 }, async (_, n) => {
      await sleep(10 * n)
      return bob.registry.put(`/tools/t${n}`, bytes(`${n}`)).then(
        () => true,
        (error: unknown) => {
          assert(
            isNodeError(error, 'REGISTRY_UNREACHABLE') || isNodeError(error, 'REGISTRY_MOVED'),
            String(error),
          )
          return false
        },
      )
    })
    await sleep(200)
    wire.cut('both')
    // Others go on writing meanwhile.
    await alice.registry.put('/tools/other', bytes('of alice'))
    const written = await Promise.all(writes)
    assert(
      written.includes(true) && written.includes(false),
      `the cut came too early or too late: ${written}`,
    )
    assert.equal(bob.registry.get('/tools/other'), undefined)
    wire.mend()
    await connected(bob)
    await agreed(alice, bob)
    for (const [n, was] of written.entries()) {
      if (was) assert.equal(text(alice.registry.get(`/tools/t${n}`)?.value), `${n}`, `t${n} is lost`)
    }
    for (let n = 0; n < 40; n += 1) await bob.registry.put(`/tools/t${n}`, bytes(`again ${n}`))
    await agreed(alice, bob)
    assert.equal(alice.registry.list('/tools/').length, 41)
  })

  test('a node starts without its cluster, and writes as soon as there is one', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const address = { endpoints: etcd.endpoints }
    await etcd.killAll()
    const alice = await startStrongNode(t, { address })
    assert.equal(alice.registry.list('/').length, 0)
    await refused(alice.registry.put('/tools/x', bytes('1')))
    await assert.rejects(
      alice.registry.keyValues.transact(async (tx) => tx.put('/tools/x', bytes('1'), 0n)),
      { code: 'REGISTRY_UNREACHABLE' },
    )
    // What is this node's alone hangs on no cluster.
    await alice.registry.keyValues.transact(async (tx) => tx.put('/local/x', bytes('1'), 0n))
    const caughtUp = alice.cluster.catchUp()
    await etcd.restart(0)
    await caughtUp
    await alice.registry.put('/tools/x', bytes('2'))
    assert.equal(text(alice.registry.get('/tools/x')?.value), '2')
  })
})
