import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { placeOf, type SealedRecord } from '../../src/registry/record.ts'
import { EVERYTHING, type Range, RecordIndex } from '../../src/registry/record-index.ts'
import { plainRecord } from '../support/records.ts'

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

/** The digest as protocols/registry-sync.md §3 says it, of records that are sorted. */
function digestInWords(records: readonly SealedRecord[]): string {
  const runs: Buffer[][] = []
  for (const { hash } of records) {
    if (runs.length === 0 || hash.startsWith('00')) runs.push([])
    runs.at(-1)?.push(Buffer.from(hash, 'hex'))
  }
  return sha256(...runs.map((run) => sha256(...run))).toString('hex')
}

const sorted = (records: Iterable<SealedRecord>) =>
  [...records].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
const inRange = (records: readonly SealedRecord[], { from, to }: Range) =>
  records.filter((record) => placeOf(record) >= from && (to === null || placeOf(record) < to))

/** Records whose hashes begin runs as often as `share` of 256 says, as no honest set of a few dozen would. */
function record(n: number, version: number, share = 64): SealedRecord {
  const plain = plainRecord({ key: `/tools/t${String(n).padStart(5, '0')}`, author: 'amy', version })
  const mark = Number.parseInt(plain.hash.slice(0, 2), 16) < share ? '00' : 'ff'
  return { ...plain, hash: mark + plain.hash.slice(2) }
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('set' as const), n: fc.nat(80), version: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), n: fc.nat(80), version: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('look' as const), from: fc.nat(80), to: fc.nat(90) }),
  },
)
const place = (n: number) => placeOf(record(n, 1))

test('whatever came and went, the digest is that of the records that are there', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 150, size: 'max' }),
      fc.constantFrom(0, 64, 256),
      (steps, share) => {
        const index = new RecordIndex()
        const held = new Map<string, SealedRecord>()
        const look = (range: Range) => {
          const expected = inRange(sorted(held.values()), range)
          assert.deepEqual(index.within(range), expected)
          assert.equal(index.count(range), expected.length)
          assert.equal(index.digest(range), digestInWords(expected))
        }
        for (const done of steps) {
          if (done.kind === 'look') {
            look({ from: place(done.from), to: done.to > 80 ? null : place(done.to) })
            continue
          }
          const one = record(done.n, done.version, share)
          if (done.kind === 'set') {
            index.set(one)
            held.set(placeOf(one), one)
          } else {
            index.delete(one)
            if (held.get(placeOf(one))?.hash === one.hash) held.delete(placeOf(one))
          }
        }
        look(EVERYTHING)
        assert.equal(index.size, held.size)
        for (const [at, one] of held) assert.equal(index.get(at), one)
      },
    ),
    { numRuns: 400 },
  )
})

test('a split covers its range without a gap and in even parts, whatever it holds', () => {
  const bounds = fc.tuple(fc.nat(400), fc.nat(400))
  fc.assert(
    fc.property(
      fc.nat(400),
      fc.integer({ min: 2, max: 20 }),
      bounds,
      fc.boolean(),
      (size, parts, at, end) => {
        const index = new RecordIndex()
        for (let n = 0; n < size; n += 1) index.set(record(n, 1))
        const [from, to] = [place(Math.min(...at)), end ? null : place(Math.max(...at) + 1)]
        const cut = index.split({ from, to }, parts)
        assert(cut.length <= parts)
        assert.equal(cut[0]?.from, from)
        assert.equal(cut.at(-1)?.to, to)
        for (const [n, part] of cut.entries()) {
          if (n > 0) assert.equal(part.from, cut[n - 1]?.to)
          assert(part.to === null || part.from < part.to)
        }
        const count = index.count({ from, to })
        if (count >= 2) assert(cut.length >= 2, `${count} records were not cut`)
        if (count >= parts) assert.equal(cut.length, parts)
        const largest = Math.max(...cut.map((part) => index.count(part)))
        assert(largest <= 2 * Math.ceil(count / parts), `${largest} of ${count} in one of ${parts}`)
      },
    ),
    { numRuns: 300 },
  )
})

/** Records of which few begin a run, so that a run takes several slices. */
const large = (count: number) =>
  Array.from({ length: count }, (_, n) => record(n, 1, n % 1_500 === 7 ? 256 : 0))

test('an author whose records begin no run, or all of them one, makes nobody look at many at once', () => {
  for (const share of [0, 256]) {
    const index = new RecordIndex()
    for (let n = 0; n < 20_000; n += 1) index.set(record(n, 1, share))
    for (const work of [() => index.measuring(EVERYTHING), () => index.splitting(EVERYTHING, 16)]) {
      let slices = 1
      for (const running = work(); running.next().done !== true; ) slices += 1
      assert(slices >= 15, `${slices} slices`)
      for (const one of index.first(EVERYTHING, 1)) index.set(one)
    }
  }
})

test('what changes between the slices of a question leaves no digest that is wrong', () => {
  const change = fc.record({
    slices: fc.nat(12),
    n: fc.nat(5_000),
    kind: fc.constantFrom('set', 'mark', 'delete'),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.boolean(), (changes, splits) => {
      const index = new RecordIndex()
      const held = new Map(large(4_000).map((one) => [placeOf(one), one]))
      for (const one of held.values()) index.set(one)
      const range = { from: place(100), to: null }
      const running = splits ? index.splitting(range, 16) : index.measuring(EVERYTHING)
      for (const { slices, n, kind } of changes) {
        for (let slice = 0; slice < slices; slice += 1) running.next()
        const one = record(n, 2, kind === 'mark' ? 256 : 0)
        const before = held.get(placeOf(one))
        if (kind !== 'delete') {
          held.set(placeOf(one), one)
          index.set(one)
        } else if (before !== undefined) {
          held.delete(placeOf(one))
          index.delete(before)
        }
      }
      for (const ends = running; ends.next().done !== true; );
      for (const looked of [EVERYTHING, range, { from: place(900), to: place(3_000) }]) {
        const expected = inRange(sorted(held.values()), looked)
        assert.deepEqual(
          [index.digest(looked), index.count(looked)],
          [digestInWords(expected), expected.length],
        )
      }
    }),
    { numRuns: 60 },
  )
})

test('no question about one range says what the digest of another is', () => {
  const index = new RecordIndex()
  for (let n = 1; n < 4; n += 1) index.set(record(n, 1))
  const range = { from: place(1), to: place(3) }
  const expected = digestInWords([record(1, 1), record(2, 1)])
  // Whatever the bounds are joined with, one of these comes to the same text as those of the range.
  for (const between of [' ', '\n', '\0', '']) {
    const joined = `${range.from}${between}${range.to}`
    for (let at = 0; at < joined.length; at += 1) {
      if (!joined.slice(at).startsWith(between)) continue
      const odd = { from: joined.slice(0, at), to: joined.slice(at + between.length) }
      if (odd.from === range.from) continue
      index.set(record(1, 1))
      index.digest(odd)
      assert.equal(index.digest(range), expected, JSON.stringify(odd))
    }
  }
})

test('only that very record is deleted', () => {
  const index = new RecordIndex()
  index.set(record(1, 2))
  index.delete(record(1, 1))
  assert.equal(index.get(place(1))?.version, 2)
  index.delete(record(1, 2))
  assert.equal(index.get(place(1)), undefined)
  assert.equal(index.digest(EVERYTHING), digestInWords([]))
})

test('the first of a range are those that sort first', () => {
  const index = new RecordIndex()
  for (let n = 20; n > 0; n -= 1) index.set(record(n, 1))
  const first = index.first({ from: place(5), to: null }, 3)
  assert.deepEqual(first.map(placeOf), [place(5), place(6), place(7)])
  assert.equal(index.first({ from: place(5), to: place(7) }, 10).length, 2)
})
