import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { encodeTree } from '../../src/datasets/git/git-objects.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { ByteRange, PackRepository } from '../../src/datasets/git/repository.ts'
import {
  BACKENDS,
  type BackendKind,
  gitBackend,
  PERSON,
  plantTree,
  TIME_MS,
} from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MISSING = 'f'.repeat(40)
const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function open(t: TestContext, kind: BackendKind): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

/** A commit with names that a careless reader would take for patterns, options or revisions. */
async function awkward(t: TestContext, repository: PackRepository, big: Buffer): Promise<string> {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'a/b'), { recursive: true })
  await writeFile(join(directory, 'a/b/c.csv'), '1,2\n')
  await writeFile(join(directory, 'a.csv'), 'before a/')
  await writeFile(join(directory, '-rf'), 'no option')
  await writeFile(join(directory, 'a/*'), 'no pattern')
  await writeFile(join(directory, 'a/(top)x y'), 'no magic')
  await writeFile(join(directory, '^{commit}'), 'no revision')
  await writeFile(join(directory, 'big'), big)
  await writeFile(join(directory, 'empty'), '')
  await symlink('../a.csv', join(directory, 'a/link'))
  const tree = await repository.writeTreeFromDirectory(directory)
  return repository.writeCommit({ tree, parents: [], message: 'x', author: PERSON, timeMs: TIME_MS })
}

async function read(repository: PackRepository, oid: string, range?: ByteRange) {
  const { size, content } = await repository.openBlob(oid, range)
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return { size, bytes: Buffer.concat(chunks) }
}

for (const kind of BACKENDS) {
  suite(`looking into a repository with the ${kind} backend`, () => {
    test('a directory is listed by itself, sorted as git sorts, with sizes', async (t) => {
      const repository = await open(t, kind)
      const commit = await awkward(t, repository, Buffer.alloc(70_000))
      const shown = async (path: string) =>
        (await repository.listDirectory(commit, path)).map(({ name, mode, size }) => [name, mode, size])
      assert.deepEqual(await shown(''), [
        ['-rf', '100644', 9],
        ['^{commit}', '100644', 11],
        ['a.csv', '100644', 9],
        ['a', '040000', undefined],
        ['big', '100644', 70_000],
        ['empty', '100644', 0],
      ])
      assert.deepEqual(await shown('a'), [
        ['(top)x y', '100644', 8],
        ['*', '100644', 10],
        ['b', '040000', undefined],
        ['link', '120000', 8],
      ])
      for (const path of ['a.csv', 'a/link', 'a/link/x', 'nothing', 'a/b/c.csv/d', 'A']) {
        await assert.rejects(repository.listDirectory(commit, path), coded('NOT_FOUND'), path)
      }
      for (const path of ['..', '/a', 'a/', 'a//b', './a', 'a/.git', 'a\nb', '\0']) {
        await assert.rejects(repository.listDirectory(commit, path), coded('PATH_UNSAFE'), path)
      }
    })

    test('the entry at a path is what git shows there, and names are taken as they are', async (t) => {
      const repository = await open(t, kind)
      const commit = await awkward(t, repository, Buffer.alloc(10))
      const git = (path: string) =>
        execFileSync('git', ['-C', repository.path, 'rev-parse', `${commit}:${path}`])
          .toString()
          .trim()
      for (const path of ['-rf', '^{commit}', 'a/*', 'a/(top)x y', 'a/b/c.csv', 'a/link']) {
        const name = path.split('/').at(-1)
        const found = await repository.entryAt(commit, path)
        assert.equal(found?.name, name)
        assert.equal(found?.oid, git(path))
        assert.equal(found?.size, (await repository.readBlob(git(path))).length)
      }
      assert.deepEqual(await repository.entryAt(commit, 'a/b'), {
        name: 'b',
        mode: '040000',
        oid: git('a/b'),
      })
      assert.deepEqual(await repository.entryAt(commit, ''), { name: '', mode: '040000', oid: git('') })
      for (const path of ['x', 'a/link/x', 'a.csv/x', '*', 'a/b/*']) {
        assert.equal(await repository.entryAt(commit, path), undefined, path)
      }
      await assert.rejects(repository.entryAt(commit, '../x'), coded('PATH_UNSAFE'))
      const tree = (await repository.readCommit(commit)).tree
      for (const stranger of [MISSING, tree, 'HEAD', '--all', '']) {
        await assert.rejects(repository.entryAt(stranger, 'a'), coded('COMMIT_NOT_FOUND'))
        await assert.rejects(repository.entryAt(stranger, ''), coded('COMMIT_NOT_FOUND'))
        await assert.rejects(repository.listDirectory(stranger, ''), coded('COMMIT_NOT_FOUND'))
        await assert.rejects(repository.listDirectory(stranger, 'a'), coded('COMMIT_NOT_FOUND'))
      }
    })

    test('a planted tree against the rules is not listed', async (t) => {
      const repository = await open(t, kind)
      const oid = await writeLoose(repository.path, 'blob', Buffer.from('x'))
      const entries = [{ mode: '100644', name: '.GIT', oid }] as const
      const commit = await plantTree(
        repository,
        await writeLoose(repository.path, 'tree', encodeTree(entries)),
      )
      await assert.rejects(repository.listDirectory(commit, ''), coded('PATH_UNSAFE'))
    })

    test('a file is streamed whole or in any range', async (t) => {
      const repository = await open(t, kind)
      const big = randomBytes(300_000)
      const commit = await awkward(t, repository, big)
      const oid = (await repository.entryAt(commit, 'big'))?.oid as string
      assert.deepEqual(await read(repository, oid), { size: 300_000, bytes: big })
      for (const [start, end] of [
        [0, 1],
        [65_535, 65_537],
        [299_999, 300_000],
        [150_000, 900_000],
        [300_000, 300_001],
        [7, 7],
      ] as const) {
        const found = await read(repository, oid, { start, end })
        assert.deepEqual(found, { size: 300_000, bytes: big.subarray(start, end) })
      }
      const empty = (await repository.entryAt(commit, 'empty'))?.oid as string
      assert.deepEqual(await read(repository, empty), { size: 0, bytes: Buffer.alloc(0) })
      for (const range of [
        { start: -1, end: 2 },
        { start: 3, end: 2 },
        { start: 0.5, end: 2 },
      ]) {
        await assert.rejects(repository.openBlob(oid, range), coded('INVALID_INPUT'))
      }
      await assert.rejects(repository.openBlob(MISSING), coded('NOT_FOUND'))
      await assert.rejects(repository.openBlob(commit), coded('NOT_FOUND'))
      await assert.rejects(repository.openBlob('--help'), coded('INVALID_INPUT'))
    })

    test('many files are read one after another, each as often as it is named', async (t) => {
      const repository = await open(t, kind)
      const commit = await awkward(t, repository, Buffer.alloc(70_000))
      const oidOf = async (path: string) => (await repository.entryAt(commit, path))?.oid as string
      const [csv, empty, big] = [await oidOf('a.csv'), await oidOf('empty'), await oidOf('big')]
      const read: [number, number][] = []
      await repository.readFiles([csv, big, empty, csv], async (index, content) => {
        let bytes = 0
        for await (const chunk of content) bytes += chunk.length
        read.push([index, bytes])
      })
      assert.deepEqual(read, [
        [0, 9],
        [1, 70_000],
        [2, 0],
        [3, 9],
      ])
      const sizes = await repository.fileSizes([csv, big, empty, commit, MISSING])
      assert.deepEqual(Object.fromEntries(sizes), { [csv]: 9, [big]: 70_000, [empty]: 0 })
      const nothing = async () => undefined
      for (const oid of [MISSING, commit]) {
        await assert.rejects(repository.readFiles([oid], nothing), coded('NOT_FOUND'))
      }
      await assert.rejects(repository.readFiles(['--help'], nothing), coded('INVALID_INPUT'))
      await assert.rejects(
        repository.readFiles([csv], nothing, AbortSignal.abort(new Error('enough'))),
        /enough/,
      )
    })

    test('many who leave a file halfway hold nothing up', async (t) => {
      const repository = await open(t, kind)
      const commit = await awkward(t, repository, randomBytes(1_000_000))
      const oid = (await repository.entryAt(commit, 'big'))?.oid as string
      for (let round = 0; round < 40; round += 1) {
        const { content } = await repository.openBlob(oid)
        for await (const chunk of content) {
          assert.ok(chunk.length > 0)
          break
        }
      }
      assert.equal((await read(repository, oid)).bytes.length, 1_000_000)
    })

    test('a branch is deleted only where it was seen, packed or not', async (t) => {
      const repository = await open(t, kind)
      const commit = await awkward(t, repository, Buffer.alloc(1))
      const next = await plantTree(repository, (await repository.readCommit(commit)).tree, [commit])
      for (const branch of ['a', 'b', 'c']) await repository.moveBranch(branch, commit, undefined)
      execFileSync('git', ['-C', repository.path, 'pack-refs', '--all'])
      await repository.moveBranch('b', next, commit)
      await assert.rejects(repository.deleteBranch('b', commit), coded('CONFLICT'))
      await assert.rejects(repository.deleteBranch('b', '0'.repeat(40)), coded('CONFLICT'))
      await assert.rejects(repository.deleteBranch('nobody', commit), coded('CONFLICT'))
      await assert.rejects(repository.deleteBranch('../b', commit), coded('INVALID_NAME'))
      await repository.deleteBranch('b', next)
      await repository.deleteBranch('a', commit)
      assert.deepEqual([...(await repository.branches())], [['c', commit]])
      assert.equal(execFileSync('git', ['-C', repository.path, 'rev-parse', 'c']).toString().trim(), commit)
    })
  })
}
