import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Frames } from '../../src/network/frames.ts'
import { answer, collect, EVERYTHING } from '../../src/registry/ranges.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { decodeQuestion, encodeCompared, encodeFetched } from '../../src/registry/sync-messages.ts'
import { SyncPull } from '../../src/registry/sync-pull.ts'
import { SyncTurns, type Turn } from '../../src/registry/sync-turns.ts'
import { byteStreamPair } from '../support/byte-stream-pair.ts'
import { byHash, indexOf, looseRecord, take } from '../support/reconciliation.ts'
import { FEDERATION } from '../support/records.ts'

const never = new AbortController().signal

test('two take a turn at once, in places of their own, and the others in the order in which they came', async () => {
  const turns = new SyncTurns(2)
  const begun: string[] = []
  const ends: (() => void)[] = []
  const work = (name: string) => (turn: Turn) =>
    new Promise<void>((resolve) => {
      begun.push(`${name}${turn.lane}${turn.othersWait() ? '+' : ''}`)
      ends.push(resolve)
    })
  const all = ['a', 'b', 'c', 'd'].map((name) => turns.take(never, work(name)))
  await Promise.resolve()
  assert.deepEqual(begun, ['a0', 'b1'])
  ends[1]?.()
  await all[1]
  await Promise.resolve()
  assert.deepEqual(begun, ['a0', 'b1', 'c1+'])
  ends[0]?.()
  await all[0]
  await Promise.resolve()
  assert.deepEqual(begun, ['a0', 'b1', 'c1+', 'd0'])
  for (const end of ends) end()
  await Promise.all(all)
})

test('who waits can be cut short, and takes no turn after it', async () => {
  const turns = new SyncTurns(1)
  const cut = new AbortController()
  let end: () => void = () => undefined
  const first = turns.take(never, () => new Promise<void>((resolve) => (end = resolve)))
  const second = turns.take(cut.signal, async () => assert.fail('it was cut short'))
  cut.abort(new Error('enough'))
  await assert.rejects(second, /enough/)
  end()
  await first
  await turns.take(never, async ({ othersWait }) => assert.equal(othersWait(), false))
  await assert.rejects(
    turns.take(cut.signal, async () => assert.fail('it was cut short')),
    /enough/,
  )
})

test('a failure gives the place back', async () => {
  const turns = new SyncTurns(1)
  await assert.rejects(
    turns.take(never, () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.equal(await turns.take(never, async () => 7), 7)
})

test('a pull that makes room has judged all that came, and the next turn brings the rest', async () => {
  const theirs = indexOf(Array.from({ length: 20_000 }, (_, n) => looseRecord(`/tools/t${n}`)))
  const known = byHash(theirs)
  const index = indexOf([])
  const [near, far] = byteStreamPair('amy', 'ben')
  const serving = (async () => {
    const frames = new Frames(far)
    for (let frame = await frames.read(); frame !== undefined; frame = await frames.read()) {
      const { question } = decodeQuestion(frame)
      if (question.kind === 'fetch') await frames.write(encodeFetched(collect(theirs, question, 20_000)))
      else await frames.write(encodeCompared(question.ranges.map((range) => answer(theirs, range))))
    }
  })()
  let offered = 0
  const receiveAll = async (envelopes: readonly Uint8Array[]) =>
    envelopes.map((envelope) => {
      offered += 1
      const record = known.get(Buffer.from(envelope).toString('hex')) as SealedRecord
      assert(take(index, record), 'it came twice')
      return { action: 'accept' as const, record }
    })
  const registry = { federation: FEDERATION, index, receiveAll }
  const pull = new SyncPull({
    frames: new Frames(near),
    registry,
    relay: () => undefined,
    onDigest: () => undefined,
  })
  let [turns, questions] = [0, 0]
  for (let complete = false; !complete; turns += 1) {
    let left = 3
    complete = await pull.run(() => left-- > 0, { backwards: turns % 2 === 1 })
    assert.equal(pull.accepted, offered)
    assert(questions++ < 100, 'it never ends')
  }
  assert(turns > 1, 'it never made room')
  assert.equal(index.digest(EVERYTHING), theirs.digest(EVERYTHING))
  await near.closeWrite()
  await serving
})
