import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { archiveOf } from '../../src/cli/archive.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { type Person, plainGit, startPerson } from '../support/dataset-people.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const FILES = { 'a.csv': 'id,value\n1,2\n', 'deep/er/b.txt': 'deep\n' }

async function founder(t: TestContext, backend: 'native' | 'isomorphic' = 'native'): Promise<Person> {
  const alice = await startPerson(t, 'alice', { git: { backend } })
  await alice.node.createFederation({ name: 'lab' })
  return alice
}

const tarOf = async (directory: string) => buffer((await archiveOf(directory)).bytes)

/** A repository with a work tree: two commits on main, a branch beside it. */
async function someRepository(t: TestContext): Promise<string> {
  const directory = await directoryOf(t, FILES)
  const git = (...words: string[]) => plainGit(['-C', directory, ...words])
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'first')
  await git('checkout', '--quiet', '-b', 'beside')
  await writeFile(join(directory, 'beside.txt'), 'beside\n')
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'beside')
  await git('checkout', '--quiet', 'main')
  await writeFile(join(directory, 'a.csv'), 'id,value\n1,3\n')
  await git('commit', '--quiet', '-am', 'second')
  return directory
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What the ground truth of a dataset holds, path by path. */
async function filesIn({ node }: Person, dataset: string): Promise<Record<string, string>> {
  const repository = await node.federation.datasets.repository(dataset)
  const truth = (await node.federation.datasets.truth(dataset)) as string
  const files = await repository.listFiles(truth)
  const contents = await Promise.all(
    files.map(async ({ path, oid }) => [path, Buffer.from(await repository.readBlob(oid)).toString()]),
  )
  return Object.fromEntries(contents)
}

test('files come from a directory, an archive of any packing, standard input, or alone', async (t) => {
  const alice = await founder(t)
  const directory = await directoryOf(t, FILES)
  const tar = await tarOf(directory)
  const archives = await directoryOf(t, {
    // Named by chance: what is in it tells how it is packed.
    'data.bin': tar,
    'data.tgz': gzipSync(tar),
    'data.tar.zst': zstdCompressSync(tar),
    'table.csv': 'x\n1\n',
  })
  const sources = { folder: directory, tar: 'data.bin', gzip: 'data.tgz', zstd: 'data.tar.zst' }
  for (const [name, source] of Object.entries(sources)) {
    const path = name === 'folder' ? source : join(archives, source)
    const ended = await alice.type('dataset', 'import', path, '--name', name)
    assert.equal(ended.exit, 0, ended.stderr)
    assert.match(
      ended.stdout,
      new RegExp(`^The dataset ${name} holds 2 files, at commit [0-9a-f]{10}\\.$`, 'm'),
    )
    assert.deepEqual(await filesIn(alice, name), FILES, name)
  }
  const piped = await alice.typeWith({ input: gzipSync(tar) }, 'dataset', 'import', '-', '--name', 'piped')
  assert.equal(piped.exit, 0, piped.stderr)
  assert.deepEqual(await filesIn(alice, 'piped'), FILES)
  const one = await alice.type('dataset', 'import', join(archives, 'table.csv'), '--name', 'one')
  assert.match(one.stdout, /holds the file table\.csv, at commit/)
  assert.deepEqual(await filesIn(alice, 'one'), { 'table.csv': 'x\n1\n' })

  const before = await readdir(alice.repositories)
  const taken = await alice.type('dataset', 'import', 'git@nowhere.invalid:x', '--name', 'one')
  assert.equal(taken.exit, 4, 'a name that is taken is told before anything is cloned or sent')
  assert.match(
    taken.stderr,
    /already; choose another name, or add to it: maoctl dataset import … --into one \(ALREADY_EXISTS\)/,
  )
  const wrong: [string[], number, RegExp][] = [
    [[join(archives, 'absent'), '--name', 'x'], 2, /it does not exist/],
    [[directory], 2, /Where to\?/],
    [[directory, '--name', 'x', '--into', 'one'], 2, /Only one of the two/],
    [[directory, '--name', 'Bad Name'], 2, /name/],
    [[directory, '--name', 'x', '--sha256', 'f'.repeat(64)], 2, /--sha256 is for what is downloaded/],
    [[directory, '--name', 'x', '--branch', 'main'], 2, /no git repository/],
    [['-', '--name', 'x'], 2, /Standard input is empty/],
    [[directory, '--into', 'absent'], 3, /absent/],
  ]
  for (const [words, exit, message] of wrong) {
    const ended = await alice.type('dataset', 'import', ...words)
    assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
  }
  assert.deepEqual(await readdir(alice.repositories), before, 'a refused import leaves a repository behind')
})

test('a repository comes with the history of one branch, on both backends', async (t) => {
  const source = await someRepository(t)
  const bare = join(await temporaryDirectory(t), 'bare')
  await plainGit(['clone', '--quiet', '--bare', source, bare])
  const main = await plainGit(['-C', source, 'rev-parse', 'main'])
  const beside = await plainGit(['-C', source, 'rev-parse', 'beside'])
  await writeFile(join(source, 'uncommitted.txt'), 'x')
  for (const backend of ['native', 'isomorphic'] as const) {
    const alice = await founder(t, backend)
    const local = await alice.type('dataset', 'import', source, '--name', 'local')
    assert.equal(local.exit, 0, local.stderr)
    assert.match(local.stdout, /holds 2 commits of main, at commit/)
    assert.match(local.stderr, /What is not committed there stays behind/)
    assert.equal((await alice.show('local')).truth, main, 'the history has the ids that it had')
    assert.deepEqual(
      (await alice.show('local')).branches.map(({ branch, commit }) => [branch, commit]),
      [['import-alice', main]],
    )
    const words = ['dataset', 'import', `git+file://${bare}`, '--name', 'remote', '--branch', 'beside']
    const remote = await alice.type(...words)
    assert.equal(remote.exit, 0, remote.stderr)
    assert.equal((await alice.show('remote')).truth, beside)
    if (backend === 'isomorphic') continue

    const files = await alice.type('dataset', 'import', source, '--name', 'files', '--files-only')
    assert.equal(files.exit, 0, files.stderr)
    assert.equal((await filesIn(alice, 'files'))['uncommitted.txt'], 'x')
    const archived = await alice.type('dataset', 'import', bare, '--name', 'archived', '--files-only')
    assert.equal(archived.exit, 0, archived.stderr)
    assert.equal((await alice.told<unknown[]>('dataset', 'log', 'archived')).length, 1)

    const bundle = join(await temporaryDirectory(t), 'any')
    await plainGit(['-C', source, 'bundle', 'create', '--quiet', bundle, 'main'])
    assert.equal((await alice.type('dataset', 'import', bundle, '--name', 'bundled')).exit, 0)
    assert.equal((await alice.show('bundled')).truth, main)

    // Over HTTP with the user's own settings: the node serves git itself.
    const header = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.extraHeader',
      GIT_CONFIG_VALUE_0: `Authorization: Bearer ${alice.token}`,
    }
    const served = `${alice.url}/git/local.git`
    const again = await alice.typeWith(
      { environment: header },
      'dataset',
      'import',
      served,
      '--name',
      'again',
    )
    assert.equal(again.exit, 0, again.stderr)
    assert.equal((await alice.show('again')).truth, main)
  }
})

test('what a dataset cannot hold of a repository is refused by its path', async (t) => {
  const alice = await founder(t)
  const source = await someRepository(t)
  const git = (...words: string[]) => plainGit(['-C', source, ...words])
  const refused = async (path: string, message: RegExp) => {
    const ended = await alice.type('dataset', 'import', path, '--name', 'refused')
    assert.equal(ended.exit, 2, ended.stderr)
    assert.match(ended.stderr, message)
  }
  await git('checkout', '--quiet', '-b', 'large')
  await writeFile(join(source, '.gitattributes'), '*.bin filter=lfs diff=lfs merge=lfs -text\n')
  await mkdir(join(source, 'big'))
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 5\n`
  await writeFile(join(source, 'big/one.bin'), pointer)
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'large')
  await refused(source, /big\/one\.bin lies in Git LFS/)

  await git('checkout', '--quiet', '-b', 'nested', 'main')
  const head = await git('rev-parse', 'HEAD')
  await git('update-index', '--add', '--cacheinfo', `160000,${head},lib/module`)
  await git('commit', '--quiet', '-m', 'nested')
  await refused(source, /lib\/module is a submodule/)

  const shallow = join(await temporaryDirectory(t), 'shallow')
  await plainGit(['clone', '--quiet', '--depth', '1', '--branch', 'main', `file://${source}`, shallow])
  await refused(shallow, /shallow clone.*--unshallow/)
  const unborn = await temporaryDirectory(t)
  await plainGit(['init', '--quiet', unborn])
  await refused(unborn, /has no commit to import/)
  const branches = await alice.type('dataset', 'import', source, '--name', 'refused', '--branch', 'mian')
  assert.equal(branches.exit, 3)
  assert.match(branches.stderr, /no branch mian; it has beside, large, main, nested/)
  const gone = await alice.type('dataset', 'import', `git+file://${source}/absent`, '--name', 'refused')
  assert.equal(gone.exit, 6)
  assert.match(gone.stderr, /does not appear to be a git repository[\s\S]*git clone ended with 128/)

  const zip = await directoryOf(t, { 'data.zip': Buffer.from([0x50, 0x4b, 3, 4, 0, 0]) })
  await refused(join(zip, 'data.zip'), /zip archive, which is not taken; unzip it/)
  assert.deepEqual(await alice.told('dataset', 'list'), [])
  assert.deepEqual(await readdir(join(alice.data, 'tmp')).catch(() => []), [])
})

test('what is downloaded is bounded, checked, and led on only so far', async (t) => {
  const alice = await founder(t)
  const packed = gzipSync(await tarOf(await directoryOf(t, FILES)))
  const hash = createHash('sha256').update(packed).digest('hex')
  const url = await serve(t, (request, response) => {
    const path = request.url ?? ''
    if (path === '/data.tar.gz') response.end(packed)
    else if (path === '/table.csv') response.end('x\n1\n')
    else if (path === '/moved') response.writeHead(302, { location: '/data.tar.gz' }).end()
    else if (path === '/round') response.writeHead(301, { location: '/round' }).end()
    else if (path === '/file') response.writeHead(301, { location: 'file:///etc/passwd' }).end()
    else if (path === '/cut') {
      response.writeHead(200, { 'content-length': String(packed.length) })
      response.write(packed.subarray(0, 40))
      setTimeout(() => response.destroy(), 20)
    } else response.writeHead(404).end()
  })
  const good: [string, string[]][] = [
    ['plain', ['/data.tar.gz', '--sha256', hash.toUpperCase()]],
    ['moved', ['/moved', '--sha256', hash]],
  ]
  for (const [name, [path = '', ...words]] of good) {
    const ended = await alice.type('dataset', 'import', url + path, '--name', name, ...words)
    assert.equal(ended.exit, 0, ended.stderr)
    assert.deepEqual(await filesIn(alice, name), FILES)
  }
  const table = await alice.type('dataset', 'import', `${url}/table.csv`, '--name', 'table')
  assert.equal(table.exit, 0, table.stderr)
  assert.deepEqual(await filesIn(alice, 'table'), { 'table.csv': 'x\n1\n' })
  const before = await readdir(alice.repositories)
  const wrong: [string[], number, RegExp][] = [
    [[`${url}/data.tar.gz`, '--sha256', 'f'.repeat(64)], 9, new RegExp(`has the SHA-256 ${hash}`)],
    [[`${url}/round`], 2, /leads on more than 5 times/],
    [[`${url}/file`], 2, /no address that can be fetched/],
    [[`${url}/absent`], 3, /answers 404/],
    [[`${url}/cut`], 6, /broke off/],
    [[url.replace('http://', 'http://name:secret@')], 2, /passwords do not belong/],
    [['https://name:secret@127.0.0.1/data.git'], 2, /password does not belong/],
  ]
  for (const [words, exit, message] of wrong) {
    const ended = await alice.type('dataset', 'import', ...words, '--name', 'refused')
    assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stderr}`)
    assert.match(ended.stderr, message)
    assert.ok(!ended.stderr.includes('secret'))
  }
  assert.deepEqual(await readdir(alice.repositories), before)
})

test('people add to a dataset without git', async (t) => {
  const alice = await founder(t)
  await alice.told('dataset', 'import', await directoryOf(t, FILES), '--name', 'data')
  const more = await directoryOf(t, { ...FILES, 'c.csv': 'new\n' })
  const words = ['dataset', 'import', more, '--into', 'data', '--step', 'manual', '--message', 'By hand']
  const first = await alice.type(...words)
  assert.equal(first.exit, 0, first.stderr)
  assert.match(first.stdout, /^manual-alice of data is at commit [0-9a-f]{10} now with 3 files\.$/m)
  const again = await alice.type(...words)
  assert.match(again.stdout, /Nothing is new: manual-alice of data holds the same already/)
  const log = await alice.told<{ message: string }[]>('dataset', 'log', 'data', '--branch', 'manual-alice')
  assert.deepEqual(
    log.map(({ message }) => message.trim()),
    ['By hand'],
  )
  const { truth } = await alice.show('data')
  const next = await alice.told<{ parent: string }>('dataset', 'import', more, '--into', 'data')
  assert.equal(next.parent, truth, 'the step is "import" by default, and goes on where the dataset began')

  const repository = await someRepository(t)
  const history = await alice.type('dataset', 'import', repository, '--into', 'data', '--step', 'git')
  assert.equal(history.exit, 0, history.stderr)
  assert.match(history.stdout, /git-alice of data is at commit .* with 2 commits of main/)
  const apart = await alice.type(
    'dataset',
    'import',
    repository,
    '--into',
    'data',
    '--branch',
    'beside',
    '--step',
    'git',
  )
  assert.equal(apart.exit, 4)
  assert.match(apart.stderr, /does not follow.*; --files-only adds the files alone as a new snapshot/)
  assert.equal((await readFile(join(repository, 'a.csv'), 'utf8')).length > 0, true)
})
