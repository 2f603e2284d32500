import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, lstat, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { Repository } from '../../src/datasets/git/repository.ts'
import { Checkouts, type CheckoutsParts } from '../../src/datasets/upkeep/checkouts.ts'
import { directoryOf, noise } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { smallDisk } from '../support/small-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const FILES = { 'readme.txt': 'hello\n', 'deep/data.csv': 'a,b\n1,2\n' }

interface Room {
  readonly checkouts: Checkouts
  readonly directory: string
  /** Real checkouts that were made. */
  readonly made: string[]
  /** Commits what these files are. */
  commit(files: Record<string, string | Buffer>, message?: string): Promise<string>
  commitDirectory(directory: string): Promise<string>
  names(): Promise<string[]>
}

async function openRoom(
  t: TestContext,
  { kind = 'native', ...options }: Partial<CheckoutsParts> & { kind?: BackendKind } = {},
): Promise<Room> {
  const base = await temporaryDirectory(t)
  const directory = join(base, 'checkouts')
  const repository = await (await gitBackend(t, kind)).open(join(base, 'air.git'))
  const made: string[] = []
  const counted: Pick<Repository, 'readCommit' | 'checkout' | 'listFiles' | 'fileSizes'> = {
    listFiles: (oid) => repository.listFiles(oid),
    fileSizes: (oids) => repository.fileSizes(oids),
    readCommit: (oid) => repository.readCommit(oid),
    checkout: (oid, to) => {
      made.push(oid)
      return repository.checkout(oid, to)
    },
  }
  const checkouts = new Checkouts({
    ...{ directory, repository: async () => counted, bytesMax: 1e9, reserveBytes: 0 },
    ...{ clock: systemClock, log: silentLogger, ...options },
  })
  await checkouts.start()
  t.after(() => checkouts.stop())
  const commitDirectory = async (files: string, message = 'data\n') => {
    const tree = await repository.writeTreeFromDirectory(files)
    return repository.writeCommit({ tree, parents: [], message, author: PERSON, timeMs: TIME_MS })
  }
  const commit = async (files: Record<string, string | Buffer>, message?: string) =>
    commitDirectory(await directoryOf(t, files), message)
  return { checkouts, directory, made, commit, commitDirectory, names: () => readdir(directory) }
}

/** Gives a file the dates of another, to the nanosecond. */
async function touch(file: string, like: string): Promise<void> {
  await promisify(execFile)('touch', ['-r', like, file])
}

for (const kind of BACKENDS) {
  test(`runs of one input share one tree, made once and shut against writing (${kind})`, async (t) => {
    const { checkouts, made, commit, names, directory } = await openRoom(t, { kind })
    const [first, second] = [await commit(FILES, 'one\n'), await commit(FILES, 'two\n')]
    const [a, b] = await Promise.all([checkouts.use('air', first), checkouts.use('soil', second)])
    assert.equal(a.path, b.path)
    assert.equal(made.length, 1)
    assert.match(a.path, /checkouts\/[0-9a-f]{40}$/)
    assert.equal(await readFile(join(a.path, 'deep/data.csv'), 'utf8'), FILES['deep/data.csv'])
    const modes = await Promise.all(
      ['', 'readme.txt', 'deep', 'deep/data.csv'].map(
        async (name) => (await lstat(join(a.path, name))).mode & 0o777,
      ),
    )
    assert.deepEqual(modes, [0o555, 0o444, 0o555, 0o444])
    assert.equal((await lstat(directory)).mode & 0o777, 0o700)
    assert.deepEqual(checkouts.usage().inUse, 1)
    a.release()
    a.release()
    assert.deepEqual(checkouts.usage().inUse, 1, 'one let go twice for both')
    b.release()
    assert.deepEqual(checkouts.usage().inUse, 0)
    const c = await checkouts.use('air', first)
    assert.equal(made.length, 1, 'it was made again')
    c.release()
    assert.equal((await names()).length, 1)
  })
}

test('executables stay executable, and links are links', async (t) => {
  const { checkouts, commitDirectory } = await openRoom(t)
  const files = await directoryOf(t, { 'run.sh': '#!/bin/sh\n' })
  await chmod(join(files, 'run.sh'), 0o755)
  await symlink('run.sh', join(files, 'link'))
  const { path } = await checkouts.use('air', await commitDirectory(files))
  assert.equal((await lstat(join(path, 'run.sh'))).mode & 0o777, 0o555)
  assert((await lstat(join(path, 'link'))).isSymbolicLink())
})

test('a checkout that somebody has changed is made anew, also under the old dates', async (t) => {
  const { checkouts, made, commit, names } = await openRoom(t)
  const oid = await commit(FILES)
  const held = await checkouts.use('air', oid)
  const file = join(held.path, 'readme.txt')
  const dates = join(await temporaryDirectory(t), 'dates')
  await touch(dates, file)
  await chmod(file, 0o644)
  await writeFile(file, 'jello\n')
  await chmod(file, 0o444)
  await touch(file, dates)
  const again = await checkouts.use('air', oid)
  assert.equal(made.length, 2)
  assert.equal(await readFile(join(again.path, 'readme.txt'), 'utf8'), 'hello\n')
  assert.equal((await names()).length, 2, 'whoever is at work in the old one lost it')
  held.release()
  await eventually(async () => (await names()).length === 1, 'the changed one is left')
  again.release()
  assert.equal((await checkouts.use('air', oid)).path, again.path)
  assert.equal(made.length, 2)
})

test('above the bound what was used least recently goes, and never what is in use', async (t) => {
  const { checkouts, commit, names } = await openRoom(t, { bytesMax: 250_000 })
  const oids: string[] = []
  for (let n = 0; n < 4; n += 1) oids.push(await commit({ 'noise.bin': noise(100_000) }))
  const use = (n: number) => checkouts.use('air', oids[n] as string)
  const held = await use(0)
  for (const n of [1, 2, 3]) (await use(n)).release()
  await eventually(async () => (await names()).length === 2, `${await names()} are left`)
  const left = await names()
  assert(left.includes(held.path.split('/').at(-1) as string), 'it was taken away from under a run')
  const last = await use(3)
  assert(left.includes(last.path.split('/').at(-1) as string), 'not the oldest went')
  last.release()
  held.release()
  assert(checkouts.usage().bytes <= 250_000)
})

test('what cannot be made leaves nothing', async (t) => {
  const { checkouts, names } = await openRoom(t)
  await assert.rejects(checkouts.use('air', 'f'.repeat(40)), { code: 'COMMIT_NOT_FOUND' })
  const full = await openRoom(t, { reserveBytes: Number.MAX_SAFE_INTEGER })
  await assert.rejects(full.checkouts.use('air', await full.commit(FILES)), { code: 'DISK_FULL' })
  assert.deepEqual([await names(), await full.names()], [[], []])
  assert.deepEqual([checkouts.usage().trees, full.checkouts.usage().trees], [0, 0])
})

test('what would not fit is not begun with, but what nobody uses makes room for it', async (t) => {
  const disk = await smallDisk(t, 16)
  const room = await openRoom(t, { directory: join(disk.directory, 'checkouts') })
  const first = await room.checkouts.use('air', await room.commit({ 'noise.bin': noise(9_000_000) }))
  const other = await room.commit({ 'noise.bin': noise(9_000_000) })
  const refused = (error: Error) => /9[0-9]{6} bytes are wanted/.test(error.message)
  await assert.rejects(room.checkouts.use('air', other), refused)
  assert.equal(room.made.length, 1, 'it was begun with')
  first.release()
  const second = await room.checkouts.use('air', other)
  assert.deepEqual(await readdir(join(disk.directory, 'checkouts')), [second.path.split('/').at(-1)])
})

test('what an earlier life of the node has left is gone with the next start', async (t) => {
  const { checkouts, directory, names, commit } = await openRoom(t)
  const oid = await commit(FILES)
  await checkouts.use('air', oid)
  await writeFile(join(directory, '.half-made'), '')
  await checkouts.stop()
  await checkouts.start()
  assert.deepEqual(await names(), [])
  await checkouts.use('air', oid)
  assert.equal((await names()).length, 1)
})
