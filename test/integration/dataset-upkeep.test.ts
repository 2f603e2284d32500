import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { table } from '../../src/base/database.ts'
import { DAY_MS, fileBytesMax, gcLooseObjectsMax, HOUR_MS } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { DatasetEvent } from '../../src/datasets/dataset-events.ts'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import type { PackRepository, TreeFile } from '../../src/datasets/git/repository.ts'
import { Accounts } from '../../src/datasets/upkeep/accounts.ts'
import { Collector, type CollectorParts } from '../../src/datasets/upkeep/collector.ts'
import { guarded } from '../../src/datasets/upkeep/guarded-repository.ts'
import { namedCommits } from '../../src/datasets/upkeep/named-commits.ts'
import { type DatasetNode, directoryOf, meet, noise, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { startRegistryNode } from '../support/registry-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MIB = 1024 ** 2

async function joined(
  t: TestContext,
  founder: DatasetNode,
  name: string,
  quotaBytes: number,
): Promise<DatasetNode> {
  const bob = await startDatasetNode(t, {
    genesis: founder.genesis,
    settings: { quotaBytes, freeBytesMin: 0 },
  })
  await admitted(founder, bob, name)
  return bob
}

async function admitted(founder: DatasetNode, node: DatasetNode, name: string): Promise<void> {
  await founder.members.admit(node.identity.peerId, name, 'member')
  await meet(node, founder)
}

/** The members that a node asks for objects from now on. */
function asksOf({ network }: DatasetNode): string[] {
  const asked: string[] = []
  const open = network.open.bind(network)
  network.open = (peer, protocol, ...rest) => {
    if (protocol === PACK_PROTOCOL) asked.push(peer)
    return open(peer, protocol, ...rest)
  }
  return asked
}

function isHere({ datasets }: DatasetNode, dataset: string): boolean {
  return datasets.list().find(({ name }) => name === dataset)?.replicated === true
}

test('a follower over its quota takes no more of that dataset, says so once, and goes on with the others', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('big', await directoryOf(t, { 'noise.bin': noise(3 * MIB) }))
  const carol = await joined(t, alice, 'carol', 0)
  await eventually(() => isHere(carol, 'big'), 'carol copies nothing')
  const bob = await startDatasetNode(t, {
    genesis: alice.genesis,
    settings: { quotaBytes: MIB, freeBytesMin: 0 },
  })
  await bob.network.dial(carol.network.addresses())
  const asked = asksOf(bob)
  let askedAtFirst: number | undefined
  bob.datasets.onEvent(({ type }) => {
    if (type === 'fetch-failed') askedAtFirst ??= asked.length
  })
  await admitted(alice, bob, 'bob')
  const failed = () => bob.events.find((event) => event.type === 'fetch-failed' && event.dataset === 'big')
  await eventually(() => failed() !== undefined, 'bob does not mind his quota')
  const failure = failed()
  assert(failure?.type === 'fetch-failed')
  assert.deepEqual([failure.code, failure.nextAttemptMs >= 60_000], ['QUOTA_EXCEEDED', true])
  assert.match(failure.reason, /of the 1048576 bytes.*datasets\.quotaBytes/)
  assert.equal(askedAtFirst, 1, 'others were asked for what does not fit')
  await alice.datasets.importDirectory('little', await directoryOf(t, { 'a.txt': 'a' }))
  await eventually(() => isHere(bob, 'little'), 'other datasets wait for the one that is full')
  const told = bob.events.filter(({ type }) => type === 'quota-exceeded')
  assert.equal(told.length, 1)
  const quarantines = () => readdir(join(bob.directory, 'datasets', '.quarantine'))
  await eventually(async () => (await quarantines()).length === 0, 'what was refused takes room')
  assert((await bob.datasets.upkeep.usage('big')).bytes < MIB)

  const { sound, problems } = await bob.datasets.upkeep.verify('big')
  assert.equal(sound, true)
  assert.deepEqual(
    problems.map(({ code, branch }) => [code, branch]),
    [
      ['BEHIND', 'ground-truth'],
      ['BEHIND', 'import-alice'],
    ],
  )
})

for (const backend of BACKENDS) {
  test(`a commit that does not fit is refused before anything of it is written; what compresses is not (${backend})`, async (t) => {
    const settings = { quotaBytes: 2 * MIB, freeBytesMin: 0 }
    const { datasets } = await startDatasetNode(t, { backend, settings })
    await datasets.importDirectory('air', await directoryOf(t, { 'noise.bin': noise(MIB) }))
    const { bytes } = await datasets.upkeep.usage('air')
    const commit = async (files: Record<string, Buffer>) =>
      datasets.commitDirectory({
        dataset: 'air',
        step: 'clean',
        directory: await directoryOf(t, files),
        message: 'm\n',
      })
    await assert.rejects(commit({ 'more.bin': noise(3 * MIB) }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'QUOTA_EXCEEDED')
      assert.match(error.message, /3[0-9]{6} more were to come.*dataset gc air/)
      return true
    })
    assert.equal((await datasets.upkeep.usage('air')).bytes, bytes)
    const { changed } = await commit({ 'zeros.bin': Buffer.alloc(20 * MIB) })
    assert.equal(changed, true)
    assert((await datasets.upkeep.usage('air')).bytes < bytes + MIB / 4)
  })
}

test('a file that no other member would take is no part of a dataset', async (t) => {
  const { datasets } = await startDatasetNode(t)
  const directory = await directoryOf(t, { 'huge.bin': '' })
  await truncate(join(directory, 'huge.bin'), fileBytesMax + 1)
  await assert.rejects(datasets.importDirectory('air', directory), (error: Error & { code?: string }) => {
    return error.code === 'TOO_LARGE' && /huge\.bin.*at most/.test(error.message)
  })
})

interface Around {
  readonly accounts: Accounts
  readonly events: DatasetEvent[]
  readonly repository: PackRepository
  readonly collected: string[]
  readonly clock: { nowMs: number; now(): number }
  open(options?: Partial<CollectorParts>): Promise<Collector>
}

/** A collector on a real repository and a real store, and a clock of the test's. */
async function around(t: TestContext): Promise<Around> {
  const { database } = await startRegistryNode(t)
  const directory = await temporaryDirectory(t)
  const [events, collected]: [DatasetEvent[], string[]] = [[], []]
  const emit = (event: DatasetEvent) => events.push(event)
  const settings = { quotaBytes: 0, totalBytes: 0, freeBytesMin: 0 }
  const accounts = new Accounts({ directory, settings, emit })
  const inner = await (await gitBackend(t, 'native')).open(join(directory, 'air.git'))
  const repository = guarded('air', inner, { accounts, ingested: () => undefined })
  const clock = { nowMs: TIME_MS, now: () => clock.nowMs }
  const open = async (options: Partial<CollectorParts> = {}) => {
    const collector = new Collector({
      ...{ self: 'alice', accounts, emit, clock, log: silentLogger, keeps: async () => [] },
      table: table(database, 'dataset-collections'),
      collect: (dataset, wanted) => {
        collected.push(dataset)
        return repository.collectGarbage(wanted)
      },
      ...{ intervalMs: DAY_MS, pruneAfterMs: DAY_MS },
      ...options,
    })
    await collector.start()
    t.after(() => collector.stop())
    return collector
  }
  return { accounts, events, repository, collected, clock, open }
}

async function commitOf(
  repository: PackRepository,
  directory: string,
  parents: string[] = [],
): Promise<string> {
  const tree = await repository.writeTreeFromDirectory(directory)
  return repository.writeCommit({ tree, parents, message: 'm\n', author: PERSON, timeMs: TIME_MS })
}

/** Without waiting for the disk, of which a backend makes sure each time. */
async function plantBlob({ path }: PackRepository, content: string): Promise<string> {
  const bytes = Buffer.from(`blob ${content.length}\0${content}`)
  const oid = createHash('sha1').update(bytes).digest('hex')
  const directory = join(path, 'objects', oid.slice(0, 2))
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, oid.slice(2)), deflateSync(bytes))
  return oid
}

test('a dataset is collected once in its interval, and a node that starts often does not put it off', async (t) => {
  const { repository, collected, clock, open, events } = await around(t)
  await repository.moveBranch(
    'a-alice',
    await commitOf(repository, await directoryOf(t, { a: 'a' })),
    undefined,
  )
  let collector = await open()
  for (let hours = 0; hours < 53; hours += 1) {
    await collector.look()
    clock.nowMs += HOUR_MS
    await collector.stop()
    collector = await open()
  }
  assert.equal(collected.length, 2)
  assert.equal(events.filter(({ type }) => type === 'garbage-collected').length, 2)
  const last = collector.last('air')
  assert(last?.bytesAfter !== undefined && last.looseObjects === 0 && last.packs === 1, JSON.stringify(last))
})

test('after bulk ingest a repository is packed before its turn', async (t) => {
  const { repository, collected, accounts, open } = await around(t)
  const collector = await open()
  await collector.look()
  const first = await commitOf(repository, await directoryOf(t, { a: 'a' }))
  await repository.moveBranch('a-alice', first, undefined)
  collector.ingested('air')
  await collector.packIngested()
  assert.deepEqual(collected, [], 'it is packed for next to nothing')
  const files: TreeFile[] = []
  for (let n = 0; n < gcLooseObjectsMax; n += 1)
    files.push({ path: `f${n}`, mode: '100644', oid: await plantBlob(repository, `${n}`) })
  const tree = await repository.writeTree(files)
  const commit = { tree, parents: [first], message: 'm\n', author: PERSON, timeMs: TIME_MS }
  await repository.moveBranch('a-alice', await repository.writeCommit(commit), first)
  accounts.changed('air')
  collector.ingested('air')
  await collector.packIngested()
  assert.deepEqual(collected, ['air'])
  const size = await accounts.size('air')
  assert.deepEqual([size?.looseObjects, size?.packs], [0, 1])
})

test('what records name is kept, whatever nothing else leads to goes', async (t) => {
  const { repository, open } = await around(t)
  const { registry, identity } = await startRegistryNode(t)
  const commits: string[] = []
  for (let n = 0; n < 5; n += 1) commits.push(await commitOf(repository, await directoryOf(t, { a: `${n}` })))
  const [branch, run, initial, certified, stray] = commits as [string, string, string, string, string]
  await repository.moveBranch('a-alice', branch, undefined)
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  await registry.put('/dataset/air', json({ initial, description: '', policy: 'shared' }))
  await registry.put('/dataset/soil', json({ initial: stray, description: '', policy: 'shared' }))
  await registry.put(`/heads/air/${identity.peerId}`, json({ branches: { b: certified, c: 'e'.repeat(40) } }))
  const collector = await open({
    pruneAfterMs: 0,
    keeps: async () => [...namedCommits(registry, 'air'), run],
  })
  await collector.collect('air')
  const kept = await Promise.all(commits.map((oid) => repository.hasCommit(oid)))
  assert.deepEqual(kept, [true, true, true, true, false])
  assert.deepEqual((await repository.verify()).problems, [])
})

test('a collection ends at once when its dataset is removed or the node stops', async (t) => {
  const { open, accounts } = await around(t)
  let begun = 0
  const collector = await open({
    collect: async (_, { signal }) => {
      begun += 1
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      assert.fail('it goes on')
    },
  })
  const collecting = assert.rejects(collector.collect('air'), { code: 'CANCELLED' })
  await eventually(() => begun === 1, 'the collection does not begin')
  await collector.leave('air')
  await collecting
  const again = assert.rejects(collector.collect('air'), { code: 'CANCELLED' })
  await eventually(() => begun === 2, 'the collection does not begin')
  await collector.stop()
  await again
  accounts.close('air')
  await collector.forget('air')
  await assert.rejects((await open()).collect('air'), { code: 'CANCELLED' })
})

test('a check tells damage apart from a copy that is behind', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('air', await directoryOf(t, { 'a.txt': 'a', 'b.bin': noise(10_000) }))
  const whole = await alice.datasets.upkeep.verify('air')
  assert.deepEqual([whole.sound, whole.problems, whole.objects], [true, [], 4])
  const collected = await alice.datasets.upkeep.collect('air')
  assert(collected.bytesAfter !== undefined && collected.packs === 1)
  const packs = join(alice.directory, 'datasets/air.git/objects/pack')
  const pack = join(packs, (await readdir(packs)).find((name) => name.endsWith('.pack')) as string)
  const bytes = await readFile(pack)
  bytes.fill(0xff, 2_000, 2_100)
  await chmod(pack, 0o644)
  await writeFile(pack, bytes)
  const damaged = await alice.datasets.upkeep.verify('air')
  assert.equal(damaged.sound, false)
  assert(
    damaged.problems.some(({ code }) => code === 'CORRUPT'),
    JSON.stringify(damaged.problems),
  )
})

for (const backend of ['native', 'isomorphic'] as const) {
  test(`a branch that is no longer on the disk is damage, whatever is remembered of it (${backend})`, async (t) => {
    const alice = await startDatasetNode(t, { backend })
    await alice.datasets.importDirectory('air', await directoryOf(t, { a: 'a' }))
    const { path } = await alice.datasets.repository('air')
    const branch = join(path, 'refs/heads', `import-${alice.members.self().name}`)
    await rm(branch)
    const gone = await alice.datasets.upkeep.verify('air')
    assert.deepEqual(
      [gone.sound, gone.problems.map(({ code, branch: of }) => [code, of])],
      [false, [['MISSING', `import-${alice.members.self().name}`]]],
    )
    await writeFile(branch, '')
    assert.equal((await alice.datasets.upkeep.verify('air')).sound, false)
  })
}
