import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DatasetNode,
  directoryOf,
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
