import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryOf } from '../support/dataset-node.ts'
import { plainGit, startPerson } from '../support/dataset-people.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('people clone, push to their own branches, and pull what was agreed', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  await alice.told(
    'dataset',
    'import',
    await directoryOf(t, { 'a.csv': 'id,value\n1,2\n' }),
    '--name',
    'data',
  )
  const target = join(await temporaryDirectory(t), 'mine')
  const cloned = await alice.type('dataset', 'clone', 'data', target)
  assert.equal(cloned.exit, 0, cloned.stderr)
  assert.equal(await readFile(join(target, 'a.csv'), 'utf8'), 'id,value\n1,2\n')
  const config = await readFile(join(target, '.git/config'), 'utf8')
  assert.ok(!config.includes(alice.token), 'the token stays behind in the clone')

  const git = (...words: string[]) => plainGit(['-C', target, ...words])
  const commit = async (text: string) => {
    await writeFile(join(target, 'a.csv'), text)
    await git('commit', '--quiet', '-am', 'change')
    return git('rev-parse', 'HEAD')
  }
  const first = await commit('id,value\n1,3\n')
  const nowhere = await alice.type('dataset', 'push', target)
  assert.equal(nowhere.exit, 2)
  assert.match(nowhere.stderr, /ground-truth is no step of yours; say which with --step/)
  const pushed = await alice.type('dataset', 'push', target, '--step', 'fix')
  assert.equal(pushed.exit, 0, pushed.stderr)
  assert.match(pushed.stdout, /fix-alice of data is at .* now, and the members hear of it/)
  assert.equal(
    (await alice.show('data')).branches.find(({ branch }) => branch === 'fix-alice')?.commit,
    first,
  )
  const again = await alice.type('dataset', 'push', target, '--step', 'fix')
  assert.match(again.stdout, /Nothing is new/)

  const held = await alice.type('dataset', 'pull', target)
  assert.equal(held.exit, 4, held.stderr)
  assert.match(held.stderr, /1 commit here is not in the ground truth of data; "git rebase/)
  await alice.node.federation.datasets.moveTruth('data', first)
  const level = await alice.type('dataset', 'pull', target)
  assert.equal(level.exit, 0, level.stderr)
  assert.match(level.stdout, /^data is up to date, at/)
  await git('reset', '--quiet', '--hard', 'HEAD~1')
  const forward = await alice.type('dataset', 'pull', target)
  assert.match(forward.stdout, /^data is at [0-9a-f]{10} now, 1 commit further\.$/m)
  assert.equal(await git('rev-parse', 'HEAD'), first)

  // Another history than the branch has, on a branch whose name is the step.
  await git('checkout', '--quiet', '-b', 'fix', 'HEAD~1')
  await commit('id,value\n1,4\n')
  const behind = await alice.type('dataset', 'push', target)
  assert.equal(behind.exit, 4, behind.stderr)
  assert.match(behind.stderr, /fix-alice of data has commits that are not in yours.*rebase origin\/fix-alice/)

  const outside = await alice.type('dataset', 'pull', await temporaryDirectory(t))
  assert.equal(outside.exit, 2)
  assert.match(outside.stderr, /is no clone; "maoctl dataset clone NAME" makes one/)
  const other = await temporaryDirectory(t)
  await plainGit(['init', '--quiet', other])
  assert.match((await alice.type('dataset', 'push', other)).stderr, /is no clone of a dataset/)
  for (const taken of [target, join(target, 'a.csv')]) {
    const refused = await alice.type('dataset', 'clone', 'data', taken)
    assert.equal(refused.exit, 4, refused.stderr)
    assert.match(refused.stderr, /is there already; name another place for the clone: .* \(ALREADY_EXISTS\)/)
  }
  const absent = await alice.type('dataset', 'clone', 'dta')
  assert.equal(absent.exit, 3)
})

test('where git has its helper, a clone goes on with plain git', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  await alice.told('dataset', 'import', await directoryOf(t, { 'a.csv': '1\n' }), '--name', 'data')
  const helper = join(import.meta.dirname, '../../src/cli/git-remote-mao.ts')
  const bin = await directoryOf(t, {
    'git-remote-mao': `#!/bin/sh\nexec '${process.execPath}' '${helper}' "$@"\n`,
  })
  await chmod(join(bin, 'git-remote-mao'), 0o755)
  const environment = { PATH: `${bin}:${process.env.PATH}` }
  const target = join(await temporaryDirectory(t), 'mine')
  const cloned = await alice.typeWith({ environment }, 'dataset', 'clone', 'data', target)
  assert.equal(cloned.exit, 0, cloned.stderr)
  assert.match(cloned.stderr, /Plain git works as well, with MAO_DATA=/)
  assert.equal(await plainGit(['-C', target, 'remote', 'get-url', 'origin']), 'mao://lab/data')
  await plainGit(['-C', target, 'fetch', '--quiet'], { ...environment, MAO_DATA: alice.data })
  const pulled = await alice.type('dataset', 'pull', target)
  assert.match(pulled.stdout, /data is up to date/)
})
