import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { directoryOf } from '../support/dataset-node.ts'
import { type Person, startPerson } from '../support/dataset-people.ts'

/** What somebody typed, which has to end with that exit code and that sentence. */
type Mistake = [words: string[], exit: number, sentence: RegExp]

async function founder(t: TestContext): Promise<Person> {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  return alice
}

async function check({ type }: Person, mistakes: readonly Mistake[]): Promise<void> {
  for (const [words, exit, sentence] of mistakes) {
    const ended = await type('dataset', ...words)
    assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stdout}${ended.stderr}`)
    assert.match(ended.stderr, sentence, words.join(' '))
  }
}

test('a file that cannot be read is told as such, and not as a node that is gone', async (t) => {
  const alice = await founder(t)
  const before = await readdir(alice.repositories)
  const directory = await directoryOf(t, { 'a.csv': 'x\n'.repeat(200_000), 'b/c.txt': 'c\n' })
  execFileSync('mkfifo', [join(directory, 'b/pipe')])
  await check(alice, [
    [
      ['import', directory, '--name', 'x'],
      2,
      /b\/pipe is neither a file, a directory nor a link \(INVALID_INPUT\)/,
    ],
  ])
  assert.deepEqual(await readdir(alice.repositories), before)
})

test('a path or a key that is nowhere does not pass for no difference', async (t) => {
  const alice = await founder(t)
  const import_ = async (...words: string[]) => alice.told('dataset', 'import', ...words)
  await import_(await directoryOf(t, { 'a.csv': 'id,v\n1,1\n' }), '--name', 'data')
  await import_(await directoryOf(t, { 'a.csv': 'id,v\n1,2\n', 'b.csv': '' }), '--into', 'data')
  const nowhere = [3, /Neither side has "b\.cvs"; did you mean "b\.csv"\? \(NOT_FOUND\)/] as const
  const noColumn = [
    2,
    /No table that differs has the column nokey; there are id, v \(INVALID_INPUT\)/,
  ] as const
  await check(alice, [
    [['diff', 'data', 'alice', '--path', 'b.cvs'], ...nowhere],
    [['diff', 'data', '--path', 'b.cvs'], ...nowhere],
    [['diff', 'data', 'alice', '--key', 'nokey'], ...noColumn],
    [['diff', 'data', '--key', 'nokey'], ...noColumn],
  ])
  assert.equal((await alice.type('dataset', 'diff', 'data', 'alice', '--path', 'b.csv')).exit, 0)
})

test('a dataset whose upstream cannot be is not made', async (t) => {
  const alice = await founder(t)
  await check(alice, [
    [['add', 'data', '--upstream', 'file:///x'], 2, /is of the kind file:\/\/, which is not used here/],
    [['add', 'data', '--upstream', 'a@b:c', '--upstream-branch', '-x'], 2, /"-x" cannot name a branch/],
  ])
  assert.deepEqual(await alice.told('dataset', 'list'), [])
})
