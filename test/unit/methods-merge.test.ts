import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { labelEntriesMax } from '../../src/base/limits-consensus.ts'
import { cellsOf } from '../../src/consensus/methods/cells.ts'
import { courtOf, votersOf } from '../../src/consensus/methods/court.ts'
import { type Frame, LF_ENDING } from '../../src/consensus/methods/entry.ts'
import { entryReader } from '../../src/consensus/methods/entry-files.ts'
import { mergeFile, weightedMajority } from '../../src/consensus/methods/entry-methods.ts'
import type { EntryMethod, FileMerge } from '../../src/consensus/methods/file-merge.ts'
import { LabelColumns } from '../../src/consensus/methods/label-columns.ts'
import { strangeness } from '../../src/consensus/methods/strangeness.ts'

const seed = Number(process.env.MAO_TEST_SEED ?? 20_261_122)
const rows: EntryMethod = { name: 'rows', key: ['id'] }
const numeric: EntryMethod = { name: 'numeric', key: ['id'], tolerance: { absolute: 1 } }
const labels: EntryMethod = { name: 'dawid-skene', key: ['id'] }

interface Case {
  readonly method?: EntryMethod
  readonly path?: string
  readonly truth?: string | undefined
  readonly ballots: readonly (string | undefined)[]
  readonly scratch?: () => Promise<string>
}

async function merge({ method = rows, path = 'a.csv', truth, ballots, scratch }: Case): Promise<FileMerge> {
  const texts = [...new Set([truth, ...ballots])]
  const idOf = (text: string | undefined) => (text === undefined ? undefined : `id-${texts.indexOf(text)}`)
  return mergeFile(
    method,
    { path, parent: idOf(truth), ballots: new Map(ballots.map((text, i) => [`peer-${i}`, idOf(text)])) },
    {
      read: async (id) => Buffer.from(texts[Number(id.slice(3))] ?? ''),
      scratch: scratch ?? (() => assert.fail('so little needs no disk')),
    },
  )
}

const utf8 = (words: string) => new TextEncoder().encode(words)

function frameOf(bytes: Uint8Array): Frame {
  const reader = entryReader(labels, 'a.csv', bytes)
  while (reader.next() !== undefined);
  return reader.frame()
}

function text({ bytes }: FileMerge): string | undefined {
  return bytes && Buffer.from(bytes).toString()
}

const field = fc.constantFrom('', '1', '2', '3.5', 'x', '"', 'a,b', 'a\nb', '\u{1f600}')
const written = (said: string) => (/[",\n]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said)
const table = (value: fc.Arbitrary<string>) =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', '"d"', 'e,f', '\uff5e', '\u{1f600}'), value), {
      selector: ([id]) => id,
      maxLength: 6,
    })
    .map((entries) => `id,v\n${entries.map(([id, said]) => `${written(id)},${written(said)}\n`).join('')}`)
const tables: readonly (readonly [EntryMethod, fc.Arbitrary<string>])[] = [
  [rows, table(field)],
  [numeric, table(fc.constantFrom('', '1', '1.5', '2', '7', '1e0'))],
  [labels, table(fc.constantFrom('', 'x', 'y', 'z'))],
]

for (const [method, version] of tables) {
  test(`whatever members have, a merge by ${method.name} keeps the laws of merging`, async () => {
    const property = fc.asyncProperty(
      fc.option(version, { nil: undefined }),
      fc.array(fc.option(version, { nil: undefined, freq: 8 }), { minLength: 1, maxLength: 7 }),
      async (truth, ballots) => {
        const merged = await merge({ method, truth, ballots })
        // Who has what does not matter.
        const turned = await merge({ method, truth, ballots: [...ballots].reverse() })
        assert.equal(text(turned), text(merged))
        assert.deepEqual(turned.contested, merged.contested)
        assert.equal(turned.agreement.percent, merged.agreement.percent)
        // What was agreed on by all before stays.
        const agreed = text(merged)
        if (agreed === undefined) return
        const again = await merge({ method, truth: agreed, ballots: [agreed, agreed, agreed] })
        assert.equal(text(again), agreed)
        assert.equal(again.changed, false)
        assert.equal(again.contested.count, 0)
      },
    )
    await fc.assert(property, { seed, numRuns: 100 })
  })
}

test('a file that more than half have byte for byte wins, in the order of the truth', async () => {
  const property = fc.asyncProperty(
    fc.option(table(field), { nil: undefined }),
    table(field),
    fc.array(fc.option(table(field), { nil: undefined }), { maxLength: 3 }),
    async (truth, most, others) => {
      const merged = await merge({ truth, ballots: [...Array.from({ length: 4 }, () => most), ...others] })
      const alone = await merge({ truth, ballots: [most] })
      assert.equal(text(merged), text(alone))
      assert.equal(merged.contested.count, 0)
      for (const peer of ['peer-0', 'peer-1', 'peer-2', 'peer-3']) {
        const { missing, extra, different } = merged.members.get(peer) ?? assert.fail(peer)
        assert.equal(missing.count + extra.count + different.count, 0)
      }
    },
  )
  await fc.assert(property, { seed, numRuns: 100 })
})

async function scratchOf(context: TestContext): Promise<() => Promise<string>> {
  const directory = await mkdtemp(join(tmpdir(), 'mao-methods-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return async () => directory
}

test('what does not fit into memory comes out the same by way of the disk', async (context) => {
  const count = 60_000
  const wide = 'w'.repeat(160)
  const version = (liar: number) => {
    const lines = Array.from(
      { length: count },
      (_, i) => `r${(i * 7919) % count},${i % 5 === liar ? liar : 'v'},${wide}\n`,
    )
    return `id,v,w\n${lines.join('')}`
  }
  let asked = 0
  const directory = await scratchOf(context)
  const merged = await merge({
    ballots: [0, 1, 2, 3, 4].map(version),
    scratch: () => {
      asked += 1
      return directory()
    },
  })
  assert.equal(asked, 1)
  const ids = Array.from({ length: count }, (_, i) => `r${i}`).sort()
  assert.equal(text(merged), `id,v,w\n${ids.map((id) => `${id},v,${wide}\n`).join('')}`)
  assert.deepEqual(merged.contested, { count: 0, first: [] })
  assert.equal(merged.members.get('peer-3')?.different.count, count / 5)
})

test('rows are merged while others have their turn, and a merge that is called off ends', async () => {
  const controller = new AbortController()
  const reading = mergeFile(
    rows,
    {
      path: 'a.csv',
      parent: undefined,
      ballots: new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    },
    {
      read: async () => {
        controller.abort(new Error('enough'))
        return Buffer.from('id,v\na,1\n')
      },
      scratch: () => assert.fail(),
      signal: controller.signal,
    },
  )
  await assert.rejects(reading, /enough/)
})

test('a truth that is no table is told of and counts as empty', async () => {
  const merged = await merge({
    truth: 'id,id\n',
    ballots: ['id,v\na,1\nb,1\n', 'id,v\na,1\n', 'id,v\na,1\nb,2\n'],
  })
  assert.equal(text(merged), 'id,v\na,1\n')
  assert.deepEqual(merged.notes, ['the truth: this version cannot be counted: its entries are not compared'])
})

test('what nobody could look into is no result: the file is contested as a whole, and says why', async () => {
  const block = (name: string) =>
    Array.from({ length: labelEntriesMax / 3 + 1 }, (_, i) => `${name}${i},x\n`).join('')
  const [x, y, z] = ['x', 'y', 'z'].map(block)
  const ballots = [`id,l\n${x}${y}`, `id,l\n${y}${z}`, `id,l\n${x}${z}`]
  const merged = await merge({ method: labels, truth: 'id,l\n', ballots })
  const why = 'what was merged could not be counted again: line 20002: more than 20000 entries with labels'
  assert.equal(merged.whole, why)
  assert.equal(merged.bytes, undefined)
  assert.deepEqual([merged.changed, merged.contested.count, merged.notes[0]], [false, 1, why])
  assert.equal(merged.members.get('peer-0')?.missing.count, 0)
})

test('who has a second entry of one name has no file, whatever was found before', async () => {
  const ballots: (string | undefined)[] = ['id,v\nx,1\n', 'id,v\nx,2\nx,2\n', 'id,v\nx,1\n', 'id,v\nx,3\n']
  const merged = await merge({ truth: 'id,v\nx,2\n', ballots })
  assert.deepEqual(merged.contested.first, ['x'])
  assert.deepEqual(merged.notes, ['peer-1: this version cannot be counted: its entries are not compared'])
  const without = await merge({ truth: 'id,v\nx,2\n', ballots: ballots.with(1, undefined) })
  assert.deepEqual({ ...merged, notes: [] }, without)
})

test('labels that are called off are estimated no further', async () => {
  const version = utf8('id,l\na,x\nb,y\n')
  const voters = votersOf({ path: 'a.csv', parent: undefined, ballots: new Map([['a', '1']]) }, undefined)
  for (const one of voters.versions) one.frame = frameOf(version)
  const court = courtOf(voters, frameOf(version))
  const columns = new LabelColumns(labels, court)
  const written = utf8('a,x')
  const spoken = { version: 0, ordinal: 0, ending: LF_ENDING, written, value: written } as const
  columns.study({ key: utf8('a'), cells: [{ spoken, cells: cellsOf(written, court.frame) }] }, true)
  await assert.rejects(columns.studied(AbortSignal.abort(new Error('enough'))), /enough/)
})

test('a liar with labels of his own in entries of his own moves nobody else', async () => {
  const honest = `id,l\n${Array.from({ length: 20 }, (_, i) => `e${i},${i % 2 ? 'x' : 'y'}\n`).join('')}`
  const lies = `id,l\n${Array.from({ length: 300 }, (_, i) => `e${i},lie-${i}\n`).join('')}`
  const merged = await merge({ method: labels, ballots: [honest, `${honest}f,x\n`, `${honest}g,x\n`, lies] })
  const sorted = honest.split('\n').slice(1, -1).sort().join('\n')
  assert.equal(text(merged), `id,l\n${sorted}\n`)
  assert.equal(merged.members.get('peer-3')?.different.count, 20)
  assert.equal(merged.members.get('peer-3')?.extra.count, 280)
})

test('whole files are weighed as exactly as entries', () => {
  const vote = (held: string | undefined, weight: number) => ({ held, weight })
  assert.deepEqual(weightedMajority([vote('a', 3), vote('b', 1), vote(undefined, 1)]), {
    agreed: true,
    held: 'a',
  })
  assert.deepEqual(weightedMajority([vote('a', 0.1), vote('a', 0.2), vote('b', 0.3)]), { agreed: false })
  assert.deepEqual(weightedMajority([vote(undefined, 2), vote('b', 1)]), { agreed: true, held: undefined })
  assert.deepEqual(weightedMajority([vote('a', Number.NaN), vote('b', -5), vote('c', 1e-3)]), {
    agreed: true,
    held: 'c',
  })
  assert.deepEqual(weightedMajority([]), { agreed: false })
})

test('strangeness by entry is what counting pair by pair gives', () => {
  const entries = fc.dictionary(fc.constantFrom('p', 'q', 'r', 's'), fc.constantFrom('1', '2', '3'))
  const property = fc.property(fc.array(entries, { maxLength: 8 }), (held) => {
    const candidates = new Map(held.map((own, i) => [`c${i}`, new Map(Object.entries(own))]))
    const { scores } = strangeness(candidates)
    for (const [name, own] of candidates) {
      let score = 0
      for (const other of candidates.values()) {
        for (const path of new Set([...own.keys(), ...other.keys()]))
          if (own.get(path) !== other.get(path)) score += 1
      }
      assert.equal(scores.get(name), score)
    }
  })
  fc.assert(property, { seed, numRuns: 500 })
})
