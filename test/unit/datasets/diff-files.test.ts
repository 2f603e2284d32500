import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Comparer } from '../../../src/datasets/diff/comparer.ts'
import type { DatasetDiff, FileDiff } from '../../../src/datasets/diff/differences.ts'
import { type Comparison, compareFiles, sameContent } from '../../../src/datasets/diff/file-comparison.ts'
import { parseJson } from '../../../src/datasets/diff/json-value.ts'
import { describeFile, summaryOf } from '../../../src/datasets/diff/summary.ts'
import { diffTrees } from '../../../src/datasets/diff/tree-diff.ts'
import { trimmed } from '../../../src/datasets/diff/trimmed.ts'
import { diffValues, type ValueDiff } from '../../../src/datasets/diff/value-diff.ts'
import type { TreeFile } from '../../../src/datasets/git/repository.ts'

const SEED = 20261121
const toldMax = 1_000

function compare(
  path: string,
  from: string | Uint8Array,
  to: string | Uint8Array,
  key?: string[],
): Comparison {
  const bytes = (content: string | Uint8Array) =>
    typeof content === 'string' ? Buffer.from(content) : content
  return compareFiles(path, bytes(from), bytes(to), { toldMax, ...(key === undefined ? {} : { key }) })
}

test('a file is compared as what its name says, and in a simpler way where it is not that', () => {
  for (const [path, from, to, as, note] of [
    ['a.csv', 'id\n1\n', 'id\n2\n', 'rows', undefined],
    ['A.TSV', 'id\tv\n1\t2\n', 'id\tv\n1\t3\n', 'rows', undefined],
    ['a.json', '[{"id":1}]', '[{"id":2}]', 'rows', undefined],
    ['a.json', '[]', '[{"id":2}]', 'rows', undefined],
    ['a.json', '{"id":1}', '{"id":2}', 'values', undefined],
    ['a.json', '[{"id":1}]', '{"id":1}', 'values', undefined],
    ['a.ndjson', '{"id":1}\n', '{"id":2}\n', 'rows', undefined],
    ['README', 'one\n', 'two\n', 'lines', undefined],
    ['a.json', '{', '{}', 'lines', /is not readable as JSON/],
    ['a.csv', 'a,"b\n', 'a,b\n', 'lines', /is not readable as CSV/],
    ['a.jsonl', '{}\nx\n', '{}\n', 'lines', /line 2 is not readable/],
    ['a.json', `${'['.repeat(300)}${']'.repeat(300)}`, '[]', 'lines', /nested deeper than 256 levels/],
    ['a.bin', Buffer.from([1, 0, 2]), 'text', 'whole', /is binary/],
    ['a.bin', Buffer.from([0xff, 0xfe, 0xfd]), 'text', 'whole', /is binary/],
    ['a.csv', Buffer.from('id,v\n1,\xe9\n', 'latin1'), 'id,v\n1,é\n', 'rows', undefined],
  ] as const) {
    const found = compare(path, from, to)
    assert.equal(found.as, as, path)
    if (note === undefined) assert.equal(found.note, undefined, path)
    else assert.match(found.note ?? '', note)
  }
})

test('a key that does not hold in a file is left aside and told', () => {
  const found = compare('a.csv', 'id,v\n1,a\n', 'id,v\n1,b\n', ['nothing'])
  assert.ok(found.as === 'rows' && found.key[0] === 'id')
  assert.match(found.note ?? '', /the key was not used: the column "nothing" is not in both files/)
})

test('lines are told as people know them, the first ones', () => {
  const found = compare('a.txt', 'a\nb\nc\n', 'a\nB\nc\nd\n')
  assert.deepEqual(found, {
    as: 'lines',
    added: 2,
    removed: 1,
    hunks: [
      {
        fromLine: 1,
        fromLines: 3,
        toLine: 1,
        toLines: 4,
        lines: [' a', '-b', '+B', ' c', '+d'],
      },
    ],
  })
  const numbered = (offset: number) =>
    Array.from({ length: 30_000 }, (_, line) => `${line + offset}\n`).join('')
  assert.match(compare('a.txt', numbered(0), numbered(40_000)).note ?? '', /differs too much/)
})

for (const [story, from, to, expected] of [
  ['the same in another order', '{"a":1,"b":[1,2]}', '{"b":[1,2],"a":1}', []],
  [
    'a changed value, deep down',
    '{"a":{"b/c":[1,{"~":1}]}}',
    '{"a":{"b/c":[1,{"~":2}]}}',
    ['changed /a/b~1c/1/~0 1 2'],
  ],
  ['names that came and went', '{"a":1,"b":2}', '{"b":2,"c":null}', ['removed /a 1 -', 'added /c - null']],
  ['an item that went from the middle', '[1,2,3,4]', '[1,2,4]', ['removed /2 3 -']],
  ['an item that came at the beginning', '[1,2]', '[0,1,2]', ['added /0 - 0']],
  ['items that repeat', '[1,1,1]', '[1,1]', ['removed /2 1 -']],
  [
    'numbers written otherwise',
    '{"a":1.0,"b":1e2}',
    '{"a":1,"b":100}',
    ['rewritten /a 1.0 1', 'rewritten /b 1e2 100'],
  ],
  [
    'more digits than a double has',
    '[12345678901234567890]',
    '[12345678901234567891]',
    ['changed /0 12345678901234567890 12345678901234567891'],
  ],
  ['another kind of value', '{"a":[1]}', '{"a":{"0":1}}', ['changed /a [1] {"0":1}']],
  ['the top itself', '1', '2', ['changed  1 2']],
  [
    'a name that means something to engines',
    '{"__proto__":{"a":1}}',
    '{"__proto__":{"a":2}}',
    ['changed /__proto__/a 1 2'],
  ],
  ['text that looks like a number', '["1.0"]', '["1"]', ['changed /0 "1.0" "1"']],
] as const) {
  test(`JSON: ${story}`, () => {
    const { told } = diffValues(parseJson(from), parseJson(to), toldMax)
    const lines = told.map((one) => `${one.change} ${one.pointer} ${one.from ?? '-'} ${one.to ?? '-'}`)
    assert.deepEqual(lines, expected)
  })
}

type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain }

/** Follows what was told: values first, then what went, from the end, then what came, from the beginning. */
function apply(value: Plain, { told }: ValueDiff): Plain {
  const top: { '': Plain } = { '': structuredClone(value) }
  const place = (pointer: string) => {
    const names = ['', ...pointer.split('/').slice(1)].map((name) =>
      name.replaceAll('~1', '/').replaceAll('~0', '~'),
    )
    const last = names.pop() as string
    let at: Plain = top
    for (const name of names) at = (at as { [name: string]: Plain })[name] as Plain
    return { at, last }
  }
  const having = (change: string) => told.filter((one) => one.change === change)
  for (const { pointer, to } of [...having('changed'), ...having('rewritten')]) {
    const { at, last } = place(pointer)
    ;(at as { [name: string]: Plain })[last] = JSON.parse(to as string)
  }
  for (const { pointer } of having('removed').reverse()) {
    const { at, last } = place(pointer)
    if (Array.isArray(at)) at.splice(Number(last), 1)
    else delete (at as { [name: string]: Plain })[last]
  }
  for (const { pointer, to } of having('added')) {
    const { at, last } = place(pointer)
    if (Array.isArray(at)) at.splice(Number(last), 0, JSON.parse(to as string))
    else (at as { [name: string]: Plain })[last] = JSON.parse(to as string)
  }
  return top['']
}

const { value: anyJson } = fc.letrec<{ value: Plain }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Plain>(null, true, 0, 1, 2, 'a', 'b', '~/'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'b', '~', '/', ''), tie('value'), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
}))

test('what is told of JSON, applied to the first, gives the second; both directions tell the same', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (from, to) => {
      const [a, b] = [parseJson(JSON.stringify(from)), parseJson(JSON.stringify(to))]
      assert.deepEqual(diffValues(a, a, toldMax).told, [])
      const there = diffValues(a, b, toldMax)
      assert.deepEqual(apply(from, there), to)
      const back = diffValues(b, a, toldMax)
      assert.deepEqual([there.added, there.removed, there.changed], [back.removed, back.added, back.changed])
      assert.deepEqual(
        there.told.map(({ pointer }) => pointer).sort(),
        back.told.map(({ pointer }) => pointer).sort(),
      )
    }),
    { seed: SEED, numRuns: 500 },
  )
})

const file = (path: string, content: string, mode: TreeFile['mode'] = '100644'): TreeFile => {
  return { path, mode, oid: content.repeat(40).slice(0, 40) }
}

test('of two trees the files that differ are told, renamed ones as one', () => {
  const empty = { path: 'x', mode: '100644', oid: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391' } as const
  const from = [file('a', '1'), file('b', '2'), file('c/d', '3'), file('e', '4'), { ...empty, path: 'gone' }]
  const to = [
    file('a', '1'),
    file('b', '5'),
    file('e', '4', '100755'),
    file('f/d', '3'),
    { ...empty, path: 'new' },
  ]
  const { files, unchanged } = diffTrees(from, to)
  const brief = files.map((one) => `${one.change} ${one.from?.path ?? '-'} ${one.to?.path ?? '-'}`)
  assert.deepEqual(brief, ['changed b b', 'changed e e', 'renamed c/d f/d', 'removed gone -', 'added - new'])
  assert.equal(unchanged, 1)
  const many = diffTrees([file('a/x', '1'), file('b/y', '1')], [file('c/y', '1'), file('d/z', '1')])
  assert.deepEqual(
    many.files.map((one) => `${one.from?.path} ${one.to?.path}`),
    ['b/y c/y', 'a/x d/z'],
  )
})

const anyTree = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c/a', 'c/b', 'd'), fc.constantFrom('1', '2', '3')), {
    selector: ([path]) => path,
  })
  .map((files) =>
    files.map(([path, content]) => file(path, content)).sort((a, b) => (a.path < b.path ? -1 : 1)),
  )

test('trees: nothing differs from itself, and every file is accounted for in both directions', () => {
  fc.assert(
    fc.property(anyTree, anyTree, (from, to) => {
      assert.deepEqual(diffTrees(from, from).files, [])
      const [there, back] = [diffTrees(from, to), diffTrees(to, from)]
      const pairs = (files: typeof there.files, turn: boolean) =>
        files
          .map((one) => (turn ? [one.to?.path, one.from?.path] : [one.from?.path, one.to?.path]).join())
          .sort()
      assert.deepEqual(pairs(there.files, false), pairs(back.files, true))
      const kept = from.filter((one) => !there.files.some((other) => other.from === one))
      const result = [...kept, ...there.files.flatMap((one) => (one.to === undefined ? [] : [one.to]))]
      assert.deepEqual(
        result.map(({ path, oid }) => `${path} ${oid}`).sort(),
        to.map(({ path, oid }) => `${path} ${oid}`).sort(),
      )
    }),
    { seed: SEED, numRuns: 500 },
  )
})

const SIDE = { mode: '100644', oid: '1'.repeat(40), size: 1 } as const
const OTHER = { ...SIDE, oid: '2'.repeat(40) } as const

function changed(path: string, from: string, to: string): FileDiff {
  return { path, change: 'changed', from: SIDE, to: OTHER, comparison: compare(path, from, to) }
}

test('differences are told in sentences', () => {
  const rows = (count: number) =>
    `id,version\n${Array.from({ length: count }, (_, id) => `p${id},1\n`).join('')}`
  const packages = changed('packages.csv', rows(270), rows(268).replace('p5,1', 'p5,2'))
  const diff = (files: FileDiff[], unchanged = 0): Omit<DatasetDiff, 'summary'> => ({
    from: { name: 'alice', commit: 'a' },
    to: { name: 'carol', commit: 'b' },
    counts: { added: 0, removed: 0, changed: files.length, renamed: 0, unchanged },
    files: files.map((one) => ({ ...one, summary: describeFile(one) })),
  })
  assert.equal(
    summaryOf(diff([packages], 4)),
    'carol differs from alice: 3 of 270 rows in packages.csv (2 removed, 1 changed: version)',
  )
  assert.equal(summaryOf(diff([])), 'carol does not differ from alice')
  const notes = changed('notes.txt', 'a\n', 'b\nc\n')
  assert.equal(
    summaryOf(diff([notes, packages, notes, notes], 2)),
    'carol differs from alice in 4 of 6 files: 3 lines in notes.txt (1 removed, 2 added); ' +
      '3 of 270 rows in packages.csv (2 removed, 1 changed: version); 3 lines in notes.txt (1 removed, 2 added); and 1 more',
  )
  for (const [one, sentence] of [
    [changed('a.csv', 'id,v\n1,1\n', 'id,v\n1,1.0\n'), 'a.csv: numbers of 1 row written otherwise'],
    [changed('a.csv', 'id,v\n1,1\n', 'v,id\n1,1\n'), 'a.csv: columns in another order'],
    [changed('a.csv', 'id,v\n1,1\n', 'id,v,w\n1,1,\n'), 'a.csv: column w added'],
    [changed('a.csv', 'id\n1\n', '"id"\n1\n'), 'a.csv says the same, written otherwise'],
    [changed('a.json', '{"a":1,"b":2}', '{"a":2,"b":2}'), '1 of 2 entries in a.json (1 value: 1 changed)'],
    [changed('a.json', '{"a":1.0}', '{"a":1}'), 'a.json says the same, written otherwise (1 number)'],
    [{ ...changed('run', 'a', 'a'), to: { ...SIDE, mode: '100755' } }, 'run became executable'],
    [{ path: 'b', previousPath: 'a', change: 'renamed', from: SIDE, to: SIDE }, 'a renamed to b'],
    [{ path: 'b', change: 'removed', from: SIDE }, 'b removed'],
  ] as const) {
    assert.equal(describeFile(one), sentence)
  }
  assert.equal(sameContent(compare('a.csv', 'id\n1\n', '"id"\n1\n')), true)
  assert.equal(sameContent(compare('a.csv', 'id\n1\n', 'id\n2\n')), false)
})

test('what is told is cut where it is long', () => {
  const long = 'x'.repeat(10_000)
  for (const comparison of [
    compare('a.csv', `id,v\n1,a\n`, `id,v\n1,${long}\n`),
    compare('a.json', `{"${long}":1}`, `{"${long}":"${long}"}`),
    compare('a.txt', 'a', long),
  ]) {
    assert.ok(JSON.stringify(comparison).length > 10_000)
    assert.ok(JSON.stringify(trimmed(comparison)).length < 3_000)
  }
})

test('a comparison works in a thread, which is ended when its time is up', async (t) => {
  const comparer = new Comparer()
  t.after(() => comparer.close())
  const contents = (from: string, to: string) => ({
    from: new Uint8Array(Buffer.from(from)),
    to: new Uint8Array(Buffer.from(to)),
  })
  const small = () =>
    comparer.compare('a.csv', contents('id\n1\n', 'id\n2\n'), { toldMax }, { timeoutMs: 60_000 })
  assert.equal((await small()).as, 'rows')
  const rows = (step: number) =>
    Array.from({ length: 200_000 }, (_, row) => `${row * step},x,${row}`).join('\n')
  const large = await comparer.compare('a.csv', contents(rows(1), rows(3)), { toldMax }, { timeoutMs: 5 })
  assert.equal(large.as, 'whole')
  assert.match(large.note ?? '', /takes more than/)
  assert.equal((await small()).as, 'rows')
  const stopped = comparer.compare(
    'a.csv',
    contents(rows(1), rows(3)),
    { toldMax },
    { timeoutMs: 60_000, signal: AbortSignal.timeout(1) },
  )
  await assert.rejects(stopped, { name: 'TimeoutError' })
})
