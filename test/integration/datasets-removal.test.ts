import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openDatabase, table } from '../../src/base/database.ts'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
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

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string>) {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset: 'data', step: 'collect', directory, message: 'collect\n' })
}

const viewAt = (node: DatasetNode) => node.datasets.list().find(({ name }) => name === 'data')
const at = (node: DatasetNode, path: string) => existsSync(join(node.directory, 'datasets', path))

test('a copy goes when another member holds all of it, and is not fetched again', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  const bob = await joinDatasetNode(t, alice, 'bob', { pace })
  await bob.stop()
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  await assert.rejects(alice.datasets.removeLocal('data'), coded('CONFLICT'))
  assert.ok(at(alice, 'data.git/HEAD'))
  const again = await restartDatasetNode(t, bob, { pace })
  await meet(again, alice)
  await eventually(() => viewAt(again)?.replicated === true, 'bob never copied it')
  const [copy] = await again.datasets.listLocal()
  assert.deepEqual([copy?.name, copy?.former, copy?.followed, copy?.policy], ['data', false, true, 'shared'])
  assert.ok((copy?.bytes ?? 0) > 0)
  await eventually(() => viewAt(alice)?.replicas.current === 1, 'bob’s copy was not told')
  await eventually(() => viewAt(again)?.replicas.members.length === 2, 'alice’s copy was not told')
  // Bob alone says so, and is not the owner: alice would lose what only she has, should it not be so.
  await assert.rejects(alice.datasets.removeLocal('data'), (error: unknown) => {
    assert.ok(isNodeError(error, 'CONFLICT'))
    assert.match(error.message, /Only bob says/)
    return true
  })
  await again.datasets.removeLocal('data')
  assert.deepEqual([at(again, 'data.git'), at(again, '.removed/data.git')], [false, false])
  assert.deepEqual(await again.datasets.listLocal(), [])
  assert.deepEqual([viewAt(again)?.followed, viewAt(again)?.replicated], [false, false])
  await eventually(() => viewAt(alice)?.replicas.actual === 0, 'that it is gone was not told')
  const next = await commit(t, alice, { a: '1' })
  const heard = () => viewAt(again)?.branches.some((branch) => branch.commit === next.commit)
  await eventually(() => heard() === true, 'the next head was never heard of')
  assert.equal(at(again, 'data.git'), false)
  await assert.rejects(again.datasets.removeLocal('data'), coded('NOT_FOUND'))
  // Forced, the last copy goes as well.
  await alice.datasets.removeLocal('data', { force: true })
  assert.equal(at(alice, 'data.git'), false)
})

test('a copy is not removed while a transfer is at work with it, and goes after that', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const quarantine = await alice.datasets.quarantine('data')
  const removal = alice.datasets.removeLocal('data', { force: true })
  const refused = async () => {
    try {
      return void (await alice.datasets.repository('data'))
    } catch (error) {
      return isNodeError(error, 'CONFLICT')
    }
  }
  await eventually(async () => (await refused()) === true, 'others still come in')
  assert.ok(at(alice, 'data.git/HEAD'))
  await quarantine.discard()
  await removal
  assert.equal(at(alice, 'data.git'), false)
})

test('a removal that is refused leaves what was chosen as it was', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  await eventually(() => viewAt(bob)?.replicated === true, 'bob never copied it')
  // What lies where deleted copies go keeps this one from going there.
  await writeFile(join(bob.directory, 'datasets', '.removed'), '')
  await assert.rejects(bob.datasets.removeLocal('data', { force: true }))
  assert.deepEqual([viewAt(bob)?.followed, viewAt(bob)?.why], [true, 'follows all'])
})

test('a copy that is opened again while the one before is still being deleted has an account', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const { upkeep } = alice.datasets
  const forget = upkeep.forget.bind(upkeep)
  const again = async (dataset: string) => {
    await forget(dataset)
    // Somebody looks into the dataset at the first moment at which that is possible.
    await alice.datasets.repository(dataset)
  }
  Object.assign(upkeep, { forget: again })
  await alice.datasets.removeLocal('data', { force: true })
  Object.assign(upkeep, { forget })
  await upkeep.usage('data')
  assert.deepEqual(
    upkeep.measured().map(({ dataset }) => dataset),
    ['data'],
  )
})

test('a copy that a run uses is not removed', async (t) => {
  let run: string | undefined = 'run 1'
  const alice = await startDatasetNode(t, { usedBy: () => run })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  await assert.rejects(alice.datasets.removeLocal('data', { force: true }), (error: unknown) => {
    assert.ok(isNodeError(error, 'CONFLICT'))
    assert.match(error.message, /run 1/)
    return true
  })
  run = undefined
  await alice.datasets.removeLocal('data', { force: true })
})

test('a dataset that was removed leaves its copies; one that is founded under its name later begins empty', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const carol = await joinDatasetNode(t, alice, 'carol')
  const first = await bob.datasets.importDirectory('data', await directoryOf(t, { a: 'first' }))
  for (const node of [alice, carol])
    await eventually(() => viewAt(node)?.replicated === true, 'nobody copied')
  const made = await commit(t, carol, { a: 'of carol' })
  await eventually(() => viewAt(bob)?.branches.length === 2, 'carol’s commit did not arrive')
  await assert.rejects(carol.datasets.remove('data'), coded('FORBIDDEN'))
  await carol.stop()
  await bob.datasets.remove('data')
  await eventually(() => viewAt(alice) === undefined, 'it was not removed')
  await assert.rejects(bob.datasets.remove('data'), coded('DATASET_NOT_FOUND'))
  assert.deepEqual(
    (await alice.datasets.listLocal()).map(({ former }) => former),
    [true],
  )
  const second = await alice.datasets.importDirectory('data', await directoryOf(t, { a: 'second' }))
  assert.notEqual(second.id, first.id)
  await eventually(() => viewAt(bob)?.replicated === true, 'the second one was not copied')
  // Carol was away all the while, and hears of both at once.
  const again = await restartDatasetNode(t, carol)
  await meet(again, alice)
  await eventually(
    () => viewAt(again)?.id === second.id && viewAt(again)?.replicated === true,
    'carol fell behind',
  )
  for (const node of [alice, bob, again]) {
    const { branches, truth } = await node.datasets.show('data')
    assert.deepEqual([branches.map(({ branch }) => branch), truth], [['import-alice'], second.truth])
    const repository = await node.datasets.repository('data')
    for (const old of [first.truth ?? '', made.commit]) assert.equal(await repository.hasCommit(old), false)
    await eventually(
      async () => (await node.datasets.show('data')).ignored.length === 0,
      'heads of the removed one were left',
    )
    const copies = await node.datasets.listLocal()
    assert.deepEqual(
      copies.map(({ id, former }) => [id, former]),
      [
        [second.id, false],
        [first.id, true],
      ],
    )
  }
})

test('an operator removes what others founded, and what it founds there is another one', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const first = await bob.datasets.importDirectory('data', await directoryOf(t, { a: 'first' }))
  await eventually(() => viewAt(alice)?.replicated === true, 'alice never copied it')
  await alice.datasets.remove('data')
  await eventually(() => viewAt(bob) === undefined, 'it is still there')
  // Bob's claim is no longer buried once the operator claims the name itself; it is about the old one all the same.
  const second = await alice.datasets.importDirectory('data', await directoryOf(t, { a: 'second' }))
  assert.equal(alice.registry.claims('/dataset/data').length, 2)
  await eventually(() => viewAt(bob)?.replicated === true, 'bob never copied the second one')
  for (const node of [alice, bob]) {
    const { id, branches } = await node.datasets.show('data')
    assert.deepEqual([id, branches.map(({ branch }) => branch)], [second.id, ['import-alice']])
    assert.equal(await node.datasets.holds('data', first.truth ?? ''), false)
  }
})

test('what a crash has left half founded or half removed is gone after the next start', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  await alice.stop()
  const database = await openDatabase(alice.directory)
  const rows = table<object>(database, 'dataset-copies')
  await rows.put('half', { id: 'a'.repeat(32), policy: 'shared', owner: 'x', founding: true })
  await database.close()
  for (const path of ['half.git', '.removed/one', 'local/.removed/two']) {
    await mkdir(join(alice.directory, 'datasets', path), { recursive: true })
  }
  const again = await restartDatasetNode(t, alice)
  for (const path of ['half.git', '.removed/one', 'local/.removed/two'])
    assert.equal(at(again, path), false, path)
  assert.deepEqual(
    again.datasets.list().map(({ name }) => name),
    ['data'],
  )
  const founded = await again.datasets.add('half')
  assert.notEqual(founded.id, 'a'.repeat(32))
})

test('what is said of a dataset can be changed, and what is not named stays', async (t) => {
  const alice = await startDatasetNode(t)
  const { id } = await alice.datasets.add('data', { description: 'first', replicas: 2 })
  const upstream = { url: 'https://example.invalid/x.git', branch: 'main' }
  assert.deepEqual((await alice.datasets.edit('data', { upstream })).upstream, upstream)
  const changed = await alice.datasets.edit('data', { description: 'second', replicas: null })
  assert.deepEqual(
    [changed.id, changed.description, changed.replicas.wanted, changed.upstream],
    [id, 'second', undefined, upstream],
  )
  assert.equal((await alice.datasets.edit('data', { upstream: null })).upstream, undefined)
})
