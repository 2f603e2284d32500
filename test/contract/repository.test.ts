import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { encodeTree } from '../../src/datasets/git/git-objects.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import {
  BACKENDS,
  type BackendKind,
  gitBackend,
  PERSON,
  plantCommit,
  plantTree,
  TIME_MS,
} from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MISSING = 'f'.repeat(40)
const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function repositoryOf(test: TestContext, kind: BackendKind) {
  const place = await temporaryDirectory(test)
  const repository = await (await gitBackend(test, kind)).open(join(place, 'data.git'))
  const commit = (tree: string, parents: string[] = [], timeMs = TIME_MS, message = 'one\n') =>
    repository.writeCommit({ tree, parents, message, author: PERSON, timeMs })
  return { place, repository, commit }
}

/** Some of everything that a tool may leave behind. */
async function sampleDirectory(test: TestContext): Promise<string> {
  const directory = await temporaryDirectory(test)
  await mkdir(join(directory, 'a/b'), { recursive: true })
  await mkdir(join(directory, 'empty'))
  await writeFile(join(directory, 'a/b/deep.csv'), 'x,y\r\n1,2\r\n')
  await writeFile(join(directory, 'a.csv'), 'before a/ in git, after it elsewhere\n')
  await writeFile(join(directory, 'ä "quoted" file'), '')
  await writeFile(join(directory, '.gitattributes'), '*.csv text eol=lf\n')
  await writeFile(join(directory, 'run.sh'), '#!/bin/sh\n')
  await chmod(join(directory, 'run.sh'), 0o755)
  await writeFile(join(directory, 'bytes'), Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256)))
  await symlink('../a.csv', join(directory, 'a/link'))
  return directory
}

for (const kind of BACKENDS) {
  suite(`repository with the ${kind} backend`, () => {
    test('a directory is stored and comes back byte for byte', async (t) => {
      const { place, repository, commit } = await repositoryOf(t, kind)
      const from = await sampleDirectory(t)
      const id = await commit(await repository.writeTreeFromDirectory(from))
      const to = join(place, 'out')
      await repository.checkout(id, to)
      const files = await repository.listFiles(id)
      assert.deepEqual(
        files.map(({ mode, path }) => `${mode} ${path}`),
        [
          '100644 .gitattributes',
          '100644 a.csv',
          '100644 a/b/deep.csv',
          '120000 a/link',
          '100644 bytes',
          '100755 run.sh',
          '100644 ä "quoted" file',
        ],
      )
      for (const { path, mode, oid } of files) {
        if (mode === '120000') assert.equal(await readlink(join(to, path)), await readlink(join(from, path)))
        else assert.deepEqual(await readFile(join(to, path)), await readFile(join(from, path)))
        if (mode !== '120000')
          assert.deepEqual(Buffer.from(await repository.readBlob(oid)), await readFile(join(from, path)))
      }
      assert.equal((await lstat(join(to, 'run.sh'))).mode & 0o777, 0o755)
      assert.equal(
        execFileSync('git', ['-C', repository.path, 'fsck', '--strict', '--no-dangling']).toString(),
        '',
      )
    })

    test('a commit keeps what it was given, and unknown ones are told apart', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const tree = await repository.writeTree([])
      const first = await commit(tree)
      const second = await commit(tree, [first], TIME_MS + 61_999, 'Two\n\nRun: 7\n')
      assert.deepEqual(await repository.readCommit(second), {
        oid: second,
        tree,
        parents: [first],
        author: PERSON,
        timeMs: TIME_MS + 61_000,
        message: 'Two\n\nRun: 7\n',
      })
      assert.equal(await repository.hasCommit(first), true)
      for (const stranger of [MISSING, tree, 'HEAD', '--all']) {
        assert.equal(await repository.hasCommit(stranger), false)
        await assert.rejects(repository.readCommit(stranger), coded('COMMIT_NOT_FOUND'))
        await assert.rejects(repository.listFiles(stranger), coded('COMMIT_NOT_FOUND'))
        await assert.rejects(repository.isAncestor(stranger, first), coded('COMMIT_NOT_FOUND'))
      }
      await assert.rejects(commit(MISSING), coded('NOT_FOUND'))
      await assert.rejects(commit(tree, [MISSING]), coded('COMMIT_NOT_FOUND'))
      await assert.rejects(repository.readBlob(tree), coded('NOT_FOUND'))
      const absent = { path: 'a', mode: '100644', oid: MISSING } as const
      await assert.rejects(repository.writeTree([absent]), coded('NOT_FOUND'))
    })

    test('history comes newest first and knows who descends from whom', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const tree = await repository.writeTree([])
      const root = await commit(tree)
      const left = await commit(tree, [root], TIME_MS + 3_000, 'left')
      const right = await commit(tree, [root], TIME_MS + 2_000, 'right')
      const both = await commit(tree, [left, right], TIME_MS + 4_000, 'both')
      const ids = async (limit: number) => (await repository.log(both, limit)).map((one) => one.oid)
      assert.deepEqual(await ids(10), [both, left, right, root])
      assert.deepEqual(await ids(2), [both, left])
      assert.equal(await repository.isAncestor(root, both), true)
      assert.equal(await repository.isAncestor(both, both), true)
      assert.equal(await repository.isAncestor(left, right), false)
      assert.equal(await repository.isAncestor(both, root), false)
    })

    test('a branch moves only from where it was seen', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const tree = await repository.writeTree([])
      const first = await commit(tree)
      const second = await commit(tree, [first])
      await repository.moveBranch('collect-alice', first, undefined)
      await assert.rejects(repository.moveBranch('collect-alice', second, undefined), coded('CONFLICT'))
      await assert.rejects(repository.moveBranch('collect-alice', second, second), coded('CONFLICT'))
      await assert.rejects(repository.moveBranch('collect-bob', second, first), coded('CONFLICT'))
      await repository.moveBranch('collect-alice', second, first)
      await assert.rejects(repository.moveBranch('x', MISSING, undefined), coded('COMMIT_NOT_FOUND'))
      for (const name of ['../x', 'a/b', '-d', 'x.lock', 'a..b', '']) {
        await assert.rejects(repository.moveBranch(name, first, undefined), coded('INVALID_NAME'), name)
      }
      assert.equal(await repository.resolve('collect-alice'), second)
      assert.equal(await repository.resolve('nobody'), undefined)
      assert.deepEqual([...(await repository.branches())], [['collect-alice', second]])
    })

    test('of many that move one branch at once, exactly one succeeds', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const tree = await repository.writeTree([])
      const ids = await Promise.all([1, 2, 3, 4].map((n) => commit(tree, [], TIME_MS, `${n}`)))
      const moves = await Promise.allSettled(ids.map((id) => repository.moveBranch('b', id, undefined)))
      assert.equal(moves.filter((move) => move.status === 'fulfilled').length, 1)
    })

    test('a lock that a killed node left behind does not hold the branch for ever', async (t) => {
      const { place, repository, commit } = await repositoryOf(t, kind)
      await writeFile(join(repository.path, 'refs/heads/b.lock'), '')
      await writeFile(join(repository.path, 'packed-refs.lock'), '')
      const again = await (await gitBackend(t, kind)).open(join(place, 'data.git'))
      await again.moveBranch('b', await commit(await again.writeTree([])), undefined)
    })

    for (const name of ['..', '.git', '.GIT', 'git~1', '.g\u200cit', 'C:', 'a\\b', 'nul']) {
      test(`a tree with the entry ${JSON.stringify(name)} is neither made, listed nor checked out`, async (t) => {
        const { place, repository } = await repositoryOf(t, kind)
        const oid = await writeLoose(repository.path, 'blob', Buffer.from('evil'))
        const file = { path: `${name}/config`, mode: '100644', oid } as const
        await assert.rejects(repository.writeTree([file]), coded('PATH_UNSAFE'))
        const inner = await writeLoose(
          repository.path,
          'tree',
          encodeTree([{ mode: '100644', name: 'config', oid }]),
        )
        const commit = await plantCommit(repository, [{ mode: '40000', name, oid: inner }])
        await assert.rejects(repository.listFiles(commit), coded('PATH_UNSAFE'))
        await assert.rejects(repository.checkout(commit, join(place, 'out')), coded('PATH_UNSAFE'))
        assert.deepEqual(await readdir(place), ['data.git'])
      })
    }

    test('absolute paths, files that are directories, submodules and names given twice are refused', async (t) => {
      const { repository } = await repositoryOf(t, kind)
      const oid = await writeLoose(repository.path, 'blob', Buffer.from('x'))
      const file = (path: string) => ({ path, mode: '100644', oid }) as const
      for (const files of [[file('/etc/x')], [file('a'), file('a/b')], [file('a'), file('a')]]) {
        await assert.rejects(repository.writeTree(files), coded('PATH_UNSAFE'))
      }
      const submodule = await plantCommit(repository, [{ mode: '160000', name: 'x', oid }])
      await assert.rejects(repository.listFiles(submodule), coded('PATH_UNSAFE'))
      const twice = Buffer.concat([
        encodeTree([{ mode: '120000', name: 'x', oid }]),
        encodeTree([{ mode: '100644', name: 'x', oid }]),
      ])
      const commit = await plantTree(repository, await writeLoose(repository.path, 'tree', twice))
      await assert.rejects(repository.listFiles(commit), coded('PATH_UNSAFE'))
    })

    for (const target of ['/etc/passwd', '../secret', 'a/../../secret', '.git/config']) {
      test(`a link to ${target} is neither stored nor written out`, async (t) => {
        const { place, repository } = await repositoryOf(t, kind)
        const directory = await temporaryDirectory(t)
        await symlink(target, join(directory, 'link'))
        await assert.rejects(repository.writeTreeFromDirectory(directory), coded('PATH_UNSAFE'))
        const commit = await plantCommit(repository, [
          { mode: '100644', name: 'file', content: 'x' },
          { mode: '120000', name: 'link', content: target },
        ])
        await assert.rejects(repository.checkout(commit, join(place, 'out')), coded('PATH_UNSAFE'))
        assert.deepEqual(await readdir(place), ['data.git'])
      })
    }

    test('a link to a directory is stored as a link, not as what lies behind it', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const directory = await temporaryDirectory(t)
      await mkdir(join(directory, 'real'))
      await writeFile(join(directory, 'real/file'), 'x')
      await symlink('real', join(directory, 'alias'))
      const files = await repository.listFiles(
        await commit(await repository.writeTreeFromDirectory(directory)),
      )
      assert.deepEqual(
        files.map((file) => file.path),
        ['alias', 'real/file'],
      )
    })

    test('a git directory or a pipe among the files is refused', async (t) => {
      const { repository } = await repositoryOf(t, kind)
      for (const plant of [
        (directory: string) => mkdir(join(directory, '.git')),
        async (directory: string) => execFileSync('mkfifo', [join(directory, 'pipe')]),
      ]) {
        const directory = await temporaryDirectory(t)
        await plant(directory)
        await assert.rejects(repository.writeTreeFromDirectory(directory), coded('PATH_UNSAFE'))
      }
      await assert.rejects(repository.writeTreeFromDirectory('/nowhere/at/all'), coded('INVALID_INPUT'))
    })

    test('a checkout wants an empty directory', async (t) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const id = await commit(await repository.writeTree([]))
      const directory = await temporaryDirectory(t)
      await repository.checkout(id, directory)
      await writeFile(join(directory, 'mine'), '')
      await assert.rejects(repository.checkout(id, directory), coded('INVALID_INPUT'))
    })
  })
}

test('both backends give the same ids to the same files and commits', async (t) => {
  const directory = await sampleDirectory(t)
  const ids = await Promise.all(
    BACKENDS.map(async (kind) => {
      const { repository, commit } = await repositoryOf(t, kind)
      const empty = await repository.writeTree([])
      const tree = await repository.writeTreeFromDirectory(directory)
      const first = await commit(tree)
      return [empty, tree, first, await commit(tree, [first], TIME_MS + 1, 'no line end')]
    }),
  )
  assert.deepEqual(ids[0], ids[1])
})

test('each backend reads what the other has written', async (t) => {
  const place = join(await temporaryDirectory(t), 'shared.git')
  const [native, isomorphic] = await Promise.all(
    BACKENDS.map(async (kind) => (await gitBackend(t, kind)).open(place)),
  )
  assert.ok(native && isomorphic)
  const tree = await native.writeTreeFromDirectory(await sampleDirectory(t))
  const commit = await isomorphic.writeCommit({
    tree,
    parents: [],
    message: 'x',
    author: PERSON,
    timeMs: TIME_MS,
  })
  await native.moveBranch('b', commit, undefined)
  execFileSync('git', ['-C', place, 'gc', '-q'])
  assert.equal(await isomorphic.resolve('b'), commit)
  assert.deepEqual(await isomorphic.listFiles(commit), await native.listFiles(commit))
})
