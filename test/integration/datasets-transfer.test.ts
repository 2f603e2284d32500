import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { FLUSH, packet } from '../../src/datasets/git/pkt-line.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  noise,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string | Buffer>) {
  const directory = await directoryOf(t, files)
  const knows = () => node.datasets.list().some(({ name }) => name === 'data')
  await eventually(knows, 'the dataset was never heard of')
  const made = { dataset: 'data', step: 'collect', directory, message: 'collect\n' }
  return (await node.datasets.commitDirectory(made)).commit
}

async function holds(node: DatasetNode, branch: string, oid: string): Promise<boolean> {
  if (!node.datasets.list().some(({ name }) => name === 'data')) return false
  return (await (await node.datasets.repository('data')).resolve(branch)) === oid
}

async function assertClean(node: DatasetNode): Promise<void> {
  const { path } = await node.datasets.repository('data')
  const { stdout } = await run('git', ['-C', path, 'fsck', '--full', '--strict', '--no-dangling'])
  assert.equal(stdout, '')
  assert.deepEqual(await readdir(join(node.directory, 'datasets/.quarantine')).catch(() => []), [])
}

/** Every content of a commit, in the order of the paths. */
async function hashOf(node: DatasetNode, oid: string): Promise<string> {
  const repository = await node.datasets.repository('data')
  const hash = createHash('sha256')
  for (const file of await repository.listFiles(oid)) {
    const { content } = await repository.openBlob(file.oid)
    for await (const chunk of content) hash.update(chunk)
  }
  return hash.digest('hex')
}

const say = (stream: ByteStream, ...parts: readonly (string | Uint8Array)[]) =>
  stream.write(Buffer.concat(parts.map((part) => Buffer.from(part as string))))

const BEHAVIOURS: Readonly<Record<string, (stream: ByteStream) => Promise<void>>> = {
  'has no place free': async (stream) => {
    await stream.read()
    await say(stream, '{"error":{"code":"QUEUE_FULL","message":"later"}}\n')
    await stream.closeWrite()
  },
  'sends garbage': async (stream) => {
    await stream.read()
    await say(stream, noise(200_000))
  },
  'sends garbage for a pack': async (stream) => {
    await stream.read()
    const greeting = [packet('version 2\n'), packet('fetch\n'), FLUSH]
    await say(stream, '{"dialect":"upload-pack"}\n', ...greeting)
    await stream.read()
    await say(stream, packet('packfile\n'), packet(Buffer.concat([Buffer.of(1), noise(60_000)])), FLUSH)
    await stream.closeWrite()
  },
  'ends in the middle': async (stream) => {
    await stream.read()
    const greeting = [packet('version 2\n'), packet('fetch\n'), FLUSH]
    await say(stream, '{"dialect":"upload-pack"}\n', ...greeting)
    await stream.read()
    await say(stream, packet('packfile\n'), packet('\x01PACK\0\0\0\x02\0\0\0\x03'))
    await stream.closeWrite()
  },
}

test('an author who gives nothing of use does not keep its work from coming from another member', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const mallory = await joinDatasetNode(t, alice, 'mallory')
  const bob = await joinDatasetNode(t, alice, 'bob')
  const made = await commit(t, mallory, { big: noise(400_000), small: 'x' })
  await eventually(() => holds(bob, 'collect-mallory', made), 'bob never had it')
  // Whoever comes now finds bob alone with the commit, and its author with answers of its own.
  await Promise.all([alice.datasets.stop(), mallory.datasets.stop()])
  const names = Object.keys(BEHAVIOURS)
  const asked = new Map<string, number>()
  const followers = await Promise.all(names.map(() => startDatasetNode(t, { genesis: alice.genesis })))
  const peers = followers.map((node) => node.identity.peerId)
  await mallory.network.handle(PACK_PROTOCOL, async (stream) => {
    const does = names[peers.indexOf(stream.peer)] as string
    asked.set(does, (asked.get(does) ?? 0) + 1)
    await BEHAVIOURS[does]?.(stream)
  })
  await Promise.all(
    followers.map(async (carol, index) => {
      const does = names[index] as string
      await alice.members.admit(carol.identity.peerId, `carol-${index}`, 'member')
      await bob.sync.pullNow(alice.identity.peerId)
      await meet(carol, mallory)
      await eventually(() => asked.has(does), `the author who ${does} was never asked`)
      await meet(carol, bob)
      await eventually(() => holds(carol, 'collect-mallory', made), `the author ${does}, and nothing came`)
      await assertClean(carol)
    }),
  )
})

test('three members copy at once, whatever git they have', async (t) => {
  const alice = await startDatasetNode(t)
  const start = await directoryOf(t, { large: noise(2 * MIB), 'a/b.csv': '1,2\n' })
  const founded = await alice.datasets.importDirectory('data', start)
  const made = await commit(t, alice, { large: noise(MIB), 'a/b.csv': '1,2\n3,4\n' })
  const followers = await Promise.all([
    joinDatasetNode(t, alice, 'bob'),
    joinDatasetNode(t, alice, 'carol'),
    joinDatasetNode(t, alice, 'dave', { backend: 'isomorphic' }),
  ])
  const wanted = await hashOf(alice, made)
  for (const node of followers) {
    await eventually(() => holds(node, 'collect-alice', made), 'the commit did not arrive', 60_000)
    await eventually(async () => (await node.datasets.show('data')).replicated, 'not all of it arrived')
    assert.equal(await hashOf(node, made), wanted)
    assert.equal((await node.datasets.show('data')).truth, founded.truth)
    await assertClean(node)
  }
})

test('a large dataset comes whole; who is put out in the middle of it gets no more', async (t) => {
  const alice = await startDatasetNode(t)
  const start = await directoryOf(t, { large: noise(24 * MIB) })
  const { truth = '' } = await alice.datasets.importDirectory('data', start)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const whole = async () => bob.datasets.list().length > 0 && (await bob.datasets.show('data')).replicated
  await eventually(whole, 'the dataset never came whole', 60_000)
  assert.equal(await hashOf(bob, truth), await hashOf(alice, truth))
  await assertClean(bob)
  const progress = bob.events.filter((event) => event.type === 'progress')
  for (const { dataset, member, bytes, objectsTotal } of progress) {
    assert.deepEqual([dataset, member, objectsTotal], ['data', 'alice', 3])
    assert.ok(bytes > 0 && bytes < 25 * MIB)
  }
  const eve = await joinDatasetNode(t, alice, 'eve')
  await eve.datasets.stop()
  const stream = await eve.network.open(alice.identity.peerId, PACK_PROTOCOL)
  await say(stream, '{"dataset":"data","dialects":["upload-pack"]}\n')
  await stream.read()
  const question = [packet('command=fetch\n'), '0001', packet(`want ${truth}\n`), packet('done\n'), FLUSH]
  await say(stream, ...question)
  await stream.closeWrite()
  assert.ok(((await stream.read())?.length ?? 0) > 0)
  await alice.registry.delete(`/members/${eve.identity.peerId}`)
  let bytes = 0
  await assert.rejects(
    async () => {
      for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read())
        bytes += chunk.length
    },
    { code: 'STREAM_CLOSED' },
  )
  assert.ok(bytes < 23 * MIB, `${bytes} bytes came all the same`)
})

test('a member that asks and never reads holds up neither the others nor the end of a node', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const bob = await joinDatasetNode(t, alice, 'bob')
  await bob.datasets.stop()
  const start = await directoryOf(t, { large: noise(8 * MIB) })
  const { truth } = await alice.datasets.importDirectory('other', start)
  const stalled = await Promise.all(
    [0, 1, 2].map(async () => {
      const stream = await bob.network.open(alice.identity.peerId, PACK_PROTOCOL)
      await say(stream, '{"dataset":"other","dialects":["pack"]}\n')
      await stream.read()
      await say(stream, `{"wants":["${truth}"],"haves":[]}\n`)
      return stream
    }),
  )
  const carol = await joinDatasetNode(t, alice, 'carol')
  const made = await commit(t, alice, { small: 'x' })
  await eventually(() => holds(carol, 'collect-alice', made), 'the commit did not arrive')
  await alice.datasets.stop()
  for (const stream of stalled) {
    await assert.rejects(
      async () => {
        while ((await stream.read()) !== undefined);
      },
      { code: 'STREAM_CLOSED' },
    )
  }
})
