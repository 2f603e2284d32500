import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyBytesMax, syncPartRecordsMax } from '../../src/base/limits.ts'
import {
  answer,
  answering,
  collecting,
  EVERYTHING,
  follow,
  type Range,
  type RangeAnswer,
  remaining,
} from '../../src/registry/ranges.ts'
import { placeOf } from '../../src/registry/record.ts'
import type { RecordIndex } from '../../src/registry/record-index.ts'
import { decodeCompared, encodeCompared } from '../../src/registry/sync-messages.ts'
import { atOnce } from '../../src/registry/sync-slices.ts'
import { byHash, honest, indexOf, looseRecord, Reconciliation, take } from '../support/reconciliation.ts'

const keyOf = (n: number) => `/tools/t${String(n).padStart(6, '0')}`
const many = (count: number, version = 1) =>
  Array.from({ length: count }, (_, n) => looseRecord(keyOf(n), version))

function catchUp(ours: RecordIndex, theirs: RecordIndex, bytesMax?: number, backwards = false) {
  return new Reconciliation(ours, honest(theirs, bytesMax), byHash(theirs), { backwards }).run()
}

/** Sets that overlap in part, some of the records in other versions, some stretches dense and others empty. */
const side = fc.array(
  fc.record({
    from: fc.nat(3_000),
    length: fc.nat(700),
    every: fc.integer({ min: 1, max: 9 }),
    version: fc.nat(2),
  }),
  { maxLength: 4 },
)
function made(stretches: readonly { from: number; length: number; every: number; version: number }[]) {
  const index = indexOf([])
  for (const { from, length, every, version } of stretches) {
    for (let n = from; n < from + length; n += every) take(index, looseRecord(keyOf(n), version + 1))
  }
  return index
}

test('whatever two peers hold, a catch-up ends with the union, and brings nothing that does not win', () => {
  fc.assert(
    fc.property(
      side,
      side,
      fc.constantFrom(200, 3_000, 500_000),
      fc.boolean(),
      (mine, yours, bytesMax, back) => {
        const [ours, theirs] = [made(mine), made(yours)]
        const union = indexOf(ours.within(EVERYTHING))
        let missing = 0
        for (const record of theirs.within(EVERYTHING)) missing += take(union, record) ? 1 : 0
        const done = catchUp(ours, theirs, bytesMax, back)
        assert.equal(ours.digest(EVERYTHING), union.digest(EVERYTHING))
        assert.equal(done.accepted, missing)
        assert.equal(done.inVain, 0)
        const frames = Math.ceil((32 * missing) / bytesMax)
        assert(done.questions <= 6 + theirs.size / 32 + 2 * frames, `${done.questions} questions`)
      },
    ),
    { numRuns: 150 },
  )
})

test('two that pull from each other agree, whoever began', () => {
  fc.assert(
    fc.property(side, side, (mine, yours) => {
      const [ours, theirs] = [made(mine), made(yours)]
      catchUp(ours, theirs)
      catchUp(theirs, ours)
      assert.equal(ours.digest(EVERYTHING), theirs.digest(EVERYTHING))
    }),
    { numRuns: 50 },
  )
})

test('of ten thousand records one differs: a handful of questions and a few kilobytes find it', () => {
  const ours = indexOf(many(10_000))
  const theirs = indexOf(many(10_000))
  theirs.set(looseRecord(keyOf(4_711), 9))
  const { questions, accepted, bytes } = catchUp(ours, theirs)
  assert.equal(accepted, 1)
  assert(questions <= 5, `${questions} questions`)
  assert(bytes < 20_000, `${bytes} bytes`)
})

test('two equal registries agree after one question', () => {
  assert.equal(catchUp(indexOf(many(1_000)), indexOf(many(1_000))).questions, 1)
})

test('what is outdated there is not brought here', () => {
  const ours = indexOf(many(5_000, 2))
  const { accepted, inVain } = catchUp(ours, indexOf(many(5_000, 1)))
  assert.deepEqual([accepted, inVain], [0, 0])
})

test('who holds much asks little of one that holds little', () => {
  const ours = indexOf(many(20_000))
  const theirs = indexOf([looseRecord(keyOf(7), 2), looseRecord(keyOf(19_000), 2)])
  const { accepted, bytes } = catchUp(ours, theirs)
  assert.equal(accepted, 2)
  assert(bytes < 5_000, `${bytes} bytes`)
})

test('two peers are pulled from at once, from either end: little comes twice', () => {
  const [ours, theirs] = [indexOf([]), indexOf(many(20_000))]
  const server = honest(theirs)
  const [forth, back] = [false, true].map(
    (backwards) => new Reconciliation(ours, server, byHash(theirs), { backwards }),
  )
  assert(forth && back)
  for (let more = true; more; ) more = [forth.step(), back.step()].some(Boolean)
  assert.equal(ours.digest(EVERYTHING), theirs.digest(EVERYTHING))
  assert(forth.inVain + back.inVain < 2_000, `${forth.inVain + back.inVain} came twice`)
  assert(forth.accepted > 5_000 && back.accepted > 5_000)
})

test('the longest keys that there may be fit the frames', () => {
  const author = '12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5'
  const long = (n: number, version: number) =>
    looseRecord(`/${'x'.repeat(keyBytesMax - 8)}${String(n).padStart(7, '0')}`, version, author)
  const set = (version: number) => indexOf(Array.from({ length: 6_000 }, (_, n) => long(n, version)))
  const ours = set(1)
  assert.equal(catchUp(ours, set(2)).accepted, 6_000)
})

test('an answer that no honest side gives is refused', () => {
  const ours = indexOf(many(100))
  const theirs = indexOf(many(1_000, 2))
  const digest = '0'.repeat(64)
  const asked = { from: keyOf(100), to: keyOf(900) }
  const honestly = answer(theirs, { ...asked, digest })
  assert(honestly.kind === 'split')
  const [first, second, ...others] = honestly.parts
  assert(first && second)
  const held = (n: number) => ({ place: placeOf(looseRecord(keyOf(n))), version: 9, hash: digest })
  const lies: RangeAnswer[] = [
    { kind: 'split', digest, parts: [] },
    { kind: 'split', digest, parts: [first] },
    { kind: 'split', digest, parts: [second, ...others] },
    { kind: 'split', digest, parts: [first, ...others.toReversed()] },
    { kind: 'split', digest, parts: [first, second, second] },
    { kind: 'split', digest, parts: [first, { ...second, from: keyOf(950) }] },
    { kind: 'list', digest, held: [held(300), held(200)] },
    { kind: 'list', digest, held: [held(200), held(200)] },
    { kind: 'list', digest, held: [held(50)] },
    { kind: 'list', digest, held: [held(900)] },
  ]
  for (const lie of lies) {
    assert.throws(() => follow(ours, asked, lie), { code: 'INVALID_INPUT' }, JSON.stringify(lie))
  }
})

test('what is deleted and added while an answer is worked out makes no answer that an honest side would not give', () => {
  const changes = fc.array(fc.record({ slices: fc.nat(20), from: fc.nat(3_000), length: fc.nat(3_000) }), {
    maxLength: 4,
  })
  fc.assert(
    fc.property(side, changes, fc.boolean(), (mine, changes, adds) => {
      const ours = made(mine)
      // None of the records begins a run, so that all of them are looked at, some at a time.
      const plain = (n: number) => ({ ...looseRecord(keyOf(n)), hash: 'f'.repeat(64) })
      const theirs = indexOf(Array.from({ length: 3_000 }, (_, n) => plain(2 * n)))
      const asked = { from: keyOf(10), to: adds ? null : keyOf(5_000), digest: '0'.repeat(64) }
      const running = answering(theirs, asked)
      for (const { slices, from, length } of changes) {
        for (let slice = 0; slice < slices; slice += 1) {
          const { value, done } = running.next()
          if (done === true && value !== undefined) return void follow(ours, asked, overTheWire(value))
        }
        for (let n = from; n < from + length; n += 1) {
          if (adds) theirs.set(plain(2 * n + 1))
          else theirs.delete(plain(2 * n))
        }
      }
      follow(ours, asked, overTheWire(atOnce(running)))
    }),
    { numRuns: 60 },
  )
})

test('whenever all is deleted while an answer is worked out, the answer is one that an honest side gives', () => {
  const asked = { ...EVERYTHING, digest: '0'.repeat(64) }
  for (let slices = 0; slices < 15; slices += 1) {
    const theirs = indexOf(many(3_000).map((record) => ({ ...record, hash: 'f'.repeat(64) })))
    const running = answering(theirs, asked)
    for (let slice = 0; slice < slices; slice += 1) running.next()
    for (const record of theirs.within(EVERYTHING)) theirs.delete(record)
    const answered = running.next()
    follow(indexOf([]), asked, overTheWire(answered.done === true ? answered.value : atOnce(running)))
  }
})

const overTheWire = (answered: RangeAnswer) => {
  const [heard] = decodeCompared(encodeCompared([answered]), 1)
  return heard as RangeAnswer
}

test('a question about all records of which none is wanted looks at some of them at a time', () => {
  const theirs = indexOf(many(20_000))
  let looked = 0
  const counted = new Proxy(theirs, {
    get: (index, name) => {
      if (name !== 'first') return Reflect.get(index, name)
      return (range: Range, max: number) => {
        const records = index.first(range, max)
        looked += records.length
        return records
      }
    },
  })
  const wish = { ranges: [{ ...EVERYTHING, have: [] }], except: ['amy'] }
  let most = 0
  for (const running = collecting(counted, wish, 500_000); ; ) {
    const before = looked
    const step = running.next()
    most = Math.max(most, looked - before)
    if (step.done !== true) continue
    assert.deepEqual(step.value, { envelopes: [], next: null })
    break
  }
  assert.equal(looked, 20_000)
  assert(most <= syncPartRecordsMax, `${most} at once`)
})

test('records that come in pieces move on with each', () => {
  const ranges = [{ from: keyOf(1), to: keyOf(5) }, EVERYTHING]
  const envelopes = [new Uint8Array([1])]
  const left = (range: number, from: string) => remaining(ranges, { envelopes, next: { range, from } })
  assert.deepEqual(left(0, keyOf(3)), [{ from: keyOf(3), to: keyOf(5) }, EVERYTHING])
  assert.deepEqual(left(1, keyOf(3)), [{ from: keyOf(3), to: null }])
  assert.deepEqual(remaining(ranges, { envelopes: [], next: null }), [])
  for (const lie of [
    { envelopes, next: { range: 0, from: keyOf(1) } },
    { envelopes, next: { range: 0, from: keyOf(5) } },
    { envelopes, next: { range: 0, from: keyOf(0) } },
    { envelopes, next: { range: 2, from: keyOf(3) } },
    { envelopes: [], next: { range: 0, from: keyOf(3) } },
  ]) {
    assert.throws(() => remaining(ranges, lie), { code: 'INVALID_INPUT' }, JSON.stringify(lie))
  }
})
