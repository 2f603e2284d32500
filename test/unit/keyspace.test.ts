import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admit, arrange, kindOf, type Roster } from '../../src/federation/keyspace.ts'
import { plainRecord } from '../support/records.ts'

const roster: Roster = {
  role: (peer) =>
    ({ op: 'operator', amy: 'member', ben: 'member', late: 'member' })[peer] as 'operator' | 'member',
  admittedMs: (peer) => (peer === 'late' ? 5_000 : 0),
}
const claim = (author: string, fields: { time?: number; version?: number; value?: Uint8Array | null } = {}) =>
  plainRecord({ key: '/tools/collect', author, ...fields })
const shown = (...claims: ReturnType<typeof claim>[]) => arrange(claims, roster)[0]

test('who may write which key', () => {
  const cases: [key: string, author: string, code: string | undefined][] = [
    ['/members/ben', 'op', undefined],
    ['/members/ben', 'amy', 'NOT_ALLOWED'],
    ['/heads/packages/amy', 'amy', undefined],
    ['/heads/packages/amy', 'ben', 'INVALID_VALUE'],
    ['/heads/packages/amy', 'op', 'INVALID_VALUE'],
    ['/replicas/packages/amy', 'amy', undefined],
    ['/replicas/packages/amy', 'op', 'INVALID_VALUE'],
    ['/ballots/packages/collect/1700000000000/amy', 'amy', undefined],
    ['/votes/packages/collect/1700000000000/amy', 'ben', 'INVALID_VALUE'],
    ['/tools/collect', 'amy', undefined],
    ['/tools/collect', 'stranger', 'UNKNOWN_AUTHOR'],
    ['/tools/collect/more', 'op', 'NOT_ALLOWED'],
    ['/local/anything', 'op', 'NOT_ALLOWED'],
    ['/truth/packages', 'ben', undefined],
    ['/shared/any/thing/at/all', 'amy', undefined],
    ['/offers/amy', 'amy', undefined],
    ['/audit/packages/1700000000000/amy', 'ben', 'INVALID_VALUE'],
  ]
  for (const [key, author, code] of cases)
    assert.equal(admit(plainRecord({ key, author }), roster)?.code, code, `${author} ${key}`)
})

test('what is below /raw/ says that it ends within a minute, or is refused', () => {
  const raw = { key: '/raw/packages/one', author: 'amy', time: 1_000 }
  assert.equal(admit(plainRecord(raw), roster)?.code, 'INVALID_VALUE')
  assert.equal(admit(plainRecord({ ...raw, expires: 61_001 }), roster)?.code, 'INVALID_VALUE')
  assert.equal(admit(plainRecord({ ...raw, expires: 61_000 }), roster), undefined)
  assert.equal(admit(plainRecord({ ...raw, value: null }), roster), undefined, 'a deletion needs no end')
})

test('every key is at home somewhere: with all, here alone, or nowhere below a shared prefix', () => {
  const homes = [
    ['/tools/collect', 'shared'],
    ['/tools/collect/more', 'reserved'],
    ['/tools/', 'reserved'],
    ['/tools/with space', 'reserved'],
    ['/tools', 'local'],
    ['/local/anything', 'local'],
    ['\x00\xff', 'local'],
    ['', 'local'],
  ] as const
  for (const [key, kind] of homes) assert.equal(kindOf(key), kind, JSON.stringify(key))
})

test("of two claims to one name an operator's is shown, however late", () => {
  assert.equal(shown(claim('amy', { time: 10 }), claim('op', { time: 9_000 }))?.author, 'op')
})

test('of two members the earlier claim is shown, and of two at once the lower author', () => {
  assert.equal(shown(claim('ben', { time: 10 }), claim('amy', { time: 20 }))?.author, 'ben')
  assert.equal(shown(claim('ben', { time: 10 }), claim('amy', { time: 10 }))?.author, 'amy')
})

test('a claim dated back before its author was admitted counts from the admission', () => {
  assert.equal(shown(claim('late', { time: 1 }), claim('amy', { time: 4_000 }))?.author, 'amy')
})

test("an operator's tombstone buries the claims it has seen, and a later claim lives again", () => {
  const tombstone = claim('op', { value: null, version: 3 })
  assert.equal(shown(claim('amy', { version: 2 }), tombstone)?.value, null)
  assert.equal(shown(claim('amy', { version: 4 }), tombstone)?.author, 'amy')
})

test("a member's tombstone withdraws its own claim only", () => {
  assert.equal(shown(claim('amy', { value: null, version: 3 }), claim('ben'))?.author, 'ben')
})

test('a key of operators shows the record that orders last', () => {
  const records = [1, 2].map((version) => plainRecord({ key: '/members/x', author: 'op', version }))
  assert.equal(arrange(records, roster)[0]?.version, 2)
})

test('a version that nobody reached by counting does not put a claim beyond an operator', () => {
  const outlandish = claim('amy', { version: 2 ** 40 })
  assert.equal(shown(outlandish, claim('ben'))?.author, 'ben')
  assert.equal(shown(outlandish, claim('op', { value: null, version: 2 }))?.value, null)
})
