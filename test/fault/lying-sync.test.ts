import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { streamsPerPeerMax, syncEffortMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { Frames } from '../../src/network/frames.ts'
import {
  EVERYTHING,
  type Fetched,
  type Part,
  type Range,
  type RangeAnswer,
} from '../../src/registry/ranges.ts'
import { RecordIndex } from '../../src/registry/record-index.ts'
import type { Registry } from '../../src/registry/registry.ts'
import {
  decodeQuestion,
  encodeCompared,
  encodeFetched,
  encodeQuestion,
  type Question,
  SYNC_PROTOCOL,
} from '../../src/registry/sync-messages.ts'
import { SyncPull } from '../../src/registry/sync-pull.ts'
import { serveSync } from '../../src/registry/sync-server.ts'
import { SyncSlices } from '../../src/registry/sync-slices.ts'
import { byteStreamPair } from '../support/byte-stream-pair.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { FEDERATION, newIdentity, sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

/** Each of these has to end by itself; how long it takes depends on the machine, so this is generous. */
const END_MS = 60_000

interface Liar {
  compare?(range: Range): RangeAnswer
  fetch?(ranges: readonly Range[]): Fetched
  /** Says this, whatever it is asked. */
  say?: Uint8Array
}

let lies = 0
/** A digest that nobody else has. */
const digest = () => (lies++).toString(16).padStart(64, '1')

/** What lies between two bounds: there is always more, however deep one looks. */
function partsIn({ from }: Range, count: number): Part[] {
  const letters = Array.from({ length: count }, (_, n) => String.fromCharCode(97 + n))
  return letters.map((letter, n) => ({
    from: n === 0 ? from : `${from}${'a'.repeat(1)}${letter}`,
    digest: digest(),
    count: 1_000_000,
  }))
}
const split = (range: Range, parts = 16): RangeAnswer => ({
  kind: 'split',
  digest: digest(),
  parts: partsIn(range, parts),
})
const nothing: Fetched = { envelopes: [], next: null }

function answerOf(liar: Liar, question: Question): Uint8Array {
  if (liar.say !== undefined) return liar.say
  if (question.kind === 'fetch') return encodeFetched(liar.fetch?.(question.ranges) ?? nothing)
  return encodeCompared(question.ranges.map((range) => liar.compare?.(range) ?? split(range)))
}

/** A node with some records of its own. It stays the same through all stories: none of them may do it any harm. */
let alice: RegistryNode
const endings: (() => unknown)[] = []
before(async () => {
  const [founder] = await startFederation({ after: (undo: () => unknown) => endings.push(undo) }, [])
  assert(founder)
  alice = founder
  const keys = Array.from({ length: 1_000 }, (_, n) => `/tools/t${n}`)
  await Promise.all(keys.map((key) => alice.registry.put(key, new Uint8Array([1]))))
})
after(async () => {
  for (const undo of endings.reverse()) await undo()
})

/** The node pulls from a liar. */
async function pullFrom(t: TestContext, tells: Liar | ((to: Registry) => Liar | Promise<Liar>)) {
  const liar = typeof tells === 'function' ? await tells(alice.registry) : tells
  const network = await startLoopbackNetwork(t)
  let questions = 0
  await network.handle(SYNC_PROTOCOL, async (stream) => {
    const frames = new Frames(stream)
    for (let frame = await frames.read(); frame !== undefined; frame = await frames.read()) {
      questions += 1
      await frames.write(answerOf(liar, decodeQuestion(frame).question))
    }
  })
  await alice.network.dial(network.addresses())
  const digestBefore = alice.registry.digest()
  const pulled = withDeadline(alice.sync.pullNow(network.peerId), END_MS, 'The catch-up with a liar')
  return { pulled, digestBefore, questions: () => questions }
}

let honestPeers = 0
/** Afterwards all is as it was, and an honest peer is listened to. */
async function isUnharmed(t: TestContext, { digestBefore }: Awaited<ReturnType<typeof pullFrom>>) {
  assert.equal(alice.registry.digest(), digestBefore)
  honestPeers += 1
  const bob = await startRegistryNode(t, { genesis: alice.genesis })
  await alice.members.admit(bob.identity.peerId, `bob-${honestPeers}`, 'member')
  await bob.network.dial(alice.network.addresses())
  await bob.sync.pullNow(alice.identity.peerId)
  await bob.registry.put(`/tools/honest-${honestPeers}`, new Uint8Array([1]))
  await alice.sync.pullNow(bob.identity.peerId)
  assert.notEqual(alice.registry.get(`/tools/honest-${honestPeers}`), undefined)
  await bob.stop()
}

test('ranges that split without end', async (t) => {
  // Each upper bound lies below the last one, and all of them above what the node holds.
  const compare = ({ from, to }: Range): RangeAnswer => {
    const bound = '0'.repeat((to?.length ?? 500) - 1)
    const parts = [from, bound].map((begin) => ({ from: begin, digest: digest(), count: 1_000_000 }))
    return { kind: 'split', digest: digest(), parts }
  }
  const story = await pullFrom(t, {
    compare: (range) => (range.from === '' ? compare(range) : { kind: 'list', digest: digest(), held: [] }),
  })
  await assert.rejects(story.pulled, { code: 'INVALID_INPUT', message: /splits without end/ })
  await isUnharmed(t, story)
})

test('lists of records that never come, wherever the node holds something', async (t) => {
  const story = await pullFrom(t, ({ index: held }) => ({
    compare: (range) => {
      const parts = held.split(range, 16).map(({ from }) => ({ from, digest: digest(), count: 1_000_000 }))
      if (parts.length > 1) return { kind: 'split', digest: digest(), parts }
      const invented = Array.from({ length: 64 }, (_, n) => ({
        place: `${range.from}!${String.fromCharCode(64 + n)}`,
        version: 9,
        hash: digest(),
      }))
      return { kind: 'list', digest: digest(), held: invented }
    },
  }))
  await assert.rejects(story.pulled, { code: 'INVALID_INPUT', message: /more than it can show/ })
  assert(story.questions() <= syncEffortMax, `${story.questions()} questions`)
  await isUnharmed(t, story)
})

for (const [name, parts] of Object.entries({
  'leave a gap at the front': (range: Range) => partsIn(range, 5).slice(1),
  'do not shrink': (range: Range) => partsIn(range, 1),
  'are none': () => [],
  overlap: (range: Range) => [...partsIn(range, 5), ...partsIn(range, 5).slice(1)],
  'lie outside': (range: Range) => [...partsIn(range, 2), { from: '~', digest: digest(), count: 1 }],
}) satisfies [string, (range: Range) => Part[]][]) {
  test(`splits whose parts ${name}`, async (t) => {
    const story = await pullFrom(t, {
      compare: (range) => ({ kind: 'split', digest: digest(), parts: parts(range) }),
    })
    await assert.rejects(story.pulled, { code: 'INVALID_INPUT', message: /split/ })
    await isUnharmed(t, story)
  })
}

/** Sends the node to where it holds nothing, so that it asks for records. */
const lure = (range: Range): RangeAnswer =>
  range.from === ''
    ? {
        kind: 'split',
        digest: digest(),
        parts: ['', '0'].map((from) => ({ from, digest: digest(), count: from.length * 1_000_000 })),
      }
    : { kind: 'list', digest: digest(), held: [] }

const refused = {
  'that nobody may write': async ({ federation }: Registry) =>
    (await sealRecord(await newIdentity(), { key: '/tools/x', federation })).envelope,
  'that are forged': async () =>
    Uint8Array.from((await sealRecord(await newIdentity(), { key: '/x' })).envelope.fill(0, -1)),
}
for (const [name, made] of Object.entries(refused)) {
  test(`records ${name}, without end`, async (t) => {
    const story = await pullFrom(t, async (to) => {
      const envelope = await made(to)
      const envelopes = Array.from({ length: 1_000 }, () => envelope)
      const fetch = ([first]: readonly Range[]) => ({
        envelopes,
        next: { range: 0, from: `${first?.from}!` },
      })
      return { compare: lure, fetch }
    })
    await assert.rejects(story.pulled, { code: 'INVALID_INPUT', message: /more than it can show/ })
    await isUnharmed(t, story)
  })
}

test('pieces that bring nothing, and pieces that do not move on', async (t) => {
  for (const fetch of [
    ([first]: readonly Range[]) => ({ envelopes: [], next: { range: 0, from: `${first?.from}\0` } }),
    ([first]: readonly Range[]) => ({
      envelopes: [new Uint8Array(3)],
      next: { range: 0, from: first?.from ?? '' },
    }),
    () => ({ envelopes: [new Uint8Array(3)], next: { range: 7, from: '/a' } }),
  ]) {
    const story = await pullFrom(t, { fetch, compare: lure })
    await assert.rejects(story.pulled, { code: 'INVALID_INPUT', message: /does not move on/ })
    await isUnharmed(t, story)
  }
})

test('answers that are none', async (t) => {
  const garbage = [
    new Uint8Array([1, 2, 3]),
    new Uint8Array(),
    // Arrays within arrays, as deep as a frame is long.
    new Uint8Array(1_000_000).fill(0x81),
    encode({ answers: [] }),
    encode({
      answers: [{ kind: 'list', digest: new Uint8Array(31), held: ['', new Uint8Array()] }],
    }),
    encode({
      answers: [{ kind: 'list', digest: new Uint8Array(32), held: ['/a x 1', new Uint8Array()] }],
    }),
    encode({ envelopes: [], next: null }),
  ]
  for (const say of garbage) {
    const story = await pullFrom(t, { say })
    await assert.rejects(story.pulled, { code: 'INVALID_INPUT' })
    await isUnharmed(t, story)
  }
})

test('a member that asks for the same records again and again in one question is cut off before anything is looked at', async () => {
  const index = new RecordIndex()
  index.measuring = index.first = () => assert.fail('the registry was looked at')
  const everything = { from: '', to: null }
  for (const question of [
    {
      kind: 'fetch',
      ranges: Array.from({ length: 256 }, () => ({ ...everything, have: [] })),
      except: ['amy'],
    },
    { kind: 'compare', ranges: Array.from({ length: 16 }, () => ({ ...everything, digest: digest() })) },
  ] satisfies Question[]) {
    const [near, far] = byteStreamPair('amy', 'ben')
    const serving = serveSync(far, serverParts(index))
    await new Frames(near).write(encodeQuestion(FEDERATION, question))
    await assert.rejects(withDeadline(serving, END_MS, 'The server'), /none is empty or overlaps/)
  }
})

test('while a question about the whole registry is answered, all else has its turn, and other peers are answered', async () => {
  const [many, few] = [new RecordIndex(), new RecordIndex()]
  let isOver = false
  many.measuring = function* () {
    while (!isOver) yield
    return { digest: digest(), count: 0 }
  }
  const slices = new SyncSlices()
  const ask = async (peer: string, index: RecordIndex) => {
    const [near, far] = byteStreamPair(peer, 'ben')
    serveSync(far, { ...serverParts(index), slices }).catch((error: Error) => near.abort(error))
    const frames = new Frames(near)
    const ranges = [{ ...EVERYTHING, digest: digest() }]
    await frames.write(encodeQuestion(FEDERATION, { kind: 'compare', ranges }))
    return withDeadline(frames.read(), END_MS, 'An answer')
  }
  const slow = Array.from({ length: streamsPerPeerMax }, () => ask('amy', many))
  assert.notEqual(await ask('carl', few), undefined)
  setTimeout(() => {
    isOver = true
  }, 1)
  for (const answer of await Promise.all(slow)) assert.notEqual(answer, undefined)
})

const serverParts = (index: RecordIndex) => ({
  registry: { federation: FEDERATION, index },
  mayRead: () => true,
  slices: new SyncSlices(),
  onQuestion: () => undefined,
})

test('a peer that falls silent in the middle is given up, and one that reads nothing too', async () => {
  const index = new RecordIndex()
  const registry = { federation: FEDERATION, index, receiveAll: async () => [] }
  const about = { registry, relay: () => undefined, onDigest: () => undefined, answerTimeoutMs: 200 }
  for (const answers of [0, 1, 3]) {
    const [near, far] = byteStreamPair('amy', 'ben')
    const serving = (async () => {
      const frames = new Frames(far)
      for (let n = 0; n < answers; n += 1) {
        const frame = await frames.read()
        assert(frame !== undefined)
        await frames.write(answerOf({}, decodeQuestion(frame).question))
      }
    })()
    const pull = new SyncPull({ frames: new Frames(near), ...about })
    const run = pull.run(() => true, { backwards: false })
    await assert.rejects(withDeadline(run, END_MS, 'The catch-up'), { code: 'TIMED_OUT' })
    await serving
  }
  assert.equal(index.digest(EVERYTHING), new RecordIndex().digest(EVERYTHING))
})
