import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { arrange, type Roster } from '../../src/federation/keyspace.ts'
import { Draft } from '../../src/registry/draft.ts'
import { History } from '../../src/registry/history.ts'
import { EVERY_KEY } from '../../src/registry/key-range.ts'
import type { KeyValue } from '../../src/registry/key-value.ts'
import { shownOf, weightOf } from '../../src/registry/merge.ts'
import { EVERYTHING } from '../../src/registry/ranges.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import { plainRecord, standingOf } from '../support/records.ts'

const roster: Roster = {
  role: (peer) => (peer === 'op' ? 'operator' : 'member'),
  admittedMs: () => 0,
}
const order = (claims: readonly SealedRecord[]) => arrange(claims, roster)

const KEYS = ['/tools/a', '/tools/b', '/shared/s']
const record = fc
  .record({
    key: fc.constantFrom(...KEYS),
    author: fc.constantFrom('op', 'amy', 'ben'),
    version: fc.integer({ min: 1, max: 4 }),
    time: fc.integer({ min: 1, max: 9 }),
    value: fc.option(fc.uint8Array({ minLength: 1, maxLength: 1 })),
    expires: fc.option(fc.integer({ min: 20, max: 30 }), { nil: undefined }),
  })
  .map(plainRecord)
const change = fc.oneof(
  { weight: 4, arbitrary: record.map((taken) => ({ do: 'take' as const, taken })) },
  { weight: 1, arbitrary: fc.nat(9).map((n) => ({ do: 'put' as const, value: new Uint8Array([n]) })) },
  { weight: 1, arbitrary: fc.constant({ do: 'remove' as const }) },
  { weight: 1, arbitrary: fc.constantFrom(...KEYS).map((key) => ({ do: 'forget' as const, key })) },
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never
const changes = fc.array(change, { maxLength: 12 })

function make(draft: Draft, made: Change): void {
  if (made.do === 'take') draft.take(made.taken, order)
  else if (made.do === 'put') draft.put('/local/x', made.value, 0n)
  else if (made.do === 'forget') draft.replace(made.key, [])
  else if (draft.get('/local/x') !== undefined) draft.remove('/local/x')
}

/** A registry in memory. */
class Kept {
  readonly state = new State()
  readonly history = new History()

  draft(): Draft {
    return new Draft(standingOf(this.state, this.history), this.history.revision + 1)
  }

  commit(made: readonly Change[]): void {
    const draft = this.draft()
    for (const one of made) make(draft, one)
    this.apply(draft)
  }

  apply(draft: Draft): void {
    for (const [key, claims] of draft.changedClaims) this.state.replace(key, claims)
    if (draft.events.length > 0) this.history.apply(draft.events, draft.revision)
  }

  told(): unknown {
    const { state, history } = this
    return [
      state.index.digest(EVERYTHING),
      history.revision,
      history.hash(),
      history.range(EVERY_KEY).map(told),
    ]
  }
}

const told = (kv: KeyValue | undefined) => kv && `${kv.key} ${Buffer.from(kv.framed).toString('hex')}`

/** What a draft, or a registry, says there is. */
function view(held: Pick<Draft, 'get' | 'range' | 'claims' | 'bytesOf'>): unknown {
  return [
    held.range(EVERY_KEY).map(told),
    [...KEYS, '/local/x'].map((key) => told(held.get(key))),
    KEYS.map((key) => held.claims(key).map(({ hash }) => hash)),
    ['op', 'amy', 'ben'].map((author) => held.bytesOf(author)),
  ]
}

test('a draft that is dropped leaves nothing', () => {
  fc.assert(
    fc.property(changes, changes, (before, dropped) => {
      const kept = new Kept()
      kept.commit(before)
      const was = kept.told()
      const draft = kept.draft()
      for (const one of dropped) make(draft, one)
      assert.deepEqual(kept.told(), was)
    }),
  )
})

test('what a draft shows is what is there once it is applied', () => {
  fc.assert(
    fc.property(changes, changes, (before, made) => {
      const kept = new Kept()
      kept.commit(before)
      const draft = kept.draft()
      for (const one of made) make(draft, one)
      const promised = view(draft)
      kept.apply(draft)
      assert.deepEqual(view(standingOf(kept.state, kept.history)), promised)
      for (const key of KEYS) {
        const shown = shownOf(kept.state.claims(key))
        assert.deepEqual(kept.history.get(key)?.value, shown?.value ?? undefined, key)
      }
      for (const author of ['op', 'amy', 'ben']) {
        const own = kept.state.index.within(EVERYTHING).filter((one) => one.author === author)
        assert.equal(
          kept.state.bytesOf(author),
          own.reduce((sum, one) => sum + weightOf(one), 0),
        )
      }
    }),
    { numRuns: 300 },
  )
})

test('a draft upon a draft, once absorbed, is as if all had been done in one', () => {
  fc.assert(
    fc.property(changes, changes, changes, (before, first, second) => {
      const kept = new Kept()
      kept.commit(before)
      const under = kept.draft()
      for (const one of first) make(under, one)
      const upon = new Draft(under, under.revision)
      for (const one of second) make(upon, one)
      const [seen, proofs] = [view(upon), [...under.evidence, ...upon.evidence]]
      under.absorb(upon)
      assert.deepEqual(view(under), seen)
      assert.deepEqual(under.evidence, proofs)
      const { changedClaims, events, evidence } = under
      assert.equal(under.isEmpty, changedClaims.size + events.length + evidence.length === 0)
    }),
    { numRuns: 300 },
  )
})

const presence = (fields: Partial<SealedRecord>) =>
  plainRecord({ key: '/presence/amy', author: 'amy', ...fields })

test('what only lives on longer changes nothing to be seen, unless it is asked for', () => {
  const kept = new Kept()
  kept.commit([{ do: 'take', taken: presence({ expires: 5_000 }) }])
  const was = kept.history.get('/presence/amy')
  const renewals: [fields: Partial<SealedRecord>, always: boolean, events: number][] = [
    [{ version: 2, expires: 6_000 }, false, 0],
    [{ version: 2, expires: 6_000 }, true, 1],
    [{ version: 2, expires: 4_000 }, false, 1],
    [{ version: 2 }, false, 1],
    [{ version: 2, expires: 6_000, value: new Uint8Array([2]) }, false, 1],
    [{ version: 2, expires: 6_000, author: 'ben', since: 1 }, false, 1],
  ]
  for (const [fields, always, events] of renewals) {
    const draft = kept.draft()
    draft.take(presence(fields), order, { always })
    assert.equal(draft.events.length, events, JSON.stringify(fields))
    assert(!draft.isEmpty, 'the record itself is to be stored')
  }
  const draft = kept.draft()
  draft.take(presence({ version: 2, expires: 6_000 }), order)
  kept.apply(draft)
  assert.equal(kept.history.get('/presence/amy'), was)
  assert.equal(kept.state.claims('/presence/amy')[0]?.version, 2)
})

test("a key that hangs on a lease keeps it while its author's claim is shown, and loses it to another's", () => {
  const kept = new Kept()
  const take = (taken: SealedRecord, lease?: bigint) => {
    const draft = kept.draft()
    draft.take(taken, order, lease === undefined ? {} : { lease })
    kept.apply(draft)
    return kept.history.get('/tools/a')?.lease
  }
  const tool = { key: '/tools/a', author: 'amy' }
  assert.equal(take(plainRecord({ ...tool, expires: 5_000 }), 7n), 7n)
  assert.equal(take(plainRecord({ ...tool, expires: 6_000, version: 2 })), 7n)
  assert.equal(take(plainRecord({ ...tool, author: 'op', version: 3 })), 0n)
})

test('settling makes a history show what the claims show, whatever it showed, and then has nothing to do', () => {
  fc.assert(
    fc.property(changes, changes, (shown, held) => {
      const [other, kept] = [new Kept(), new Kept()]
      kept.commit(shown.filter(({ do: done }) => done === 'take'))
      other.commit(held.filter(({ do: done }) => done === 'take'))
      const standing = standingOf(other.state, kept.history)
      const settled = () => {
        const draft = new Draft(standing, kept.history.revision + 1)
        for (const key of KEYS) draft.settle(key, other.state.claims(key))
        return draft
      }
      const draft = settled()
      if (draft.events.length > 0) kept.history.apply(draft.events, draft.revision)
      for (const key of KEYS) {
        const first = shownOf(other.state.claims(key))
        assert.deepEqual(kept.history.get(key)?.value, first?.value ?? undefined)
      }
      assert(settled().isEmpty)
    }),
  )
})
