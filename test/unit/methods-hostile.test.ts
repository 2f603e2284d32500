import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  entriesMax,
  entryBytesMax,
  entryColumnsMax,
  entryFileBytesMax,
  jsonFileBytesMax,
  labelEntriesMax,
} from '../../src/base/limits-consensus.ts'
import { inspectFile, isEntryFile } from '../../src/consensus/methods/entry-methods.ts'
import type { EntryMethod } from '../../src/consensus/methods/file-merge.ts'
import { KeyTable } from '../../src/consensus/methods/key-table.ts'
import { KeyedHash } from '../../src/consensus/methods/keyed-hash.ts'
import { matchesPattern } from '../../src/consensus/methods/path-pattern.ts'

const rows: EntryMethod = { name: 'rows', key: ['id'] }
const MIB = 1024 * 1024

test('bombs are refused at their bound, before they cost what they threaten', async () => {
  const bombs: readonly (readonly [string, Uint8Array, RegExp, EntryMethod?])[] = [
    ['a.csv', new Uint8Array(entryFileBytesMax + 1), /^more than 134217728 bytes$/],
    ['a.json', Buffer.alloc(jsonFileBytesMax + 1, ' '), /^more than 33554432 bytes of JSON$/],
    ['a.csv', Buffer.from(`id,${','.repeat(entryColumnsMax)}\n`), /^line 1: more than 1024 columns$/],
    [
      'a.csv',
      Buffer.from(`id\n"${'x'.repeat(entryBytesMax)}"\n`),
      /^line 2: a row has more than 1048576 bytes$/,
    ],
    ['a.csv', Buffer.from(`id\n"${'\n'.repeat(8 * MIB)}`), /^line 2: a quotation mark that is never closed$/],
    ['a.jsonl', Buffer.from(`{"id":"${'x'.repeat(entryBytesMax)}"}\n`), /^line 1: more than 1048576 bytes$/],
    ['a.json', Buffer.from('['.repeat(8 * MIB)), /^line 1: an entry that is no object$/],
    ['a.json', Buffer.from(`[{"id":${'['.repeat(8 * MIB)}`), /^line 1: nested deeper than 64$/],
    [
      'a.json',
      Buffer.from(`[{"id":1,"a":[0${',0'.repeat(8 * MIB)}`),
      /^line 1: an entry has more than 1048576/,
    ],
    ['a.json', Buffer.from(`[{"id":"${'\\'.repeat(8 * MIB)}`), /^line 1: a string that does not end/],
    [
      'a.csv',
      Buffer.from(`id,l\n${Array.from({ length: labelEntriesMax + 1 }, (_, i) => `${i},x\n`).join('')}`),
      /^line 20002: more than 20000 entries with labels$/,
      { name: 'dawid-skene', key: ['id'] },
    ],
  ]
  for (const [path, bytes, reason, method] of bombs) {
    assert.match((await inspectFile(method ?? rows, path, bytes)) ?? 'can be counted', reason)
  }
})

test('a table of more rows than are compared is left at the first row too many', async () => {
  // Two columns, so that no row is empty; every name is different.
  const bytes = Buffer.alloc((entriesMax + 10) * 9 + 5, 'id,v\n')
  for (let row = 0; row < entriesMax + 10; row += 1)
    bytes.write(`${String(row).padStart(7, '0')},\n`, 5 + 9 * row, 'latin1')
  assert.equal(
    await inspectFile(rows, 'a.csv', bytes),
    `line ${entriesMax + 2}: more than ${entriesMax} rows`,
  )
})

test('an inspection that is called off ends', async () => {
  const bytes = Buffer.from(`id\n${Array.from({ length: 50_000 }, (_, i) => `${i}\n`).join('')}`)
  await assert.rejects(inspectFile(rows, 'a.csv', bytes, AbortSignal.abort(new Error('enough'))), /enough/)
})

test('a pattern of many stars takes no longer for it', () => {
  const path = 'a'.repeat(4_000)
  assert.equal(matchesPattern(`${'**a'.repeat(42)}b`, path), false)
  assert.equal(matchesPattern(`${'*a'.repeat(63)}*`, path), true)
})

test('a method looks into what it can read, and into what its rule names', () => {
  assert.equal(isEntryFile(rows, 'x/y/a.CSV'), true)
  assert.equal(isEntryFile(rows, 'a.ndjson'), true)
  assert.equal(isEntryFile(rows, 'a.csv.gz'), false)
  assert.equal(isEntryFile({ ...rows, files: ['data/**'] }, 'a.csv'), false)
  assert.equal(isEntryFile({ ...rows, files: ['data/**'] }, 'data/x/a.csv'), true)
  assert.equal(isEntryFile({ ...rows, files: ['**'] }, 'image.png'), false)
  assert.equal(isEntryFile({ name: 'weighted' }, 'a.csv'), false)
})

test('names are hashed by HalfSipHash-1-3, as the kernel of Linux tests it for machines of 32 bits', () => {
  const hash = new KeyedHash(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7))
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i)
  const known = [0x88b4c4cc, 0x3e7f480b, 0x74c1ebf8, 0x87178304]
  assert.deepEqual(
    known.map((_, i) => hash.of(bytes, 0, 60 + i)),
    known,
  )
})

test('names keep their numbers however many there are, and those that share a hash are told apart', () => {
  const table = new KeyTable(new KeyedHash(Buffer.alloc(8, 7)))
  const name = (i: number) => Buffer.from(`key-${i}`)
  for (let i = 0; i < 50_000; i += 1) assert.equal(table.number(name(i), 0, name(i).length), i)
  for (let i = 0; i < 50_000; i += 97) {
    assert.equal(table.number(name(i), 0, name(i).length), i)
    assert.equal(Buffer.from(table.key(i)).toString(), `key-${i}`)
  }
  // Every name in one place of the table: slow, and right.
  const flat = new KeyTable({ of: () => 5 } as unknown as KeyedHash)
  for (let i = 0; i < 300; i += 1) assert.equal(flat.number(name(i), 0, name(i).length), i)
  assert.equal(flat.number(name(123), 0, name(123).length), 123)
})
