import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { git, outcomeOf, startGitApi, tryGit, worktree } from '../support/stock-git.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const HELPER = join(import.meta.dirname, '../../src/cli/git-remote-mao.ts')

/** A node with two commits on `main-alice` of `data`, and git that finds the helper, and through it the node. */
async function withHelper(t: TestContext) {
  const api = await startGitApi(t, 'native')
  const work = await worktree(t, api.address('data'))
  await work.commit('second', '2\n')
  await work.run('push', '--quiet', 'origin', 'HEAD:main-alice')
  const programs = await temporaryDirectory(t)
  await symlink(HELPER, join(programs, 'git-remote-mao'))
  const path = `${programs}:${dirname(process.execPath)}:${process.env.PATH}`
  const surroundings = { PATH: path, MAO_DATA: api.node.config.dataDirectory }
  const into = await temporaryDirectory(t)
  const run = (...words: string[]) => git(words, surroundings)
  const attempt = (...words: string[]) => tryGit(words, surroundings)
  return { ...api, into, surroundings, run, attempt }
}

test('git clones, fetches, pulls and pushes through the node of this machine', async (t) => {
  const { run, attempt, into, token, shown, node } = await withHelper(t)
  const clone = join(into, 'data')
  await run('clone', '--quiet', '-b', 'main-alice', 'mao://lab/data', clone)
  assert.equal(await run('-C', clone, 'remote', 'get-url', 'origin'), 'mao://lab/data')
  assert.equal(await readFile(join(clone, 'second'), 'utf8'), '2\n')
  for (const entry of await readdir(join(clone, '.git'), { withFileTypes: true })) {
    const text = entry.isFile() ? await readFile(join(clone, '.git', entry.name), 'utf8') : ''
    assert.ok(!text.includes(token) && !text.includes('http://'), `.git/${entry.name} tells too much`)
  }

  await writeFile(join(clone, 'third'), '3\n')
  await run('-C', clone, 'add', '.')
  await run('-C', clone, 'commit', '--quiet', '-m', 'third')
  const said = await attempt('-C', clone, 'push', 'origin', 'HEAD:main-alice', 'HEAD:main')
  assert.match(outcomeOf(said, 'main '), /the branch main is not yours/)
  const third = await run('-C', clone, 'rev-parse', 'HEAD')
  assert.deepEqual(
    (await shown()).branches.map(({ branch, commit }) => [branch, commit]),
    [['main-alice', third]],
  )

  const { federation } = node.federation.genesis
  const shallow = join(into, 'shallow')
  await run('clone', '--quiet', '--depth', '1', '-b', 'main-alice', `mao://${federation}/data.git`, shallow)
  assert.equal(await run('-C', shallow, 'rev-list', '--count', 'HEAD'), '1')
  await run('-C', shallow, 'fetch', '--quiet', '--unshallow')
  assert.equal(await run('-C', shallow, 'rev-list', '--count', 'HEAD'), '3')
  await run('-C', shallow, 'pull', '--quiet', '--ff-only')
  const partial = join(into, 'partial')
  await run(
    'clone',
    '--quiet',
    '--filter=blob:none',
    '--no-checkout',
    '-b',
    'main-alice',
    'mao:///data',
    partial,
  )
  assert.equal(await run('-C', partial, 'cat-file', '-p', 'HEAD:third'), '3')
})

test('what is wrong is told in one line that says what to do', async (t) => {
  const { attempt, surroundings, token } = await withHelper(t)
  const none = await temporaryDirectory(t)
  const list = async (address: string, more: Record<string, string> = {}) => {
    const said = await tryGit(['ls-remote', address], { ...surroundings, ...more })
    assert.notEqual(said.exit, 0, address)
    const lines = said.stderr.trim().split('\n')
    assert.equal(lines.length, 1, said.stderr)
    assert.ok(!said.stderr.includes(token) && !said.stderr.includes('secret'), 'a secret is told')
    return lines[0] ?? ''
  }
  assert.match(await list('mao:///dta'), /No dataset is named dta; did you mean data\? \(DATASET_NOT_FOUND\)/)
  assert.match(await list('mao://lob/data'), /in the federation lab, not in lob; .*MAO_DATA.*mao:\/\/lab\//)
  assert.match(
    await list('mao:///data', { MAO_DATA: none }),
    /No node runs on .*maoctl instance start.*MAO_URL/,
  )
  assert.match(await list('mao:///data', { MAO_TOKEN: 'wrong' }), /The token is not right/)
  const elsewhere = { MAO_DATA: none, MAO_URL: 'http://127.0.0.1:9', MAO_TOKEN: 'any' }
  assert.match(await list('mao:///data', elsewhere), /No node answers at .*\(NODE_UNREACHABLE\)/)

  for (const trick of ['mao://lab/--upload-pack=touch', 'mao://x:secret@lab/data', 'mao::ext::sh -c touch']) {
    assert.match(await list(trick), /An address is written mao:\/\/.*\(INVALID_INPUT\)/)
  }
  const odd = join(none, 'odd')
  await git(['init', '--quiet', odd])
  const option = await attempt('-C', odd, '-c', 'remote.-x.url=mao:///data', 'ls-remote', '--', '-x')
  assert.match(option.stderr, /This is run by git/)
})

test('nobody’s submodule and no proxy comes between', async (t) => {
  const { run, attempt, into, surroundings } = await withHelper(t)
  const outer = join(into, 'outer')
  await mkdir(outer)
  await run('-C', outer, 'init', '--quiet')
  await writeFile(join(outer, '.gitmodules'), '[submodule "a"]\n\tpath = a\n\turl = mao:///data\n')
  const [commit] = (await run('ls-remote', 'mao:///data')).split('\t')
  await run('-C', outer, 'add', '.gitmodules')
  await run('-C', outer, 'update-index', '--add', '--cacheinfo', `160000,${commit},a`)
  await run('-C', outer, 'commit', '--quiet', '-m', 'a submodule')
  const said = await attempt('clone', '--quiet', '--recurse-submodules', outer, join(into, 'cloned'))
  assert.match(said.stderr, /transport 'mao' not allowed/)

  // What carries mao:// is not what a user allows or not, and the token goes to this machine alone.
  for (const more of [{ GIT_ALLOW_PROTOCOL: 'mao' }, { http_proxy: 'http://127.0.0.1:9' }]) {
    assert.match(
      await git(['ls-remote', 'mao:///data'], { ...surroundings, ...more }),
      /refs\/heads\/main-alice/,
    )
  }
  assert.match(await run('-c', 'http.proxy=http://127.0.0.1:9', 'ls-remote', 'mao:///data'), /main-alice/)
})
