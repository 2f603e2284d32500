import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gitReadsServedMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { DELIMITER, FLUSH, packet } from '../../src/datasets/git/pkt-line.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { git, startGitApi, tryGit, worktree } from '../support/stock-git.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const VERSIONS = ['0', '1', '2'] as const

/** A node whose dataset has the branch `deep-alice` with five commits, a day apart, and a folder. */
async function withHistory(t: TestContext) {
  const api = await startGitApi(t, 'native')
  const work = await worktree(t, api.address('data'))
  await mkdir(join(work.path, 'inner'))
  await writeFile(join(work.path, 'inner', 'file'), 'unchanged\n')
  await work.run('add', '.')
  const commits: string[] = []
  for (const day of ['02', '03', '04', '05']) {
    await writeFile(join(work.path, 'first'), `${day}\n`)
    const when = {
      GIT_AUTHOR_DATE: `2026-01-${day}T12:00:00Z`,
      GIT_COMMITTER_DATE: `2026-01-${day}T12:00:00Z`,
    }
    await git(['-C', work.path, 'commit', '--quiet', '-am', day], when)
    commits.push(await work.run('rev-parse', 'HEAD'))
  }
  await work.run('push', '--quiet', 'origin', 'HEAD:deep-alice')
  return { ...api, work, commits }
}

test('every version of the protocol gives whole, shallow and partial clones, and single commits', async (t) => {
  const { address, commits } = await withHistory(t)
  await Promise.all(
    VERSIONS.map(async (version) => {
      const into = await temporaryDirectory(t)
      const at = (name: string) => join(into, name)
      const run = (...words: string[]) => git(['-c', `protocol.version=${version}`, ...words])
      const clone = (name: string, ...how: string[]) =>
        run('clone', '--quiet', '-b', 'deep-alice', ...how, address('data'), at(name))
      const count = (name: string) => run('-C', at(name), 'rev-list', '--count', 'HEAD')

      await clone('whole')
      assert.equal(await count('whole'), '5')
      await run('-C', at('whole'), 'fsck', '--strict')
      // Version 1 is the oldest one behind a greeting.
      if (version === '1') return

      await clone('shallow', '--depth', '1')
      assert.equal(await count('shallow'), '1')
      await run('-C', at('shallow'), 'fetch', '--quiet', '--deepen', '2')
      assert.equal(await count('shallow'), '3')
      await run('-C', at('shallow'), 'fetch', '--quiet', '--unshallow')
      assert.equal(await count('shallow'), '5')
      await clone('since', '--shallow-since=2026-01-04T00:00:00Z')
      assert.equal(await count('since'), '2')

      for (const filter of ['blob:none', 'tree:0']) {
        const name = filter.replace(':', '-')
        await clone(name, `--filter=${filter}`, '--no-checkout')
        const missing = await run('-C', at(name), 'rev-list', '--objects', '--all', '--missing=print')
        assert.match(missing, /^\?/m, `nothing is left out with ${filter}`)
        // What was left out is fetched when it is needed.
        await run('-C', at(name), 'checkout', '--quiet', 'deep-alice')
        assert.equal(await readFile(join(at(name), 'first'), 'utf8'), '05\n')
        assert.equal(await readFile(join(at(name), 'inner', 'file'), 'utf8'), 'unchanged\n')
      }

      await run('init', '--quiet', at('single'))
      const second = commits[1] as string
      await run('-C', at('single'), 'fetch', '--quiet', '--depth', '1', address('data'), second)
      assert.equal(await run('-C', at('single'), 'rev-parse', 'FETCH_HEAD'), second)
      const words = ['-C', at('single'), '-c', `protocol.version=${version}`, 'fetch', address('data')]
      const none = await tryGit([...words, 'f'.repeat(40)])
      assert.match(none.stderr, /remote error: upload-pack: not our ref f{40}/)
      assert.doesNotMatch(none.stderr, /RPC failed/)
    }),
  )
})

test('branches alone are shown, and the ground truth is what a clone begins with', async (t) => {
  const { node, address, work, commits } = await withHistory(t)
  const { path } = await node.federation.datasets.repository('data')
  await git(['--git-dir', path, 'update-ref', 'refs/incoming/0', commits[0] as string])
  await git(['--git-dir', path, 'update-ref', 'refs/tags/kept', commits[0] as string])
  for (const version of VERSIONS) {
    const shown = await work.run('-c', `protocol.version=${version}`, 'ls-remote', 'origin')
    assert.deepEqual(shown.split('\n'), [`${commits[3]}\trefs/heads/deep-alice`])
  }
  await node.federation.datasets.add('empty')
  const into = join(await temporaryDirectory(t), 'empty')
  await git(['clone', '--quiet', address('empty'), into])
  assert.equal(await git(['-C', into, 'symbolic-ref', 'HEAD']), 'refs/heads/ground-truth')
})

test('the token opens as a password wherever git takes one from, and what is refused can be read', async (t) => {
  const { url, token, address } = await startGitApi(t, 'native')
  const list = (at: string, ...settings: string[]) =>
    tryGit([...settings.flatMap((setting) => ['-c', setting]), 'ls-remote', at])
  const plain = `${url}/git/data.git`
  assert.equal((await list(address('data'))).exit, 0)
  assert.equal((await list(plain, `http.extraHeader=Authorization: Bearer ${token}`)).exit, 0)
  const helper = `!f() { echo username=anybody; echo password=${token}; }; f`
  assert.equal((await list(plain, `credential.helper=${helper}`)).exit, 0)

  assert.match((await list(plain)).stderr, /could not read Username/)
  const wrong = await list(address('data', 'wrong'))
  assert.match(wrong.stderr, /remote: The token is not right/)
  assert.match(wrong.stderr, /Authentication failed/)
  const absent = await list(address('absent'))
  assert.match(absent.stderr, /remote: No dataset is named absent/)
  assert.match(absent.stderr, /not found/)
  const foreign = await list(address('data'), 'http.extraHeader=Host: evil.com')
  assert.match(foreign.stderr, /remote: This node does not answer to the name "evil.com"/)
  for (const said of [wrong, absent, foreign]) assert.ok(!said.stderr.includes(token), 'the token is told')

  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'git/2.39.5' }
  const post = { method: 'POST', headers, body: 'not packets' }
  const told = await askRaw(`${url}/git/absent.git/git-upload-pack`, post)
  assert.equal(told.status, 200)
  assert.match(told.body, /^[0-9a-f]{4}ERR No dataset is named absent/)
  const untold = await askRaw(`${url}/git/data.git/git-receive-pack`, post)
  assert.equal(untold.body.charCodeAt(4), 3, 'the band of last words')
  assert.match(untold.body, /packets/)
  // The dumb protocol would hand out files of the repository as they lie on the disk.
  const bearer = { authorization: `Bearer ${token}` }
  for (const path of [
    'info/refs',
    'info/refs?service=git-upload-archive',
    'HEAD',
    'objects/info/packs',
    'config',
  ]) {
    assert.ok(
      [403, 404].includes(problemIn(await askRaw(`${plain}/${path}`, { headers: bearer })).status),
      path,
    )
  }
})

test('what a node keeps to itself is its owner’s to clone and to push to', async (t) => {
  const { node, address } = await startGitApi(t, 'native')
  for (const policy of ['local-only', 'compute-only'] as const) {
    await node.federation.datasets.add(policy, { policy })
    const work = await worktree(t, address(policy))
    await work.run('push', '--quiet', 'origin', 'HEAD:main-alice')
    const into = join(await temporaryDirectory(t), 'clone')
    await git(['clone', '--quiet', '-b', 'main-alice', address(policy), into])
    assert.equal(await readFile(join(into, 'first'), 'utf8'), '1\n')
  }
  await node.federation.datasets.add('unwanted')
  await node.federation.datasets.unfollow('unwanted')
  const said = await tryGit(['ls-remote', address('unwanted')])
  assert.match(said.stderr, /remote: This node holds no copy of unwanted \(.*maoctl dataset follow unwanted/)

  // Announced, and not here: as after the loss of a disk, while nobody who has it is connected.
  const { id } = await node.federation.datasets.add('late')
  const head = { dataset: id, sequence: 1, branches: { 'main-alice': 'a'.repeat(40) }, previous: null }
  await node.federation.registry.put(`/heads/late/${node.peerId}`, encodeJson(head))
  const empty = await tryGit(['clone', address('late'), join(await temporaryDirectory(t), 'late')])
  assert.match(
    empty.stderr,
    /remote: This node holds no copy of late \(nothing of it has come yet\); "maoctl dataset fetch late/,
  )
})

test('what another member keeps to itself is not here, and what is pushed here comes to the others', async (t) => {
  const alice = await startGitApi(t, 'native')
  const { datasets } = alice.node.federation
  await datasets.add('closed', { policy: 'compute-only' })
  await datasets.add('private', { policy: 'local-only' })
  const bob = await startTestApi(t, 'bob')
  await bob.node.join((await alice.node.invite()).token)
  await eventually(
    () => bob.node.federation.datasets.list().some(({ name }) => name === 'closed'),
    'bob never heard of the dataset',
  )
  const at = (dataset: string) => `${bob.url.replace('http://', `http://x:${bob.token}@`)}/git/${dataset}.git`
  const work = await worktree(t, at('closed'))
  for (const words of [['fetch'], ['push', 'origin', 'HEAD:main-bob']]) {
    const said = await work.try(...words)
    assert.match(said.stderr, /remote: The dataset closed is compute-only: its objects stay with alice; /)
    assert.match(said.stderr, /403/)
  }
  assert.match((await tryGit(['ls-remote', at('private')])).stderr, /remote: No dataset is named private/)

  const commit = await work.run('rev-parse', 'HEAD')
  await work.run('push', '--quiet', at('data'), 'HEAD:refs/heads/main-bob')
  await eventually(async () => {
    const { branches } = await alice.shown()
    return branches.some((one) => one.branch === 'main-bob' && one.commit === commit && one.present)
  }, 'what bob pushed never came to alice')
  const shown = await tryGit(['ls-remote', alice.address('data')])
  assert.match(shown.stdout, new RegExp(`${commit}\trefs/heads/main-bob`))
})

test('places are given back by clients that go away in the middle', async (t) => {
  const { address, url, token } = await startGitApi(t, 'native')
  const work = await worktree(t, address('data'))
  const commit = await work.commit('big', randomBytes(12_000_000))
  await work.run('push', '--quiet', 'origin', 'HEAD:main-alice')
  const want = Buffer.concat([
    packet('command=fetch'),
    DELIMITER,
    packet(`want ${commit}\n`),
    packet('done\n'),
    FLUSH,
  ])
  const { hostname, port } = new URL(url)
  const headers = { authorization: `Bearer ${token}`, 'git-protocol': 'version=2' }
  const path = '/git/data.git/git-upload-pack'
  const ask = async () => {
    const asking = request({ hostname, port, path, method: 'POST', headers })
    asking.on('error', () => undefined)
    asking.end(want)
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    response.on('error', () => undefined)
    assert.equal(response.statusCode, 200)
    await once(response, 'readable')
    return asking
  }
  const stuck = await Promise.all(Array.from({ length: gitReadsServedMax }, ask))
  const waiting = tryGit(['ls-remote', address('data')])
  const isServed = await Promise.race([waiting.then(() => true), sleep(300, false)])
  assert.equal(isServed, false, 'more clients are served at once than there are places')
  for (const asking of stuck) asking.destroy()
  assert.equal((await withDeadline(waiting, 15_000, 'The client that waited')).exit, 0)
})

test('a node without the git program says so', async (t) => {
  const { address } = await startGitApi(t, 'isomorphic')
  const said = await tryGit(['ls-remote', address('data')])
  assert.match(
    said.stderr,
    /remote: Datasets are read by git clients with the help of the git program.*install git/,
  )
})
