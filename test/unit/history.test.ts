import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Draft } from '../../src/registry/draft.ts'
import { History } from '../../src/registry/history.ts'
import { EVERY_KEY, isWithin, type KeyRange } from '../../src/registry/key-range.ts'
import { KeyValue } from '../../src/registry/key-value.ts'
import { State } from '../../src/registry/state.ts'
import { standingOf } from '../support/records.ts'

const KEYS = ['', 'a', 'a\0', 'ab', 'b', '\xff']
const key = fc.constantFrom(...KEYS)
const change = fc.oneof(
  fc.record({
    type: fc.constant('put' as const),
    key,
    value: fc.uint8Array({ maxLength: 2 }),
    lease: fc.bigInt(0n, 2n),
  }),
  fc.record({ type: fc.constant('delete' as const), key }),
)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), back: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const ranges: readonly KeyRange[] = [
  EVERY_KEY,
  ...KEYS.map((from) => ({ from, to: undefined })),
  { from: 'a', to: 'b' },
  { from: 'a\0', to: null },
  { from: 'b', to: 'a' },
]

/** What etcd says there is: a table of all keys for every revision, and every change ever made. */
class Model {
  /** As a fresh etcd it begins at revision 1, in which there is nothing. */
  readonly tables: Map<string, string>[] = [new Map(), new Map()]
  readonly changes: { revision: number; told: string }[] = []
  compacted = 0

  get revision(): number {
    return this.tables.length - 1
  }

  at(revision: number): Map<string, string> {
    return this.tables[revision === 0 ? this.revision : revision] as Map<string, string>
  }

  code(revision: number): string | undefined {
    if (revision > this.revision) return 'REVISION_FUTURE'
    return revision > 0 && revision < this.compacted ? 'REVISION_COMPACTED' : undefined
  }
}

/** A history with the rows that its store would hold. */
class Kept {
  history = new History()
  readonly rows = new Map<string, { framed: Uint8Array; sub: number; modified: number }>()
  readonly model = new Model()

  step(done: Step): void {
    if (done.do === 'write') this.#write(done.changes)
    else if (done.do === 'compact') this.#compact(Math.max(1, this.model.revision - done.back))
    else this.restart()
  }

  restart(): void {
    const { revision, compacted } = this.history
    const rows = [...this.rows.values()].sort((a, b) => a.modified - b.modified || a.sub - b.sub)
    this.history = new History()
    const versions = rows.map(({ framed, sub }) => KeyValue.parse(framed, sub))
    this.history.restore(versions, revision, compacted)
  }

  #write(changes: readonly (typeof change extends fc.Arbitrary<infer T> ? T : never)[]): void {
    const { model, history } = this
    const revision = model.revision + 1
    const draft = new Draft(standingOf(new State(), history), revision)
    const table = new Map(model.at(0))
    for (const done of changes) {
      if (done.type === 'put') {
        draft.put(done.key, done.value, done.lease)
        const [created, , version] = table.get(done.key)?.split(' ').map(Number) ?? [revision, 0, 0]
        const told = `${created} ${revision} ${(version ?? 0) + 1} ${done.lease} ${Buffer.from(done.value).toString('hex')}`
        model.changes.push({ revision, told: `put ${done.key} ${told} after ${table.get(done.key)}` })
        table.set(done.key, told)
      } else if (draft.get(done.key) !== undefined) {
        draft.remove(done.key)
        model.changes.push({ revision, told: `delete ${done.key} ${revision} after ${table.get(done.key)}` })
        table.delete(done.key)
      }
    }
    if (draft.events.length === 0) return
    model.tables.push(table)
    for (const { kv } of draft.events) {
      const { framed, sub, modified } = kv
      this.rows.set(`${modified} ${sub}`, { framed, sub, modified })
    }
    history.apply(draft.events, revision)
  }

  #compact(revision: number): void {
    const { model, history } = this
    const future = revision > model.revision
    if (future || revision <= model.compacted) {
      const code = revision <= model.compacted ? 'REVISION_COMPACTED' : 'REVISION_FUTURE'
      assert.throws(() => history.outlived(revision), { code })
      return
    }
    const gone = history.outlived(revision)
    for (const kv of gone) assert(this.rows.delete(`${kv.modified} ${kv.sub}`), 'a version is dropped twice')
    history.compact(revision, gone)
    model.compacted = revision
  }
}

const told = (kv: KeyValue) =>
  `${kv.created} ${kv.modified} ${kv.version} ${kv.lease} ${Buffer.from(kv.value).toString('hex')}`

function assertSame({ history, model, rows }: Kept): void {
  assert.deepEqual([history.revision, history.compacted], [model.revision, model.compacted])
  for (let revision = 0; revision <= model.revision + 1; revision += 1) {
    const code = model.code(revision)
    for (const range of ranges) {
      if (code !== undefined) {
        assert.throws(() => history.range(range, revision), { code })
        assert.throws(() => history.count(range, revision), { code })
        continue
      }
      const expected = [...model.at(revision)]
        .filter(([name]) => isWithin(name, range))
        .sort(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(
        history.range(range, revision).map((kv) => [kv.key, told(kv)]),
        expected,
      )
      assert.equal(history.count(range, revision), expected.length)
    }
    for (const name of code === undefined ? KEYS : []) {
      const kv = history.get(name, revision)
      assert.equal(kv && told(kv), model.at(revision).get(name))
    }
    if (revision > model.compacted) assertEvents(history, model, revision)
  }
  if (model.compacted > 0)
    assert.throws(() => history.events(model.compacted - 1, 9), { code: 'REVISION_COMPACTED' })
  // Of what is compacted there is one version of each key that was there, and no tombstone.
  const outlived = [...rows.values()].filter(({ modified }) => modified <= model.compacted)
  assert.equal(outlived.length, model.compacted === 0 ? 0 : model.at(model.compacted).size)
  const bytes = [...rows.values()].reduce((sum, { framed }) => sum + framed.length, 0)
  assert.equal(history.bytes, bytes)
  const present = history.range(EVERY_KEY).reduce((sum, { framed }) => sum + framed.length, 0)
  assert.equal(history.replacedBytes, bytes - present)
  for (const lease of [1n, 2n]) {
    const held = [...model.at(0)]
      .filter(([, text]) => text.split(' ')[3] === String(lease))
      .map(([name]) => name)
    assert.deepEqual([...history.keysOf(lease)].sort(), held.sort())
  }
}

function assertEvents(history: History, model: Model, from: number): void {
  const events = history.events(from, Number.MAX_SAFE_INTEGER).map(({ type, kv, previous }) => {
    const what = type === 'put' ? told(kv) : kv.modified
    return `${type} ${kv.key} ${what} after ${previous && told(previous)}`
  })
  const expected = model.changes.filter(({ revision }) => revision >= from).map((one) => one.told)
  assert.deepEqual(events, expected)
  assert.deepEqual(history.events(from, 2).length, Math.min(2, expected.length))
}

test('whatever is written, compacted and restarted, every revision that is kept reads as it was', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const kept = new Kept()
      for (const done of steps) kept.step(done)
      assertSame(kept)
      const hash = kept.history.hash()
      kept.restart()
      assertSame(kept)
      assert.equal(kept.history.hash(), hash)
    }),
    { numRuns: 300 },
  )
})

test('a hash as of a revision does not change with what comes after', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 12 }),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (steps, changes) => {
        const kept = new Kept()
        for (const done of steps) kept.step(done)
        const { revision } = kept.history
        const hash = kept.history.hash()
        kept.step({ do: 'write', changes })
        assert.equal(kept.history.hash(revision), hash)
      },
    ),
    { numRuns: 200 },
  )
})

test('what is counted back from the present is the revision of that change', () => {
  const kept = new Kept()
  for (let n = 1; n <= 5; n += 1) {
    kept.step({ do: 'write', changes: [{ type: 'put', key: 'a', value: new Uint8Array([n]), lease: 0n }] })
  }
  const { history } = kept
  assert.deepEqual(
    [0, 1, 4, 5].map((count) => history.revisionBefore(count)),
    [6, 5, 2, 0],
  )
  assert.equal(history.changes, 5)
})
