import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { claimSettlingMs } from '../../src/base/limits.ts'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import {
  type DatasetNode,
  directoryOf,
  forgeHead,
  joinDatasetNode,
  meet,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const SEED = '0'.repeat(32)

/** A clock of all nodes of a test, which can be put forward. */
function movable() {
  let ahead = 0
  const forward = (ms: number) => {
    ahead += ms
  }
  return { clock: { now: () => Date.now() + ahead }, forward }
}

/** Claims a name as a member would that keeps no rules: since ever, so that the registry shows this claim first. */
async function forgeClaim(eve: DatasetNode, to: readonly DatasetNode[], name: string, record: object) {
  const value = encodeJson({ description: '', policy: 'shared', createdBy: 'eve', ...record })
  const [key, { federation }] = [`/dataset/${name}`, eve.registry]
  const { envelope } = await sealRecord(eve.identity, { key, federation, value, since: 1 })
  for (const node of [eve, ...to]) {
    assert.equal((await node.registry.receive(envelope)).action, 'accept')
    assert.equal(node.registry.get(key)?.author, eve.identity.peerId)
  }
}

const viewAt = (node: DatasetNode, dataset: string) =>
  node.datasets.list().find(({ name }) => name === dataset)

async function commit(t: TestContext, node: DatasetNode, dataset: string, files: Record<string, string>) {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset, step: 'collect', directory, message: 'collect\n' })
}

/** A federation of alice (an operator), eve (admitted first) and bob, where bob has founded `air`. */
async function withAir(t: TestContext) {
  const { clock, forward } = movable()
  const alice = await startDatasetNode(t, { clock })
  const eve = await joinDatasetNode(t, alice, 'eve', { clock })
  const bob = await joinDatasetNode(t, alice, 'bob', { clock })
  await meet(eve, bob)
  const air = await bob.datasets.importDirectory('air', await directoryOf(t, { a: 'good' }))
  for (const node of [alice, eve])
    await eventually(() => viewAt(node, 'air')?.replicated === true, 'it was not copied')
  const poison = (await commit(t, eve, 'air', { a: 'poisoned' })).commit
  const has = (node: DatasetNode) => viewAt(node, 'air')?.branches.some((one) => one.commit === poison)
  for (const node of [alice, bob]) await eventually(() => has(node) === true, 'eve’s commit did not arrive')
  const own = { id: datasetId(eve.identity.peerId, 'air', SEED), seed: SEED }
  return { alice, eve, bob, air, poison, own, clock, forward }
}

test('a member takes neither name nor truth of what another founded and all know, and an operator settles it', async (t) => {
  const { alice, eve, bob, air, poison, own, clock, forward } = await withAir(t)
  forward(claimSettlingMs)
  const claim = { ...own, policy: 'compute-only', initial: poison, former: [air.id], foundedMs: clock.now() }
  await forgeClaim(eve, [alice, bob], 'air', claim)
  const head = { dataset: own.id, branches: { 'collect-eve': poison }, truth: poison }
  await forgeHead(eve, 'air', head)
  for (const node of [alice, bob]) {
    const ignored = () => viewAt(node, 'air')?.ignored.some(({ dataset }) => dataset === own.id)
    await eventually(() => ignored() === true, 'eve’s head was never heard of')
    const { id, policy, truth, contested } = await node.datasets.show('air')
    assert.deepEqual([id, policy, truth], [air.id, 'shared', air.truth])
    assert.deepEqual(contested, [{ member: 'eve', id: own.id, reason: 'another' }])
    assert.equal(await (await node.datasets.repository('air')).resolve('ground-truth'), air.truth)
    assert.ok((node.datasets.find('air')?.foundedMs ?? Infinity) < clock.now() - claimSettlingMs / 2)
  }
  // Its founder says of it what it likes, though the registry shows another's claim; nobody else does.
  assert.equal((await bob.datasets.edit('air', { description: 'mine' })).description, 'mine')
  const told = () => viewAt(alice, 'air')?.description === 'mine'
  await eventually(told, 'the founder’s word did not arrive')
  // Who comes now knows no better than the registry, until an operator says which of the two it is.
  const carol = await joinDatasetNode(t, alice, 'carol', { clock })
  await eventually(() => viewAt(carol, 'air')?.id === own.id, 'carol never heard of the claims')
  assert.deepEqual(
    viewAt(carol, 'air')?.contested.map(({ member, reason }) => [member, reason]),
    [['bob', 'another']],
  )
  await alice.datasets.edit('air', {})
  for (const node of [alice, bob, carol, eve])
    await eventually(() => viewAt(node, 'air')?.id === air.id, 'the operator’s word did not win')
  await eventually(() => viewAt(carol, 'air')?.truth === air.truth, 'carol has another truth')
  assert.equal(viewAt(carol, 'air')?.description, 'mine')
})

test('what was agreed on is not moved back by whoever claims the name with it', async (t) => {
  const { alice, eve, bob, air, own } = await withAir(t)
  const made = await commit(t, bob, 'air', { a: 'better' })
  const has = async () => alice.datasets.holds('air', made.commit)
  await eventually(has, 'bob’s commit did not arrive')
  for (const node of [alice, bob]) await node.datasets.moveTruth('air', made.commit)
  // Within the first hour as well: an agreement settles whose the name is.
  await forgeClaim(eve, [alice, bob], 'air', { ...own, initial: made.commit })
  const next = await commit(t, bob, 'air', { a: 'best' })
  const heard = async () => alice.datasets.holds('air', next.commit)
  await eventually(heard, 'bob’s next commit did not arrive')
  for (const node of [alice, bob]) {
    const { id, truth } = await node.datasets.show('air')
    assert.deepEqual([id, truth], [air.id, made.commit])
    assert.equal(await (await node.datasets.repository('air')).resolve('ground-truth'), made.commit)
  }
})

test('an id under another name is no dataset, is followed by nobody, and takes no marks away', async (t) => {
  const { alice, eve, bob, air, poison } = await withAir(t)
  const carol = await joinDatasetNode(t, alice, 'carol', { settings: { follow: 'none' } })
  await eventually(() => viewAt(carol, 'air') !== undefined, 'carol never heard of it')
  await carol.datasets.follow('air')
  const founder = bob.identity.peerId
  await forgeClaim(eve, [carol, alice], 'spam', { id: air.id, seed: SEED, founder, initial: poison })
  assert.equal(viewAt(carol, 'spam'), undefined)
  assert.equal(carol.datasets.follows('spam'), false)
  await assert.rejects(carol.datasets.show('spam'), (error: unknown) => {
    assert.ok(isNodeError(error, 'DATASET_NOT_FOUND'))
    assert.match(error.message, /not proven/)
    return true
  })
  // The name is nobody's for that.
  const founded = await alice.datasets.add('spam')
  await eventually(() => viewAt(carol, 'spam')?.id === founded.id, 'the name stays taken')
  assert.equal(viewAt(carol, 'spam')?.followed, false)
  // And a name that looks like an id is not one.
  await forgeClaim(eve, [carol], air.id, {})
  assert.equal(viewAt(carol, air.id), undefined)
  assert.equal(viewAt(carol, 'air')?.id, air.id)
})

test('nobody ends a promise of compute-only by claiming that the dataset is no more', async (t) => {
  const { alice, eve, bob, own } = await withAir(t)
  const start = await directoryOf(t, { a: 'patient 1' })
  const scans = await bob.datasets.importDirectory('scans', start, { policy: 'compute-only' })
  await eventually(() => viewAt(alice, 'scans') !== undefined, 'alice never heard of it')
  const id = datasetId(eve.identity.peerId, 'scans', SEED)
  await forgeClaim(eve, [alice, bob], 'scans', { ...own, id, former: [scans.id] })
  const made = await commit(t, bob, 'scans', { a: 'patient 2' })
  const view = await bob.datasets.show('scans')
  assert.deepEqual(
    [view.id, view.policy, view.livesAt, view.truth],
    [scans.id, 'compute-only', 'bob', made.commit],
  )
  assert.deepEqual(
    (await bob.datasets.listLocal()).map(({ former }) => former),
    [false, false],
  )
  await assert.rejects(eve.datasets.ensureCommit('scans', made.commit), coded('DATASET_WITHHELD'))
})
