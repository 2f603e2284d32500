import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { Frames } from '../../src/network/frames.ts'
import { SYNC_PROTOCOL } from '../../src/registry/sync.ts'
import { encodeQuestion } from '../../src/registry/sync-messages.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'

/** Every protocol of direct streams, and who may speak it. A new one has to be put here, and is tried below. */
const PROTOCOLS: Readonly<Record<string, 'members' | 'anybody'>> = {
  '/mao/sync/2.0.0': 'members',
  '/mao/git/1.0.0': 'members',
  '/mao/run/1.0.0': 'members',
  // Whoever wants to come in asks here, with an invitation or without; each answer has its own rules (join.md).
  '/mao/join/1.0.0': 'anybody',
  '/mao/join/1.1.0': 'anybody',
  // The routing table that all nodes of the world share; it holds nothing of a federation but who provides its id.
  '/mao/kad/1.0.0': 'anybody',
}

const source = join(import.meta.dirname, '../../src')

test('every protocol is known to the table of who may speak it', async () => {
  const found = new Set<string>()
  for (const file of await readdir(source, { recursive: true })) {
    if (!file.endsWith('.ts')) continue
    const text = await readFile(join(source, file), 'utf8')
    for (const [, protocol = ''] of text.matchAll(/['"`](\/mao\/[a-z-]+\/\d+\.\d+\.\d+)['"`]/g))
      found.add(protocol)
  }
  assert.deepEqual([...found].sort(), Object.keys(PROTOCOLS).sort())
})

test('a member that is removed is cut off within a second, and refused on every protocol of members', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  const { federation } = await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  const { peerId, config } = bob
  await bob.stop()
  // From here on bob keeps no rules, and has its key still.
  const network = await startLoopbackNetwork(t, { identity: await loadIdentity(config.dataDirectory) })
  await network.dial(alice.addresses())
  const stream = await network.open(alice.peerId, SYNC_PROTOCOL)
  const frames = new Frames(stream)
  const everything = { from: '', to: null, digest: ''.padEnd(64, '0') }
  const ask = () => frames.write(encodeQuestion(federation, { kind: 'compare', ranges: [everything] }))
  await ask()
  assert.ok(await frames.read(), 'a member is answered')

  await alice.federation.members.remove(peerId, 'it lied')
  const begun = performance.now()
  await assert.rejects(frames.read(), { code: 'STREAM_CLOSED' })
  assert.ok(performance.now() - begun < 1_000, 'the open stream was not cut at once')

  for (const [protocol, speakers] of Object.entries(PROTOCOLS)) {
    if (speakers !== 'members') continue
    const answer = async () => {
      // It may not even be let in; where it is, nothing is said to it.
      await network.dial(alice.addresses())
      const again = await network.open(alice.peerId, protocol)
      await again.write(new TextEncoder().encode('{}\n'))
      const said = await again.read()
      return said === undefined ? Promise.reject(new Error('ended')) : said
    }
    await assert.rejects(answer(), `${protocol} answers a former member`)
  }
  await eventually(() => !alice.connectedPeers().includes(peerId), 'its connection stays')
})

test('where the door is open all the same, no stream is: whatever is served to members is served to nobody else', async (t) => {
  const [alice, bob, carol] = (await startFederation(t, ['bob', 'carol'])) as [
    RegistryNode,
    RegistryNode,
    RegistryNode,
  ]
  const heard: string[] = []
  await alice.admission.streams(alice.network).handle('/mao/test/1.0.0', async (stream) => {
    heard.push(stream.peer)
    await stream.write(new Uint8Array([1]))
    await stream.read()
    await stream.closeWrite()
  })
  const open = (node: RegistryNode) => node.network.open(alice.identity.peerId, '/mao/test/1.0.0')
  const [ofBob, ofCarol] = [await open(bob), await open(carol)]
  for (const stream of [ofBob, ofCarol]) assert.ok(await stream.read())
  await alice.members.remove(bob.identity.peerId)
  await assert.rejects(ofBob.read(), { code: 'STREAM_CLOSED' })
  const served = heard.length
  const again = await open(bob)
  await assert.rejects(again.read(), { code: 'STREAM_CLOSED' })
  assert.equal(heard.length, served)
  await ofCarol.closeWrite()
  assert.equal(await ofCarol.read(), undefined, 'another member is cut as well')
})
