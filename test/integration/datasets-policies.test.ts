import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function commit(t: TestContext, node: DatasetNode, dataset: string, files: Record<string, string>) {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset, step: 'collect', directory, message: 'collect\n' })
}

const knows = (node: DatasetNode, dataset: string) => () =>
  node.datasets.list().some(({ name }) => name === dataset)

/** Asks a member for a commit as one that keeps no rules: whatever the record says. */
async function demand(asker: DatasetNode, dataset: string, holder: DatasetNode, oid: string): Promise<void> {
  await asker.datasets.add('aside').catch(() => undefined)
  const repository = (await asker.datasets.repository('aside')) as PackRepository
  const peer = holder.identity.peerId
  await fetchCommits(asker.network, { dataset, repository, peer, wants: [oid] })
}

test('a local-only dataset leaves nothing with anybody, and its truth is its node’s newest commit', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const start = await directoryOf(t, { 'a.csv': '1\n' })
  const founded = await alice.datasets.importDirectory('diary', start, { policy: 'local-only' })
  assert.deepEqual([founded.policy, founded.livesAt, founded.why], ['local-only', 'alice', 'local-only'])
  assert.equal(founded.truth, founded.branches[0]?.commit)
  assert.ok(existsSync(join(alice.directory, 'datasets/local/diary.git/HEAD')))
  const made = await commit(t, alice, 'diary', { 'a.csv': '1\n2\n' })
  assert.equal(await alice.datasets.truth('diary'), made.commit)
  await alice.datasets.moveTruth('diary', founded.truth ?? '')
  assert.equal(await alice.datasets.truth('diary'), founded.truth)
  // What is shared of alice's is here, and nothing of the diary among it.
  await alice.datasets.add('data')
  await eventually(knows(bob, 'data'), 'bob never heard of what is shared')
  assert.equal(knows(bob, 'diary')(), false)
  assert.deepEqual(
    alice.registry
      .list('/')
      .map(({ key }) => key)
      .filter((key) => key.includes('diary')),
    [],
  )
  // To whoever guesses its name it is as if it were not there.
  const refusal = async (dataset: string) => {
    const error = await demand(bob, dataset, alice, made.commit).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    assert.ok(isNodeError(error, 'FORBIDDEN'), String(error))
    return error.message.replaceAll(dataset, 'it')
  }
  assert.equal(await refusal('diary'), await refusal('nothing'))
  await assert.rejects(alice.datasets.ensureCommit('diary', 'f'.repeat(40)), coded('COMMIT_NOT_FOUND'))
  await assert.rejects(alice.datasets.fetchNow('diary'), coded('DATASET_WITHHELD'))
  await alice.stop()
  const again = await restartDatasetNode(t, alice)
  const view = await again.datasets.show('diary')
  assert.deepEqual([view.id, view.truth, view.replicated], [founded.id, founded.truth, true])
})

test('a local-only dataset hides a shared one of its name, until it is removed', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await bob.datasets.importDirectory('data', await directoryOf(t, { mine: 'secret' }), {
    policy: 'local-only',
  })
  const shared = await alice.datasets.importDirectory('data', await directoryOf(t, { all: 'see' }))
  await alice.datasets.add('other')
  await eventually(knows(bob, 'other'), 'bob never heard of what is shared')
  const mine = await bob.datasets.show('data')
  assert.equal(mine.policy, 'local-only')
  assert.deepEqual(
    mine.branches.map(({ branch }) => branch),
    ['import-bob'],
  )
  await assert.rejects(demand(alice, 'data', bob, mine.truth ?? ''), coded('FORBIDDEN'))
  await bob.datasets.remove('data')
  await eventually(async () => (await bob.datasets.show('data')).replicated, 'the shared one never came')
  const seen = await bob.datasets.show('data')
  assert.deepEqual([seen.id, seen.truth], [shared.id, shared.truth])
  // What was only here is still here, apart.
  const copies = await bob.datasets.listLocal()
  assert.deepEqual(
    copies.filter(({ name }) => name === 'data').map(({ id, former }) => [id === mine.id, former]),
    [
      [false, false],
      [true, true],
    ],
  )
})

test('of a compute-only dataset members know where it lives and how large it is, and get nothing of it', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const start = await directoryOf(t, { 'a.csv': '1\n', 'b.csv': '2\n' })
  const founded = await alice.datasets.importDirectory('scans', start, { policy: 'compute-only' })
  assert.deepEqual([founded.replicated, founded.why], [true, 'compute-only, and at home here'])
  const made = await commit(t, alice, 'scans', { 'a.csv': '1\n', 'b.csv': '2\n', 'c.csv': '3\n' })
  await eventually(knows(bob, 'scans'), 'bob never heard of it')
  const size = () => bob.datasets.list().find(({ name }) => name === 'scans')?.size
  await eventually(() => size()?.files === 3, 'its size was never told')
  const seen = await bob.datasets.show('scans')
  assert.equal(seen.policy, 'compute-only')
  assert.equal(seen.livesAt, 'alice')
  assert.ok((seen.size?.bytes ?? 0) > 0)
  assert.deepEqual([seen.followed, seen.replicated, seen.why], [false, false, 'compute-only'])
  assert.deepEqual(
    seen.branches.map(({ branch, present }) => [branch, present]),
    [
      ['collect-alice', false],
      ['import-alice', false],
    ],
  )
  // Nobody votes on it: its owner's newest commit is its truth, which the others are told.
  assert.equal(seen.truth, made.commit)
  await alice.datasets.moveTruth('scans', founded.truth ?? '')
  await eventually(
    async () => (await bob.datasets.truth('scans')) === founded.truth,
    'the truth was not told',
  )
  await assert.rejects(bob.datasets.moveTruth('scans', made.commit), coded('DATASET_WITHHELD'))
  // A run at bob that would read it ends with where it is.
  await assert.rejects(bob.datasets.ensureCommit('scans', made.commit), (error: unknown) => {
    assert.ok(isNodeError(error, 'DATASET_WITHHELD'))
    assert.match(error.message, /alice/)
    assert.equal(error.data.custodian, 'alice')
    return true
  })
  await assert.rejects(bob.datasets.fetchNow('scans'), coded('DATASET_WITHHELD'))
  await assert.rejects(bob.datasets.follow('scans'), coded('DATASET_WITHHELD'))
  await assert.rejects(demand(bob, 'scans', alice, made.commit), coded('DATASET_WITHHELD'))
  assert.equal(existsSync(join(bob.directory, 'datasets/scans.git')), false)
  assert.deepEqual(
    bob.events.filter(({ type }) => type === 'fetch-failed'),
    [],
  )
  // What bob's tools make of it stays with bob in turn, and alice does not ask for it.
  const own = await commit(t, bob, 'scans', { of: 'bob' })
  const scans = () => alice.datasets.list().find(({ name }) => name === 'scans')
  const branch = () => scans()?.branches.find(({ commit: oid }) => oid === own.commit)
  await eventually(() => branch() !== undefined, 'bob’s head was never heard of')
  assert.equal(branch()?.present, false)
  await assert.rejects(demand(alice, 'scans', bob, own.commit), coded('DATASET_WITHHELD'))
  assert.deepEqual(
    alice.events.filter(({ type }) => type === 'fetch-failed'),
    [],
  )
})

test('a record in another’s name does not make a node give away what it founded as compute-only', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  // Bob's are the objects; alice, who is an operator, claims the name with another policy.
  const founded = await bob.datasets.importDirectory('scans', await directoryOf(t, { a: '1' }), {
    policy: 'compute-only',
  })
  await eventually(knows(alice, 'scans'), 'alice never heard of it')
  const record = decodeJson(alice.registry.get('/dataset/scans')?.value ?? new Uint8Array()) as object
  await alice.registry.put('/dataset/scans', encodeJson({ ...record, policy: 'shared' }))
  const shown = () => decodeJson(bob.registry.get('/dataset/scans')?.value ?? new Uint8Array())
  await eventually(() => (shown() as { policy: string }).policy === 'shared', 'the claim did not arrive')
  assert.equal((await bob.datasets.show('scans')).policy, 'compute-only')
  await assert.rejects(demand(alice, 'scans', bob, founded.truth ?? ''), coded('DATASET_WITHHELD'))
  // Alice knew it as compute-only as well, and it is bob's to open.
  assert.equal((await alice.datasets.show('scans')).policy, 'compute-only')
  // Who hears of it only now is told whose it is all the same.
  const carol = await joinDatasetNode(t, alice, 'carol')
  await eventually(knows(carol, 'scans'), 'carol never heard of it')
  const { policy, livesAt } = await carol.datasets.show('scans')
  assert.deepEqual([policy, livesAt], ['compute-only', 'bob'])
  await bob.stop()
  const again = await restartDatasetNode(t, bob)
  assert.equal((await again.datasets.show('scans')).policy, 'compute-only')
})

test('the owner of a compute-only dataset may share it later, and nobody else may', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await bob.datasets.importDirectory('scans', await directoryOf(t, { a: '1' }), { policy: 'compute-only' })
  await bob.datasets.importDirectory('diary', await directoryOf(t, { a: '1' }), { policy: 'local-only' })
  await eventually(knows(alice, 'scans'), 'alice never heard of it')
  await assert.rejects(alice.datasets.edit('scans', { policy: 'shared' }), coded('FORBIDDEN'))
  await assert.rejects(bob.datasets.edit('diary', { policy: 'shared' }), coded('FORBIDDEN'))
  assert.equal((await bob.datasets.edit('scans', { policy: 'shared' })).policy, 'shared')
  await eventually(async () => (await alice.datasets.show('scans')).replicated, 'it was never copied')
  assert.equal((await alice.datasets.show('scans')).policy, 'shared')
  assert.equal((await bob.datasets.edit('scans', { policy: 'compute-only' })).policy, 'compute-only')
  await eventually(
    async () => (await alice.datasets.show('scans')).policy === 'compute-only',
    'that it is shut again was never heard',
  )
})
