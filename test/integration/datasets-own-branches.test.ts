import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string>, step = 'collect') {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset: 'data', step, directory, message: `${step}\n` })
}

const at = async (node: DatasetNode, branch: string) =>
  (await node.datasets.repository('data')).resolve(branch)

/** Bob, on a disk from before his last two commits, has committed something else before he met anybody. */
async function onAnOldDisk(t: TestContext) {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  await eventually(() => bob.datasets.list().length === 1, 'the dataset was never heard of')
  const first = await commit(t, bob, { a: '1' })
  await eventually(async () => (await at(alice, 'collect-bob')) === first.commit, 'the first did not arrive')
  await bob.stop()
  const backup = `${bob.directory}-backup`
  await cp(bob.directory, backup, { recursive: true })
  t.after(() => rm(backup, { recursive: true, force: true }))
  const before = await restartDatasetNode(t, bob)
  await meet(before, alice)
  // Two, so that what was announced before is the later word, and not one of two in one place.
  await commit(t, before, { a: '2' })
  const lost = await commit(t, before, { a: '3' })
  await eventually(
    async () => (await at(alice, 'collect-bob')) === lost.commit,
    'what is lost later did not arrive',
  )
  await before.stop()
  await rm(bob.directory, { recursive: true })
  await cp(backup, bob.directory, { recursive: true })
  const again = await restartDatasetNode(t, bob)
  const own = await commit(t, again, { a: 'another' })
  return { alice, bob: again, first, lost, own }
}

test('an author that came back on an old disk is told where it stands, and goes on by a reset', async (t) => {
  const { alice, bob, lost, own } = await onAnOldDisk(t)
  await meet(bob, alice)
  const announcedAt = async (node: DatasetNode) => {
    const { branches } = await node.datasets.show('data')
    return branches.find(({ branch }) => branch === 'collect-bob')
  }
  await eventually(
    async () => (await announcedAt(bob))?.commit === lost.commit,
    'its own word did not come back to it',
  )
  await eventually(
    () => bob.events.some((event) => event.type === 'rollback-refused' && event.held === own.commit),
    'the author was not told',
  )
  assert.deepEqual([(await announcedAt(bob))?.held, (await announcedAt(bob))?.present], [own.commit, false])
  await assert.rejects(commit(t, bob, { a: 'more' }), (error: unknown) => {
    assert.ok(isNodeError(error, 'CONFLICT'))
    assert.match(
      error.message,
      new RegExp(`maoctl dataset reset data --step collect --to ${own.commit} .*--to ${lost.commit}`),
    )
    return true
  })
  const to = { dataset: 'data', step: 'collect', to: own.commit, reason: 'an old disk' }
  const reset = await bob.datasets.reset(to)
  assert.deepEqual([reset.from, reset.to], [lost.commit, own.commit])
  await eventually(async () => (await at(alice, 'collect-bob')) === own.commit, 'the reset was not followed')
  const next = await commit(t, bob, { a: 'more' })
  assert.equal(next.parent, own.commit)
  await eventually(async () => (await at(alice, 'collect-bob')) === next.commit, 'the next did not arrive')
})

test('an author on an old disk takes back what it had announced', async (t) => {
  const { alice, bob, lost } = await onAnOldDisk(t)
  await meet(bob, alice)
  await eventually(() => bob.datasets.holds('data', lost.commit), 'what was lost did not come back')
  await bob.datasets.reset({ dataset: 'data', step: 'collect', to: lost.commit, reason: 'the better one' })
  const next = await commit(t, bob, { a: '3' })
  assert.equal(next.parent, lost.commit)
  await eventually(async () => (await at(alice, 'collect-bob')) === next.commit, 'the next did not arrive')
})

test('a branch whose announced commit nobody has any more goes on from any other', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data', { policy: 'compute-only' })
  const gone = await commit(t, alice, { a: '1' })
  await alice.datasets.removeLocal('data', { force: true })
  await assert.rejects(commit(t, alice, { a: '2' }), (error: unknown) => {
    assert.ok(isNodeError(error, 'PEER_UNREACHABLE'))
    assert.match(error.message, /maoctl dataset reset data --step collect --to COMMIT/)
    return true
  })
  const other = await commit(t, alice, { a: '2' }, 'other')
  const reset = await alice.datasets.reset({
    ...{ dataset: 'data', step: 'collect', to: other.commit, reason: 'the disk was lost' },
  })
  assert.deepEqual([reset.from, reset.to], [gone.commit, other.commit])
  assert.equal((await commit(t, alice, { a: '3' })).parent, other.commit)
})
