import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { csvTables, delimiterOf, parseQuoted, splitPlain } from '../../../src/datasets/diff/csv-table.ts'
import { jsonTable, linesTable } from '../../../src/datasets/diff/json-table.ts'
import { parseJson } from '../../../src/datasets/diff/json-value.ts'
import { canonicalNumber, sameNumber } from '../../../src/datasets/diff/number-writing.ts'
import { diffTables } from '../../../src/datasets/diff/row-diff.ts'
import type { Cell, RowChange, Table, TableDiff } from '../../../src/datasets/diff/table.ts'
import { Unreadable } from '../../../src/datasets/diff/unreadable.ts'

const SEED = 20261121
const toldMax = Number.POSITIVE_INFINITY

function diffCsv(from: string, to: string, key?: string[]): TableDiff {
  const tables = csvTables(from, to, false)
  return diffTables(tables.from, tables.to, { toldMax, ...(key === undefined ? {} : { key }) })
}

/** A diff in one line each: `-2 -1 ~version`. */
function brief({ rows, columns, moved }: TableDiff): string {
  const words = [
    ...(rows.added > 0 ? [`+${rows.added}`] : []),
    ...(rows.removed > 0 ? [`-${rows.removed}`] : []),
    ...(rows.changed > 0 ? [`~${rows.changed}`] : []),
    ...(rows.rewritten > 0 ? [`≈${rows.rewritten}`] : []),
    ...columns.changed.map(({ column, rows: count }) => `${column}×${count}`),
    ...columns.added.map((name) => `+${name}`),
    ...columns.removed.map((name) => `-${name}`),
    ...columns.renamed.map(({ from, to }) => `${from}→${to}`),
    ...(columns.reordered ? ['columns moved'] : []),
    ...(moved ? ['rows moved'] : []),
  ]
  return words.join(' ')
}

test('numbers are the same however they are written, to the last digit', () => {
  for (const [a, b] of [
    ['1.0', '1'],
    ['1e3', '1000'],
    ['-0.50', '-.5'],
    ['+7', '7'],
    ['0', '-0.000'],
    ['123456789012345678901234567890', '123456789012345678901234567890.0'],
    [' 12 ', '12'],
    ['0.1e1', '1'],
  ] as const) {
    assert(sameNumber(a, b), `${a} and ${b}`)
  }
  for (const [a, b] of [
    ['1', '2'],
    ['0.1', '0.10000000000000000001'],
    ['9007199254740993', '9007199254740992'],
    ['007', '7'],
    ['1,5', '1.5'],
    ['', '0'],
    ['.', '0'],
    ['1.', '1e'],
    ['NaN', 'nan'],
    ['0x10', '16'],
    ['1e9999999', '1e9999999 '],
  ] as const) {
    assert(!sameNumber(a, b), `${a} and ${b}`)
  }
  assert.equal(canonicalNumber('12345678e100'), canonicalNumber('1.2345678e107'))
})

const PACKAGES = 'name,version,stars\nalpha,1.0.0,5\nbeta,2.1.0,7\ngamma,0.3.1,9\n'

for (const [story, from, to, expected] of [
  ['the same', PACKAGES, PACKAGES, ''],
  [
    'line ends and quotes',
    PACKAGES,
    '"name","version","stars"\r\nalpha,"1.0.0",5\r\nbeta,2.1.0,7\r\ngamma,0.3.1,9',
    '',
  ],
  ['a byte order mark', PACKAGES, `\ufeff${PACKAGES}`, ''],
  ['another delimiter', PACKAGES, PACKAGES.replaceAll(',', ';'), ''],
  ['an empty line at the end', PACKAGES, `${PACKAGES}\n\n`, ''],
  ['a changed value', PACKAGES, PACKAGES.replace('2.1.0', '2.2.0'), '~1 version×1'],
  ['a row that went', PACKAGES, PACKAGES.replace('beta,2.1.0,7\n', ''), '-1'],
  ['a row that came', PACKAGES, `${PACKAGES}delta,1,1\n`, '+1'],
  [
    'rows in another order',
    PACKAGES,
    'name,version,stars\ngamma,0.3.1,9\nalpha,1.0.0,5\nbeta,2.1.0,7\n',
    'rows moved',
  ],
  [
    'columns in another order',
    PACKAGES,
    'stars,name,version\n5,alpha,1.0.0\n7,beta,2.1.0\n9,gamma,0.3.1\n',
    'columns moved',
  ],
  ['a number written otherwise', PACKAGES, PACKAGES.replace(',5\n', ',5.0\n'), '≈1'],
  [
    'a column that came',
    PACKAGES,
    'name,version,stars,forks\nalpha,1.0.0,5,0\nbeta,2.1.0,7,0\ngamma,0.3.1,9,0\n',
    '+forks',
  ],
  ['a column that went', PACKAGES, 'name,stars\nalpha,5\nbeta,7\ngamma,9\n', '-version'],
  ['a column of another name', PACKAGES, PACKAGES.replace('version', 'release'), 'version→release'],
  [
    'the key of another name, and a value',
    PACKAGES,
    PACKAGES.replace('name', 'package').replace(',9', ',8'),
    '~1 stars×1 name→package',
  ],
  [
    'a column that only looks alike',
    'id,seen\n1,yes\n2,no\n3,yes\n4,no\n',
    'id,used\n1,no\n2,yes\n3,no\n4,yes\n',
    '+used -seen',
  ],
  ['a row from nothing', '', PACKAGES, '+3'],
  [
    'quotes round delimiters, quotes and line breaks',
    'id,text\n1,"a, ""b""\nc"\n',
    'id,text\n1,"a, ""b""\nd"\n',
    '~1 text×1',
  ],
  ['no names: all by number', '1,10\n2,20\n', '1,10\n2,21\n', '~1 2×1'],
  ['equal rows, and nothing else', 'who,what\na,x\na,x\nb,x\nb,x\n', 'who,what\na,x\na,x\nb,x\nb,x\n', ''],
  ['nothing that tells rows apart', 'who,what\na,x\na,x\na,y\n', 'who,what\na,x\na,y\na,y\n', '+1 -1'],
  [
    'two columns tell rows apart',
    'day,site,n\n1,a,5\n1,b,5\n2,a,6\n2,b,6\n',
    'day,site,n\n1,a,5\n1,b,7\n2,a,6\n2,b,6\n',
    '~1 n×1',
  ],
  ['keys written as other numbers', 'id,v\n1,a\n2,b\n', 'id,v\n1.0,a\n2.0,c\n', '~1 ≈1 v×1'],
  ['a row that is too short', 'id,v\n1,a\n2,b\n', 'id,v\n1,a\n2\n', '~1 v×1'],
  ['a row that is too long', 'id,v\n1,a\n', 'id,v\n1,a,b\n', '+#3'],
] as const) {
  test(`CSV: ${story}`, () => {
    assert.equal(brief(diffCsv(from, to)), expected)
  })
}

test('what is told of a row is its key, and each value that differs', () => {
  const diff = diffCsv(PACKAGES, 'name,version,stars\nalpha,1.0.0,5.0\nbeta,2.2.0,7e0\ndelta,1,\n')
  assert.deepEqual(diff.key, ['name'])
  assert.deepEqual(diff.told, [
    {
      change: 'rewritten',
      fromRow: 1,
      toRow: 1,
      key: ['alpha'],
      cells: [{ column: 'stars', from: '5', to: '5.0', sameNumber: true }],
    },
    {
      change: 'changed',
      fromRow: 2,
      toRow: 2,
      key: ['beta'],
      cells: [
        { column: 'version', from: '2.1.0', to: '2.2.0' },
        { column: 'stars', from: '7', to: '7e0', sameNumber: true },
      ],
    },
    {
      change: 'removed',
      fromRow: 3,
      key: ['gamma'],
      cells: [
        { column: 'name', from: 'gamma' },
        { column: 'version', from: '0.3.1' },
        { column: 'stars', from: '9' },
      ],
    },
    {
      change: 'added',
      toRow: 3,
      key: ['delta'],
      cells: [
        { column: 'name', to: 'delta' },
        { column: 'version', to: '1' },
        { column: 'stars', to: '' },
      ],
    },
  ])
  assert.equal(diffTables(...told(PACKAGES, ''), { toldMax: 1 }).told.length, 1)
})

function told(from: string, to: string): [Table, Table] {
  const tables = csvTables(from, to, false)
  return [tables.from, tables.to]
}

test('the leftmost of equals tells rows apart, a measured value only where no word does', () => {
  assert.deepEqual(diffCsv('one,two\n1,a\n2,b\n', 'one,two\n1,a\n2,b\n').key, ['one'])
  assert.deepEqual(
    diffCsv('score,package,x\n0.5,a,1\n0.6,b,1\n', 'score,package,x\n0.5,a,1\n0.6,b,2\n').key,
    ['package'],
  )
  assert.deepEqual(diffCsv('v,word\n1,a\n2,b\n3,c\n', 'v,word\n1,a\n2,b\n4,c\n').key, ['word'])
})

test('a key that is given is used, and one that does not hold is refused', () => {
  const [from, to] = ['id,mail\n1,a\n2,b\n', 'id,mail\n2,a\n1,b\n']
  assert.equal(brief(diffCsv(from, to, ['mail'])), '~2 id×2')
  assert.equal(brief(diffCsv(from, to, ['id'])), '~2 mail×2 rows moved')
  assert.throws(() => diffCsv(from, to, ['absent']), /"absent" is not in both/)
  assert.throws(() => diffCsv('a,b\n1,1\n1,2\n', 'a,b\n1,1\n', ['a']), /does not tell all rows apart/)
})

test('the delimiter is what the first line is parted by', () => {
  assert.equal(delimiterOf('a;b;c\n1,5;2,5;3,5'), ';')
  assert.equal(delimiterOf('"x;y;z",b\n'), ',')
  assert.equal(delimiterOf('a\tb'), '\t')
  assert.equal(delimiterOf('alone'), ',')
})

test('text without quotes is split as the parser would have it', () => {
  const piece = fc.constantFrom('a', 'bc', ',', ';', '\n', '\r\n', '\r', ' ', '')
  const record = (cells: string[]) => cells
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 20 }),
      fc.constantFrom(',' as const, ';' as const),
      (pieces, delimiter) => {
        const text = pieces.join('')
        assert.deepEqual(splitPlain(text, delimiter, 5, record), parseQuoted(text, delimiter, 5, record))
      },
    ),
    { seed: SEED, numRuns: 1_000 },
  )
})

test('all writings of a number have one canonical one, and no two numbers share it', () => {
  const digits = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
  fc.assert(
    fc.property(
      digits,
      fc.integer({ min: -50, max: 50 }),
      fc.nat(3),
      digits,
      (value, scale, zeros, other) => {
        fc.pre(value !== 0n || zeros === 0)
        const written = `${value}${'0'.repeat(zeros)}.${'0'.repeat(zeros)}e${scale - zeros}`
        assert.equal(canonicalNumber(written), canonicalNumber(`${value}e${scale}`))
        assert.equal(sameNumber(`${value}e${scale}`, `${other}e${scale}`), value === other)
        if (value !== 0n) assert(!sameNumber(`${value}e${scale}`, `${value}e${scale + 1}`))
      },
    ),
    { seed: SEED, numRuns: 1_000 },
  )
  assert.equal(canonicalNumber('1e31'), canonicalNumber(`1${'0'.repeat(31)}`))
  assert.equal(canonicalNumber('1e30'), canonicalNumber(`1${'0'.repeat(30)}`))
})

test('what is no CSV is told as such', () => {
  assert.throws(() => csvTables('a,b\n"never ends', 'a,b\n', false), Unreadable)
})

test('lists of objects are rows, whatever the order of their names', () => {
  const table = (text: string) => jsonTable(parseJson(text)) as Table
  const from = table('[{"id":"a","n":1.0,"tags":["x"]},{"id":"b","n":2}]')
  const to = table('[{"n":1,"id":"a","tags":["x"]},{"n":2,"id":"b","tags":null}]')
  const diff = diffTables(from, to, { toldMax })
  assert.equal(brief(diff), '~1 ≈1 tags×1')
  assert.deepEqual(diff.told[1], {
    change: 'changed',
    fromRow: 2,
    toRow: 2,
    key: ['"b"'],
    cells: [{ column: 'tags', to: 'null' }],
  })
  assert.equal(jsonTable(parseJson('[1,2]')), undefined)
  assert.equal(
    brief(diffTables(table('[{"__proto__":1}]'), table('[{"__proto__":2}]'), { toldMax })),
    '+1 -1',
  )
})

test('a line of JSON each is a row, and a line that is none is named', () => {
  const diff = diffTables(linesTable('{"id":1}\n\n{"id":2}\n'), linesTable('{"id":2}\n{"id":1}'), { toldMax })
  assert.equal(brief(diff), 'rows moved')
  assert.equal(
    brief(diffTables(linesTable('1\n2\n2'), linesTable('2\n1\n1'), { toldMax })),
    '+1 -1 rows moved',
  )
  assert.throws(() => linesTable('{}\nnothing'), /line 2 is not readable as JSON/)
})

// What follows holds for any tables, not only for those somebody thought of.

const cell = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '', '1', '1.0', '10', '1e1', '007', '"', 'x,y', 'line\nbreak'),
  fc.string({ maxLength: 3 }),
)
const columns = ['id', 'name', 'v', 'w']

function tableOf(rows: readonly (readonly Cell[])[], order: readonly number[] = [0, 1, 2, 3]): Table {
  return {
    columns: order.map((index) => columns[index] as string),
    named: true,
    ordered: true,
    rows: rows.map((row) => order.map((index) => row[index])),
  }
}

const anyRows = fc.array(fc.tuple(cell, cell, cell, cell), { maxLength: 12 })
const keyedRows = fc
  .uniqueArray(fc.tuple(fc.nat(15), cell, cell, cell), { maxLength: 12, selector: ([id]) => id })
  .map((rows) => rows.map(([id, ...rest]) => [`k${id}`, ...rest]))
const order = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 })
const anyTable = fc.tuple(fc.oneof(anyRows, keyedRows), order).map(([rows, places]) => tableOf(rows, places))

test('a table does not differ from itself', () => {
  fc.assert(
    fc.property(anyTable, (table) => {
      assert.equal(brief(diffTables(table, table, { toldMax })), '')
    }),
    { seed: SEED },
  )
})

/** The rows of the second table, made of those of the first and of what was told. */
function apply(from: Table, to: Table, { told: changes }: TableDiff): string[] {
  const asObject = (names: readonly string[], row: readonly Cell[]) =>
    new Map(names.map((name, index) => [name, row[index]]))
  const byPlace = new Map(
    changes.flatMap((change) => (change.fromRow ? [[change.fromRow - 1, change]] : [])) as [
      number,
      RowChange,
    ][],
  )
  const rows = from.rows.flatMap((row, place) => {
    const values = asObject(from.columns, row)
    const change = byPlace.get(place)
    if (change?.change === 'removed') return []
    for (const { column, from: before, to: after } of change?.cells ?? []) {
      assert.equal(values.get(column), before)
      values.set(column, after)
    }
    return [values]
  })
  for (const { change, cells } of changes) {
    if (change === 'added') rows.push(new Map(cells.map(({ column, to: value }) => [column, value])))
  }
  return rows.map((row) => JSON.stringify(to.columns.map((name) => row.get(name)))).sort()
}

test('what is told, applied to the first table, gives the second', () => {
  fc.assert(
    fc.property(anyTable, anyTable, (from, to) => {
      const diff = diffTables(from, to, { toldMax })
      assert.deepEqual(apply(from, to, diff), to.rows.map((row) => JSON.stringify(row)).sort())
    }),
    { seed: SEED, numRuns: 500 },
  )
})

function turned(diff: TableDiff): unknown {
  const opposite = { added: 'removed', removed: 'added', changed: 'changed', rewritten: 'rewritten' } as const
  const { rows, columns: names } = diff
  return {
    rows: { ...rows, from: rows.to, to: rows.from, added: rows.removed, removed: rows.added },
    columns: {
      ...names,
      added: names.removed,
      removed: names.added,
      renamed: names.renamed.map(({ from, to }) => ({ from: to, to: from })),
    },
    key: [...diff.key].sort(),
    moved: diff.moved,
    told: diff.told
      .map(({ change, fromRow = 0, toRow = 0 }) => `${opposite[change]} ${toRow} ${fromRow}`)
      .sort(),
  }
}

function plain(diff: TableDiff): unknown {
  return {
    rows: diff.rows,
    columns: diff.columns,
    key: [...diff.key].sort(),
    moved: diff.moved,
    told: diff.told.map(({ change, fromRow = 0, toRow = 0 }) => `${change} ${fromRow} ${toRow}`).sort(),
  }
}

test('both directions tell the same', () => {
  fc.assert(
    fc.property(anyTable, anyTable, (from, to) => {
      const there = diffTables(from, to, { toldMax })
      const back = diffTables(to, from, { toldMax })
      assert.deepEqual(turned(there), plain(back))
    }),
    { seed: SEED, numRuns: 500 },
  )
})
