import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError, NodeError } from '../../src/base/errors.ts'
import { branchesPerHeadMax } from '../../src/base/limits.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const pace = { takeOverMs: 60_000, reportMs: 100, lookMs: 60_000 }

const viewAt = (node: DatasetNode) => node.datasets.list().find(({ name }) => name === 'data')
const believes = (node: DatasetNode, holder: string) =>
  viewAt(node)?.replicas.members.some(({ member, current }) => member === holder && current) ?? false

async function commit(t: TestContext, node: DatasetNode, step: string, files: Record<string, string>) {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset: 'data', step, directory, message: `${step}\n` })
}

test('a member that lost its copy takes back its word, and nobody removes theirs for it', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  const bob = await joinDatasetNode(t, alice, 'bob', { pace })
  await bob.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const isHere = () => viewAt(alice)?.replicated === true && believes(alice, 'bob')
  await eventually(isHere, 'bob’s copy was not told')
  await bob.stop()
  await rm(join(bob.directory, 'datasets'), { recursive: true })
  // Nothing fits any more, so that the copy does not come back.
  const again = await restartDatasetNode(t, bob, { pace, settings: { quotaBytes: 1 } })
  await meet(again, alice)
  await eventually(() => !believes(alice, 'bob'), 'what was lost still counts as held')
  await assert.rejects(alice.datasets.removeLocal('data'), coded('CONFLICT'))
})

test('a commit beyond the branches that a head has room for is refused before it is made', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const { commit: first } = await commit(t, alice, 's0', { a: '0' })
  for (let step = 1; step < branchesPerHeadMax; step += 1) {
    const branch = `s${step}-alice`
    await alice.datasets.adoptCommit({ dataset: 'data', branch, commit: first, from: undefined })
  }
  await assert.rejects(commit(t, alice, 'more', { a: '1' }), coded('INVALID_INPUT'))
  const adoption = { dataset: 'data', branch: 'more-alice', commit: first, from: undefined }
  await assert.rejects(alice.datasets.adoptCommit(adoption), coded('INVALID_INPUT'))
  const { branches } = await alice.datasets.show('data')
  assert.equal(branches.length, branchesPerHeadMax)
  assert.ok(branches.every(({ announced }) => announced))
  assert.equal((await commit(t, alice, 's0', { a: '1' })).changed, true)
})

test('what could not be announced counts as held by nobody, and is announced once that works again', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  const bob = await joinDatasetNode(t, alice, 'bob', { pace })
  await bob.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const isHere = () => viewAt(alice)?.replicated === true && believes(alice, 'bob')
  await eventually(isHere, 'bob’s copy was not told')
  const put = alice.registry.put
  t.after(() => Object.assign(alice.registry, { put }))
  let refused = 0
  const full = (...[key, ...rest]: Parameters<typeof put>) => {
    if (!key.startsWith('/heads/')) return put.call(alice.registry, key, ...rest)
    refused += 1
    return Promise.reject(new NodeError('DISK_FULL', 'the disk is full'))
  }
  Object.assign(alice.registry, { put: full })
  await assert.rejects(commit(t, alice, 'collect', { a: '1' }), coded('DISK_FULL'))
  const here = await (await alice.datasets.repository('data')).resolve('collect-alice')
  assert.ok(here !== undefined)
  await assert.rejects(alice.datasets.removeLocal('data'), coded('CONFLICT'))
  await eventually(() => refused > 1, 'it was not tried again')
  Object.assign(alice.registry, { put })
  await eventually(() => bob.datasets.holds('data', here), 'it was never announced')
})

test('a copy that was set aside goes only by force, and keeps nobody from removing the one in use', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: 'only here' }))
  await alice.datasets.remove('data')
  await eventually(() => viewAt(alice) === undefined, 'it was not removed')
  await alice.datasets.add('data')
  const formers = async () => (await alice.datasets.listLocal()).map(({ former }) => former)
  assert.deepEqual(await formers(), [false, true])
  await alice.datasets.removeLocal('data')
  assert.deepEqual(await formers(), [true])
  await assert.rejects(alice.datasets.removeLocal('data'), coded('CONFLICT'))
  await alice.datasets.removeLocal('data', { force: true })
  assert.deepEqual(await formers(), [])
})
