import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { runCommandLine } from '../../src/cli/program.ts'
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
      /b\/pipe is neither a file, a directory nor a link; move it away first \(INVALID_INPUT\)/,
    ],
  ])
  const broken = async function* () {
    yield Buffer.alloc(1_000_000)
    throw new Error('the disk is gone')
  }
  const [stdin, stdout, stderr] = [Readable.from(broken()), new PassThrough(), new PassThrough()]
  const words = ['--data', alice.data, 'dataset', 'import', '-', '--name', 'x']
  const exit = await runCommandLine(words, { stdin, stdout, stderr, environment: {} })
  const said = await text(stderr.end())
  assert.match(said, /Standard input cannot be read: the disk is gone; nothing was stored \(INVALID_INPUT\)/)
  assert.equal(exit, 2)
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

test('what is left out is said, and what is counted is what a list counts', async (t) => {
  const alice = await founder(t)
  const directory = await directoryOf(t, { 'a.csv': 'id\n1\n', 'b/c.txt': 'c\n' })
  await symlink('a.csv', join(directory, 'link'))
  await mkdir(join(directory, 'deep/empty'), { recursive: true })
  const imported = await alice.type('dataset', 'import', directory, '--name', 'data')
  assert.match(imported.stdout, /holds 3 files, at commit/)
  assert.match(imported.stderr, /^Left out, since git keeps no empty directory: deep\/empty$/m)
  const { total } = await alice.told<{ total: number }>('dataset', 'ls', 'data', '--recursive')
  assert.equal(total, 3)
  const hollow = await directoryOf(t, {})
  await check(alice, [
    [['import', hollow, '--name', 'x'], 2, /There is no file in it to import/],
    [['cat', 'data', 'b'], 2, /"b" of data is a directory; "maoctl dataset ls data PATH" lists it/],
    [['add', 'x', '--replicas', '99'], 2, /at most 64 copies can be asked for/],
    [['import', directory, '--name', 'x', '--replicas', '99'], 2, /at most 64 copies can be asked for/],
  ])
  assert.equal((await alice.type('dataset', 'upstream', 'set', 'data', 'a@127.0.0.1:b')).exit, 0)
  await check(alice, [
    [['upstream', 'follow', 'data', '--every', '1s'], 2, /at least 10 s have to lie between two pulls/],
  ])
})
