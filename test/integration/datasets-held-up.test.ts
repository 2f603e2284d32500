import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DatasetNode,
  directoryOf,
  forgeHead,
  joinDatasetNode,
  noise,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const MIB = 1024 ** 2
const QUOTA = { settings: { quotaBytes: MIB, freeBytesMin: 0 } }

const failuresOf = ({ events }: DatasetNode, of: string) =>
  events.filter((event) => event.type === 'fetch-failed' && event.dataset === of)

const isHere = ({ datasets }: DatasetNode, dataset: string) =>
  datasets.list().find(({ name }) => name === dataset)?.replicated === true

test('what does not fit is not tried again for whoever joins, only when its head moves or there is room', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('big', await directoryOf(t, { 'noise.bin': noise(2 * MIB) }))
  const bob = await joinDatasetNode(t, alice, 'bob', QUOTA)
  await eventually(() => failuresOf(bob, 'big').length > 0, 'bob does not mind his quota')
  const { replicated, failures } = await bob.datasets.show('big')
  assert.deepEqual(
    failures.map(({ member, code, attempts }) => [member, code, attempts]),
    [['alice', 'QUOTA_EXCEEDED', 1]],
  )
  assert.equal(replicated, false)
  assert.match(failures[0]?.reason ?? '', /datasets\.quotaBytes/)
  assert((failures[0]?.nextAttemptMs ?? 0) > Date.now() + 60_000, 'it is tried again at once')

  const carol = await joinDatasetNode(t, alice, 'carol')
  await carol.network.dial(bob.network.addresses())
  await alice.datasets.edit('big', { description: 'another word on it' })
  await alice.datasets.importDirectory('little', await directoryOf(t, { a: 'a' }))
  await eventually(() => isHere(bob, 'little'), 'bob copies nothing else')
  assert.equal(bob.members.get(carol.identity.peerId)?.name, 'carol')
  assert.equal((await bob.datasets.show('big')).description, 'another word on it')
  assert.equal(failuresOf(bob, 'big').length, 1)

  await bob.datasets.upkeep.collect('big')
  await eventually(() => failuresOf(bob, 'big').length === 2, 'room that was made is not used')
  const more = {
    dataset: 'big',
    step: 'more',
    message: 'm\n',
    directory: await directoryOf(t, { a: noise(2 * MIB) }),
  }
  await alice.datasets.commitDirectory(more)
  await eventually(() => failuresOf(bob, 'big').length === 3, 'a head that moved is not followed')
})

test('a branch that is refused says so, until it is followed', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('air', await directoryOf(t, { a: '1' }))
  const bob = await joinDatasetNode(t, alice, 'bob')
  const commit = async (a: string) => {
    const made = { dataset: 'air', step: 'clean', message: 'm\n', directory: await directoryOf(t, { a }) }
    return (await alice.datasets.commitDirectory(made)).commit
  }
  const [first, second] = [await commit('2'), await commit('3')]
  const holds = async (oid: string) => {
    const { branches } = await bob.datasets.show('air')
    return branches.some((each) => each.commit === oid && each.present)
  }
  await eventually(() => holds(second), 'bob copies nothing')
  await forgeHead(alice, 'air', { branches: { 'clean-alice': first, 'clean-bob': first } })
  const refusals = async () => (await bob.datasets.show('air')).refusals
  await eventually(async () => (await refusals()).length === 2, 'nothing says that the branch is refused')
  assert.deepEqual(await refusals(), [
    { member: 'alice', branch: 'clean-alice', announced: first, reason: 'rollback' },
    { member: 'alice', branch: 'clean-bob', announced: first, reason: 'not-owner' },
  ])
  await forgeHead(alice, 'air', { branches: { 'clean-alice': second } })
  await eventually(async () => (await refusals()).length === 0, 'it is shown as refused for ever')
})

test('a node knows of its own copy at once, whatever it has told the others so far', async (t) => {
  const pace = { takeOverMs: 60_000, reportMs: 60_000, lookMs: 60_000 }
  const alice = await startDatasetNode(t, { pace })
  await alice.datasets.importDirectory('air', await directoryOf(t, { a: '1' }))
  const own = async () => (await alice.datasets.show('air')).replicas.members
  await eventually(async () => (await own()).length === 1, 'alice tells nothing of her copy')
  const made = { dataset: 'air', step: 'clean', message: 'm\n', directory: await directoryOf(t, { a: '2' }) }
  await alice.datasets.commitDirectory(made)
  const [row] = await own()
  assert.deepEqual([row?.complete, row?.current], [true, true])
})
