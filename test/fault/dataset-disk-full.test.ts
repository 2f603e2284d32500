import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { unpack } from '../../src/datasets/founding/unpack.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { Accounts } from '../../src/datasets/upkeep/accounts.ts'
import { Checkouts } from '../../src/datasets/upkeep/checkouts.ts'
import { guarded } from '../../src/datasets/upkeep/guarded-repository.ts'
import { directoryOf, meet, noise, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { type SmallDisk, smallDisk } from '../support/small-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)
const MIB = 1024 ** 2
const signal = AbortSignal.timeout(60_000)
const DISK_FULL = { code: 'DISK_FULL' }

/** A repository behind its guard, which believes that the disk is large: whatever is refused is refused by the disk. */
async function trusting(t: TestContext, kind: BackendKind, path: string): Promise<PackRepository> {
  const accounts = new Accounts({
    directory: tmpdir(),
    settings: { quotaBytes: 0, totalBytes: 0, freeBytesMin: 0 },
    emit: () => undefined,
  })
  const repository = await (await gitBackend(t, kind)).open(path)
  return guarded('air', repository, { accounts, ingested: () => undefined })
}

async function commitOf(repository: PackRepository, directory: string, parents: string[] = []) {
  const tree = await repository.writeTreeFromDirectory(directory)
  return repository.writeCommit({ tree, parents, message: 'data\n', author: PERSON, timeMs: TIME_MS })
}

/** Fills the disk up to a little room, enough to begin with and too little to end. */
async function fillBut(disk: SmallDisk, bytes: number): Promise<void> {
  const spare = join(disk.directory, 'spare')
  await writeFile(spare, Buffer.alloc(bytes))
  await disk.fill()
  await rm(spare)
}

const files = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort()

for (const kind of BACKENDS) {
  test(`a full disk refuses what comes and keeps what is there, and all goes on with room again (${kind})`, async (t) => {
    const disk = await smallDisk(t, 48)
    const air = await trusting(t, kind, join(disk.directory, 'air.git'))
    const source = await (await gitBackend(t, 'native')).open(join(await temporaryDirectory(t), 'source.git'))
    const small = await directoryOf(t, { 'a.txt': 'a\n', 'noise.bin': noise(6 * MIB) })
    const large = await directoryOf(t, { 'a.txt': 'b\n', 'noise.bin': noise(8 * MIB) })
    const first = await commitOf(air, small)
    await air.moveBranch('main-alice', first, undefined)
    assert.equal(await commitOf(source, small), first)
    const second = await commitOf(source, large, [first])

    // Says that its files are small, so that the disk itself has to refuse.
    const modest = {
      readCommit: (oid: string) => air.readCommit(oid),
      checkout: (oid: string, to: string) => air.checkout(oid, to),
      listFiles: async () => [],
      fileSizes: async () => new Map<string, number>(),
    }
    const checkouts = new Checkouts({
      ...{ directory: join(disk.directory, 'checkouts'), repository: async () => modest },
      ...{ bytesMax: 1e9, reserveBytes: 0, clock: systemClock, log: silentLogger },
    })
    await checkouts.start()
    t.after(() => checkouts.stop())
    const fetch = async () => {
      const quarantine = await air.quarantine()
      try {
        await quarantine.receive(source.packObjects([second], [first], signal), signal)
        await quarantine.admit([second], signal)
      } finally {
        await quarantine.discard()
      }
    }
    const collect = () => air.collectGarbage({ pruneOlderThanMs: 1e9, keep: [] })

    await fillBut(disk, 2 * MIB)
    const before = await files(disk.directory)
    await assert.rejects(fetch(), DISK_FULL)
    await assert.rejects(air.writeTreeFromDirectory(large), DISK_FULL)
    await assert.rejects(collect(), DISK_FULL)
    await assert.rejects(checkouts.use('air', first), DISK_FULL)
    await disk.fill()
    await assert.rejects(air.quarantine(), DISK_FULL)
    await assert.rejects(commitOf(air, small, [first]), DISK_FULL)
    await assert.rejects(air.moveBranch('other-alice', first, undefined), DISK_FULL)

    assert.deepEqual([...(await air.branches())], [['main-alice', first]])
    assert.equal(await air.hasCommit(second), false)
    assert.equal((await air.log(first, 10)).length, 1)
    const [a] = await air.listFiles(first)
    assert.equal(Buffer.from(await air.readBlob(a?.oid ?? '')).toString(), 'a\n')
    let packed = 0
    for await (const chunk of air.packObjects([first], [], signal)) packed += chunk.length
    assert(packed > 6 * MIB, 'it cannot be given to others')
    const left = (await files(disk.directory)).filter((name) => !before.includes(name))
    assert.deepEqual(
      left.filter((name) => !/^filling-|objects\/[0-9a-f]{2}\/[0-9a-f]{38}$/.test(name)),
      [],
      'something half-made is left',
    )

    await disk.free()
    await collect()
    await fetch()
    await air.moveBranch('main-alice', second, first)
    await air.moveBranch('other-alice', await commitOf(air, large, [second]), undefined)
    const checkout = await checkouts.use('air', second)
    assert.deepEqual(await readdir(checkout.path), ['a.txt', 'noise.bin'])
    checkout.release()
    assert.deepEqual((await air.verify()).problems, [])
    const { stdout, stderr } = await run('git', [`--git-dir=${air.path}`, 'fsck', '--full', '--strict'])
    assert.equal(stdout + stderr.replace(/^(?:notice|dangling).*\n?/gm, ''), '')
  })
}

test('a member whose disk is full reads what it has, and takes what it missed when there is room', async (t) => {
  const disk = await smallDisk(t, 64)
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('air', await directoryOf(t, { 'a.txt': 'a\n' }))
  const directory = join(disk.directory, 'bob')
  await mkdir(directory)
  const settings = { freeBytesMin: 24 * MIB }
  const bob = await startDatasetNode(t, { genesis: alice.genesis, directory, settings })
  await alice.members.admit(bob.identity.peerId, 'bob', 'member')
  await meet(bob, alice)
  const here = async (commit: string) => (await bob.datasets.repository('air')).hasCommit(commit)
  const initial = (await alice.datasets.truth('air')) ?? ''
  await eventually(() => here(initial), 'bob copies nothing')

  const ballast = join(disk.directory, 'ballast')
  await writeFile(ballast, noise(44 * MIB))
  const commit = async (name: string) => {
    const files = await directoryOf(t, { [name]: noise(10_000) })
    return (
      await alice.datasets.commitDirectory({ dataset: 'air', step: 's', directory: files, message: 'm\n' })
    ).commit
  }
  const missed = await commit('missed')
  const failed = () => bob.events.find((event) => event.type === 'fetch-failed')
  await eventually(() => failed() !== undefined, 'the full disk is not noticed')
  const failure = failed()
  assert(failure?.type === 'fetch-failed' && failure.code === 'DISK_FULL', JSON.stringify(failure))
  assert.equal(bob.events.filter(({ type }) => type === 'disk-low').length, 1)
  await assert.rejects(bob.datasets.importDirectory('soil', await directoryOf(t, { a: 'a' })), DISK_FULL)
  const repository = await bob.datasets.repository('air')
  assert.equal((await repository.log(initial, 10)).length, 1)
  assert.equal((await repository.listFiles(initial)).length, 1)
  assert.equal(await here(missed), false)

  await rm(ballast)
  await commit('next')
  const isReplicated = () => bob.datasets.list().every(({ replicated }) => replicated)
  await eventually(async () => (await here(missed)) && isReplicated(), 'bob never caught up')
  assert.deepEqual((await bob.datasets.upkeep.verify('air')).problems, [])
})

test('an archive for which there is no room is refused before it has taken all of it, or says what stopped it', async (t) => {
  const disk = await smallDisk(t, 16)
  const source = await directoryOf(t, {
    'a.bin': noise(4 * MIB),
    'b.bin': noise(40 * MIB),
    'c.bin': noise(MIB),
  })
  const archive = () =>
    spawn('tar', ['-C', source, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout
  for (const freeBytesMin of [0, 8 * MIB, 20 * MIB]) {
    const place = join(disk.directory, `${freeBytesMin}`)
    await mkdir(place)
    await assert.rejects(unpack(archive(), place, { freeBytesMin }), DISK_FULL)
    await rm(place, { recursive: true })
  }
  await fillBut(disk, MIB)
  const place = join(disk.directory, 'full')
  await mkdir(place)
  const small = await directoryOf(t, { 'a.bin': noise(MIB / 2), 'b.bin': noise(MIB) })
  const { stdout } = spawn('tar', ['-C', small, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'ignore'] })
  await assert.rejects(unpack(stdout, place), DISK_FULL)
})
