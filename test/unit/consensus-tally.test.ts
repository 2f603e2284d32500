import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparePaths } from '../../src/consensus/paths.ts'
import { AgreementTally } from '../../src/consensus/statistics/agreement.ts'
import { agrees, contestedCount, type MergeReport, tallyIdentical } from '../../src/consensus/tally.ts'
import type { TreeFile } from '../../src/datasets/git/repository.ts'
import { filesOf } from '../support/voting.ts'

function ballots(contents: Record<string, Record<string, string>>): Map<string, TreeFile[]> {
  return new Map(Object.entries(contents).map(([member, files]) => [member, filesOf(files)]))
}

const nothing = { missing: [], extra: [], different: [] }

test('what two of three hold is the result, and the third hears where it differs', () => {
  const tally = tallyIdentical(
    ballots({
      alice: { 'a.csv': '1', 'b.csv': '2' },
      bob: { 'a.csv': '1', 'b.csv': '2' },
      carol: { 'a.csv': 'lost entries', 'c.csv': 'mine' },
    }),
    [],
  )
  assert.deepEqual(tally.files, filesOf({ 'a.csv': '1', 'b.csv': '2' }))
  assert.deepEqual(tally.contested, [])
  assert.deepEqual(tally.members.get('alice'), nothing)
  assert.deepEqual(tally.members.get('carol'), { missing: ['b.csv'], extra: ['c.csv'], different: ['a.csv'] })
  assert.equal(agrees(tally.members.get('carol') ?? nothing), false)
})

test('where no more than half agree the parent stands, and the path is contested', () => {
  const tally = tallyIdentical(
    ballots({ alice: { 'a.csv': '1', 'b.csv': 'same' }, bob: { 'a.csv': '2', 'b.csv': 'same' } }),
    filesOf({ 'a.csv': '0' }),
  )
  assert.deepEqual(tally.files, filesOf({ 'a.csv': '0', 'b.csv': 'same' }))
  assert.deepEqual(tally.contested, ['a.csv'])
  assert.ok(tally.decided, 'b.csv is agreed and new')
  assert.deepEqual(tally.members.get('alice'), nothing, 'a contested path is nobody’s difference')
})

test('a tie about everything decides nothing', () => {
  const tie = ballots({ alice: { a: '1' }, bob: { a: '2' }, carol: { a: '3' } })
  assert.equal(tallyIdentical(tie, []).decided, false)
  assert.equal(tallyIdentical(tie, filesOf({ a: '0' })).decided, false)
  const half = ballots({ alice: { a: '1' }, bob: {} })
  assert.deepEqual(tallyIdentical(half, []).contested, ['a'], 'one has it and one has not')
})

test('a round that confirms the truth decides, though no file changes', () => {
  assert.ok(tallyIdentical(ballots({ alice: { a: '1' }, bob: { a: '1' } }), filesOf({ a: '1' })).decided)
  assert.ok(tallyIdentical(ballots({ alice: {}, bob: {} }), []).decided)
})

test('files of other steps, which no ballot holds, stay in the truth', () => {
  const tally = tallyIdentical(
    ballots({ alice: { a: '1' }, bob: { a: '1' } }),
    filesOf({ 'other/step.csv': 'x' }),
  )
  assert.deepEqual(tally.files, filesOf({ a: '1', 'other/step.csv': 'x' }))
})

test('a file and a directory of one name never meet in the result', () => {
  const file = tallyIdentical(
    ballots({ alice: { data: '1' }, bob: { data: '1' } }),
    filesOf({ 'data/a': 'x' }),
  )
  assert.deepEqual(file.files, filesOf({ data: '1' }))
  const directory = tallyIdentical(
    ballots({ alice: { 'data/a': '1' }, bob: { 'data/a': '1' } }),
    filesOf({ data: 'x' }),
  )
  assert.deepEqual(directory.files, filesOf({ 'data/a': '1' }))
})

test('the mode of a file is part of what it is', () => {
  const [plain] = filesOf({ run: 'x' }) as [TreeFile]
  const executable: TreeFile = { ...plain, mode: '100755' }
  const tally = tallyIdentical(
    new Map([
      ['alice', [executable]],
      ['bob', [executable]],
      ['carol', [plain]],
    ]),
    [],
  )
  assert.deepEqual(tally.files, [executable])
  assert.deepEqual(tally.members.get('carol')?.different, ['run'])
})

/** A valid tree: no path is another's directory. */
const tree = fc
  .dictionary(
    fc.constantFrom('a', 'a/b', 'a/b/c', 'd', 'd/e', 'é', '\u{1F600}', '\uFFFD'),
    fc.constantFrom('1', '2'),
  )
  .map((contents) => {
    const paths = Object.keys(contents)
    const isDirectory = (path: string) => paths.some((other) => other.startsWith(`${path}/`))
    return filesOf(Object.fromEntries(Object.entries(contents).filter(([path]) => !isDirectory(path))))
  })
const election = fc.tuple(fc.array(tree, { minLength: 1, maxLength: 7 }), tree)

test('the order in which ballots are listed changes nothing', () => {
  fc.assert(
    fc.property(election, ([trees, parent]) => {
      const named = trees.map((files, i) => [`m${i}`, files] as const)
      const one = tallyIdentical(new Map(named), parent)
      const other = tallyIdentical(new Map([...named].reverse()), [...parent].reverse())
      assert.deepEqual(
        { ...other, members: new Map([...other.members].sort()) },
        { ...one, members: new Map([...one.members].sort()) },
      )
    }),
  )
})

test('the result is a valid, sorted tree made of entries that were cast or stood before', () => {
  fc.assert(
    fc.property(election, ([trees, parent]) => {
      const { files } = tallyIdentical(new Map(trees.map((t, i) => [`m${i}`, t])), parent)
      const paths = files.map(({ path }) => path)
      assert.equal(new Set(paths).size, paths.length)
      assert.deepEqual(
        paths,
        [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      )
      for (const path of paths)
        assert.ok(!paths.some((other) => other.startsWith(`${path}/`)), `${path} is both`)
      const offered = [...trees.flat(), ...parent].map(({ path, oid }) => `${path} ${oid}`)
      for (const { path, oid } of files) assert.ok(offered.includes(`${path} ${oid}`))
    }),
  )
})

test('as long as more than half are equal, the others cannot change one byte of what these hold', () => {
  fc.assert(
    fc.property(tree, fc.array(tree, { maxLength: 3 }), (honest, liars) => {
      const cast = [...Array.from({ length: liars.length + 1 }, () => honest), ...liars]
      const { files, contested } = tallyIdentical(new Map(cast.map((t, i) => [`m${i}`, t])), [])
      assert.deepEqual(files, honest)
      assert.deepEqual(contested, [])
    }),
  )
})

test('paths sort as git sorts them, by their UTF-8 bytes', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '/', 'é', '\uD7FF', '\uE000', '\uFFFD', '\u{10000}', '\u{1F600}'),
  })
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(Math.sign(comparePaths(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('a file that is contested as a whole counts once, one that is contested within by its entries', () => {
  const agreement = new AgreementTally({ level: 'nominal', raters: 2 }).result()
  const named = (...first: string[]): MergeReport => {
    const contested = { count: first.length, first }
    return { changed: false, contested, members: new Map(), agreement, notes: [] }
  }
  const merges = new Map([
    ['a.csv', { ...named('(columns)'), whole: 'no more than half have the same columns' }],
    ['b.csv', named('1', '2', '3')],
  ])
  assert.equal(contestedCount({ contested: ['a.csv', 'c.bin'], merges }), 5)
})
