import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { isName } from '../../src/base/names.ts'
import { entryChoice, fileChoice } from '../../src/cli/vote-choices.ts'
import { ballotCommit } from '../../src/consensus/hand/ballot-commit.ts'
import { type Choices, choicesSchema } from '../../src/consensus/hand/choices.ts'
import { composeEntries } from '../../src/consensus/hand/compose-entries.ts'
import { composeFiles } from '../../src/consensus/hand/compose-files.ts'
import type { EntryMethod } from '../../src/consensus/methods/file-merge.ts'
import { handStep, isReservedStep } from '../../src/datasets/branches.ts'
import type { TreeFile } from '../../src/datasets/git/repository.ts'

const file = (path: string, content: string, mode: TreeFile['mode'] = '100644'): TreeFile => {
  return { path, mode, oid: content.padEnd(40, '0') }
}
const choices = (some: Partial<Choices>): Choices => choicesSchema.parse(some)
const input = (told: RegExp) => (error: unknown) =>
  isNodeError(error, 'INVALID_INPUT') && told.test(error.message)

const RESULTS = new Map([
  ['alice', [file('a', '1'), file('table.csv', '2'), file('z/deep', '3')]],
  ['bob', [file('a', 'f', '100755'), file('table.csv', '2'), file('more', '4')]],
  ['carol', [file('z', '5')]],
])
const compose = (base: string, some: Partial<Choices>) => composeFiles(RESULTS, base, choices(some))

test('a ballot is one result, but for the files that are chosen otherwise', () => {
  assert.deepEqual(compose('alice', {}).files, RESULTS.get('alice'))
  const { files, chosen } = compose('alice', {
    files: [
      { path: 'a', member: 'bob' },
      { path: 'more', member: 'bob' },
      { path: 'table.csv', member: 'bob' },
    ],
    absent: ['z/deep'],
  })
  assert.deepEqual(files, [file('a', 'f', '100755'), file('more', '4'), file('table.csv', '2')])
  assert.deepEqual(
    chosen.map(({ path, member, change }) => `${path || '.'} ${member} ${change}`),
    ['. alice base', 'a bob replaced', 'more bob added', 'table.csv bob same', 'z/deep undefined removed'],
  )
})

test('entries go into the file as it was chosen before, each member’s once', () => {
  const { rewrites } = compose('alice', {
    entries: [
      { path: 'table.csv', key: '1', member: 'bob' },
      { path: 'table.csv', key: '2', member: 'bob' },
    ],
  })
  const rewrite = rewrites.get('table.csv')
  assert.equal(rewrite?.baseMember, 'alice')
  assert.deepEqual(rewrite?.from.get('bob')?.keys, ['1', '2'])
})

test('choices that contradict each other, or name what is not there, are refused with what to type', () => {
  const refused: [base: string, Partial<Choices>, RegExp][] = [
    ['dave', {}, /dave has no result of this step to choose; there are those of alice, bob, carol/],
    [
      'alice',
      { files: [{ path: 'more', member: 'alice' }] },
      /alice's result has no file more; --absent more/,
    ],
    ['alice', { absent: ['tabel.csv'] }, /did you mean table\.csv\?/],
    [
      'alice',
      { files: [{ path: 'a', member: 'bob' }], absent: ['a'] },
      /a was chosen twice, from bob and from nobody/,
    ],
    ['carol', { entries: [{ path: 'table.csv', key: '1', member: 'bob' }] }, /--file table\.csv=MEMBER/],
    [
      'alice',
      { files: [{ path: 'z', member: 'carol' }] },
      /z is a file with carol and a directory with alice \(z\/deep\)/,
    ],
    [
      'alice',
      { entries: [{ path: 'table.csv', key: '1', member: 'bob' }], absent: ['table.csv'] },
      /cannot be left out and have an entry of bob/,
    ],
    [
      'alice',
      {
        entries: [
          { path: 'table.csv', key: '1', member: 'bob' },
          { path: 'table.csv', key: '1', member: 'alice' },
        ],
      },
      /table\.csv:1 was chosen twice/,
    ],
  ]
  for (const [base, some, told] of refused)
    assert.throws(() => compose(base, some), input(told), String(told))
})

const ROWS: EntryMethod = { name: 'rows', key: ['id'] }
const bytes = (text: string) => Buffer.from(text)
const entries = async (
  base: string,
  others: [member: string, text: string, keys: string[]][],
  path = 't.csv',
) => {
  const from = others.map(([member, text, keys]) => ({ member, bytes: bytes(text), keys }))
  const composed = await composeEntries(ROWS, { path, base: { member: 'alice', bytes: bytes(base) }, from })
  return { text: Buffer.from(composed.bytes).toString(), chosen: composed.chosen }
}

test('entries are taken over, added and left out; all else stays as it was written', async () => {
  const base = 'id,v\r\n3,c\r\n1,"a"\r\n2,b\r\n'
  const bob = 'id,v\n1,A\n2,b\n4,d\n'
  const { text, chosen } = await entries(base, [['bob', bob, ['1', '3', '4', '2']]])
  assert.equal(text, 'id,v\r\n1,A\n2,b\n4,d\n')
  assert.deepEqual(
    chosen.map(({ entry, change }) => [entry, change]),
    [
      ['3', 'removed'],
      ['1', 'replaced'],
      ['2', 'same'],
      ['4', 'added'],
    ],
  )
  const json = await entries(
    '[\n  {"id": 1, "v": 1},\n  {"id": 2}\n]\n',
    [['bob', '[{"id":2,"v":5}]', ['2']]],
    't.json',
  )
  assert.deepEqual(JSON.parse(json.text), [
    { id: 1, v: 1 },
    { id: 2, v: 5 },
  ])
})

test('an entry of several columns, and one of a long name, is called as reports call it', async () => {
  const long = `x${'y'.repeat(200)}`
  const { text } = await entries(`id,v\n${long},1\n`, [
    ['bob', `id,v\n${long},2\n`, [`${long.slice(0, 127)}…`]],
  ])
  assert.equal(text, `id,v\n${long},2\n`)
})

test('entries that cannot be taken over are refused with the member and the reason', async () => {
  const base = 'id,v\n1,a\n'
  const refusals: [string, [string, string, string[]][], RegExp][] = [
    [base, [['bob', 'id,w\n1,a\n', ['1']]], /of bob has other columns.*--file t\.csv=bob/],
    [base, [['bob', 'id,v\n1\n', ['1']]], /t\.csv of bob cannot be read entry by entry: line 2/],
    [base, [['bob', base, ['9']]], /Neither alice nor bob has an entry "9"/],
    ['id,v\n1,a\n1,b\n', [['bob', base, ['1']]], /t\.csv of alice cannot be read/],
    [
      base,
      [
        ['bob', base, ['1']],
        ['carol', base, ['1']],
      ],
      /chosen twice, from bob and from carol/,
    ],
  ]
  for (const [text, others, told] of refusals)
    await assert.rejects(entries(text, others), input(told), String(told))
})

test('the commit of a ballot names its round, and where each part of it comes from, a line each', () => {
  const chosen = [
    { path: '', member: 'alice', change: 'base' },
    { path: 'a b.txt', member: 'bob', change: 'added' },
    { path: 't.csv', entry: 'x\nVote-Round: other', member: 'bob', change: 'replaced' },
    { path: 'gone', change: 'removed' },
  ] as const
  const commit = ballotCommit({
    ...{ round: 'data/collect/17', step: 'collect', tree: '1'.repeat(40), parent: undefined, timeMs: 5 },
    ...{ author: { name: 'carol', email: 'c@mao.invalid' }, chosen },
  })
  assert.equal(
    commit.message,
    'Ballot by hand, step collect\n\nVote-Round: data/collect/17\nChoice: . alice\nChoice: "a b.txt" bob\n' +
      'Choice: "t.csv:x\\nVote-Round: other" bob\nChoice: gone -\n',
  )
  assert.deepEqual(commit.parents, [])
})

test('ballots by hand stand on a branch of their own, whatever the step is called', () => {
  assert.equal(handStep('collect'), 'vote.collect')
  const long = handStep('s'.repeat(63))
  assert.ok(isName(long) && long.length <= 63 && isReservedStep(long), long)
  assert.notEqual(long, handStep(`${'s'.repeat(62)}t`))
})

test('files and entries are chosen as people type them', () => {
  assert.deepEqual(fileChoice('a=b.txt=bob'), [{ path: 'a=b.txt', member: 'bob' }])
  assert.deepEqual(entryChoice('x/t.csv:site,2:b=c=bob'), [
    { path: 'x/t.csv', key: 'site,2:b=c', member: 'bob' },
  ])
  for (const wrong of ['', 'bob', '=bob', 'a=']) assert.throws(() => fileChoice(wrong))
  for (const wrong of ['t.csv=bob', 't.txt:1=bob', 't.csv:=bob', 't.csv:1='])
    assert.throws(() => entryChoice(wrong))
})
