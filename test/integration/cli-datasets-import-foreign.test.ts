import assert from 'node:assert/strict'
import { appendFile, chmod, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { directoryOf } from '../support/dataset-node.ts'
import { plainGit, startPerson } from '../support/dataset-people.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A repository as somebody may hand it over; `proofs` is where the programs that it names leave that they have run. */
async function handedOver(t: TestContext) {
  const [directory, proofs] = [await directoryOf(t, { 'a.csv': '1\n' }), await temporaryDirectory(t)]
  const git = (...words: string[]) => plainGit(['-C', directory, ...words])
  await git('init', '--quiet', '--initial-branch=main')
  await writeFile(join(directory, '.gitattributes'), '*.csv filter=evil diff=evil\n')
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'first')
  const prove = (name: string) => `"touch ${join(proofs, name)}; false"`
  const ran = async () => (await readdir(proofs)).sort()
  return { directory, git, prove, ran, proofs }
}

const SETTINGS = (prove: (name: string) => string, hooks: string) => `
[core]
  fsmonitor = ${prove('fsmonitor')}
  hooksPath = ${hooks}
  pager = ${prove('pager')}
  editor = ${prove('editor')}
  sshCommand = ${prove('ssh')}
  alternateRefsCommand = ${prove('alternates')}
[filter "evil"]
  clean = ${prove('clean')}
  smudge = ${prove('smudge')}
  process = ${prove('process')}
[diff]
  external = ${prove('external')}
[diff "evil"]
  textconv = ${prove('textconv')}
  command = ${prove('diff')}
[uploadpack]
  packObjectsHook = ${prove('pack-objects')}
[alias]
  status = ${prove('alias').replace('"', '"!')}
[credential]
  helper = ${prove('credential').replace('"', '"!')}
[tar "tar"]
  command = ${prove('tar')}
[gpg]
  program = ${prove('gpg')}
[log]
  showSignature = true
`

test('nothing runs that the settings of an imported repository name', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const { directory, git, prove, ran, proofs } = await handedOver(t)
  // A submodule would be looked at with settings of its own.
  const inner = join(directory, 'inner')
  await mkdir(inner)
  await plainGit(['-C', inner, 'init', '--quiet', '--initial-branch=main'])
  await plainGit(['-C', inner, 'commit', '--quiet', '--allow-empty', '-m', 'inner'])
  await git('-c', 'advice.addEmbeddedRepo=false', 'add', 'inner')
  await appendFile(join(inner, '.git/config'), `[core]\n  fsmonitor = ${prove('fsmonitor of a submodule')}\n`)
  const hooks = join(directory, '.git/hooks')
  await mkdir(hooks, { recursive: true })
  for (const name of [
    'post-index-change',
    'reference-transaction',
    'post-checkout',
    'pre-auto-gc',
    'fsmonitor-watchman',
  ]) {
    await writeFile(join(hooks, name), `#!/bin/sh\ntouch ${join(proofs, name)}\n`)
    await chmod(join(hooks, name), 0o755)
  }
  await appendFile(join(directory, '.git/config'), SETTINGS(prove, hooks))
  // As long as before and touched since: only the cleaned content would tell whether it has changed.
  await writeFile(join(directory, 'a.csv'), '1\n')
  await utimes(join(directory, 'a.csv'), 1, 1)
  const ways = [
    ['dataset', 'import', directory, '--name', 'history'],
    ['dataset', 'import', directory, '--name', 'files', '--files-only'],
    ['dataset', 'import', directory, '--name', 'branch', '--files-only', '--branch', 'main'],
    ['dataset', 'import', join(directory, '.git'), '--name', 'bare'],
    ['dataset', 'import', `git+file://${directory}`, '--name', 'cloned'],
  ]
  for (const way of ways) {
    const ended = await alice.type(...way)
    assert.equal(ended.exit, 0, ended.stderr)
    assert.deepEqual(await ran(), [], `${way.join(' ')} has run what the repository names`)
  }
})

test('nobody is called for what an imported repository lacks', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  for (const helper of ['url', 'uploadpack']) {
    const { directory, git, prove, ran, proofs } = await handedOver(t)
    const blob = (await git('rev-parse', 'HEAD:a.csv')).trim()
    await rm(join(directory, '.git/objects', blob.slice(0, 2), blob.slice(2)))
    const origin = {
      url: `  url = ext::touch ${join(proofs, 'helper')}\n`,
      uploadpack: `  url = ${directory}\n  uploadpack = ${prove('helper')}\n`,
    }
    await appendFile(
      join(directory, '.git/config'),
      `[core]\n  repositoryFormatVersion = 1\n[extensions]\n  partialClone = origin\n[protocol "ext"]\n  allow = always\n[remote "origin"]\n  promisor = true\n  partialCloneFilter = blob:none\n${origin[helper as 'url']}`,
    )
    for (const more of [[], ['--files-only', '--branch', 'main']]) {
      const ended = await alice.type('dataset', 'import', directory, '--name', 'part', ...more)
      assert.notEqual(ended.exit, 0, 'what is not there was imported')
      assert.deepEqual(await ran(), [], `${helper} of the repository was run`)
    }
  }
})

test('a linked work tree is imported from where it is, and what it ignores is not missed', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const { directory, git } = await handedOver(t)
  const linked = join(await temporaryDirectory(t), 'linked')
  await git('worktree', 'add', '--quiet', '-b', 'side', linked)
  await writeFile(join(linked, 'b.csv'), '2\n')
  await plainGit(['-C', linked, 'add', '.'])
  await plainGit(['-C', linked, 'commit', '--quiet', '-m', 'second'])
  await writeFile(join(directory, '.git/info/exclude'), '*.tmp\n')
  await writeFile(join(linked, 'c.tmp'), '3\n')
  const ended = await alice.type('dataset', 'import', linked, '--name', 'side')
  assert.equal(ended.exit, 0, ended.stderr)
  assert.match(ended.stdout, /2 commits of side/)
  assert.doesNotMatch(ended.stderr, /stays behind/)
  await writeFile(join(linked, 'd.csv'), '4\n')
  assert.match((await alice.type('dataset', 'import', linked, '--name', 'again')).stderr, /stays behind/)
})
