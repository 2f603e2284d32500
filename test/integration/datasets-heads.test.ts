import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { bytesTable, table } from '../../src/base/database.ts'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import type { DatasetEvent } from '../../src/datasets/dataset-events.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import {
  type DatasetNode,
  directoryOf,
  forgeHead,
  joinDatasetNode,
  loseRegistry,
  meet,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string>, step = 'collect') {
  const directory = await directoryOf(t, files)
  const knows = () => node.datasets.list().some(({ name }) => name === 'data')
  await eventually(knows, 'the dataset was never heard of')
  return node.datasets.commitDirectory({ dataset: 'data', step, directory, message: `${step}\n` })
}

async function holds(node: DatasetNode, branch: string, oid: string): Promise<boolean> {
  const view = node.datasets.list().find(({ name }) => name === 'data')
  return view?.branches.some((one) => one.branch === branch && one.commit === oid && one.present) ?? false
}

function told<T extends DatasetEvent['type']>(node: DatasetNode, type: T) {
  return node.events.filter((event): event is Extract<DatasetEvent, { type: T }> => event.type === type)
}

test('a reset is signed with its reason, followed by all, shown, and done once', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the commits did not arrive')
  const reset = await alice.datasets.reset({
    ...{ dataset: 'data', step: 'collect', to: first.commit, reason: 'the second one counted twice' },
  })
  assert.deepEqual([reset.count, reset.from, reset.to], [1, second.commit, first.commit])
  await eventually(() => holds(bob, 'collect-alice', first.commit), 'the reset was not followed')
  for (const node of [alice, bob]) {
    const [event] = told(node, 'reset')
    assert.deepEqual([event?.member, event?.branch, event?.count], ['alice', 'collect-alice', 1])
    assert.match(event?.reason ?? '', /twice/)
    const { resets } = await node.datasets.show('data')
    assert.deepEqual(resets, [{ member: 'alice', branch: 'collect-alice', ...reset }])
  }
  assert.deepEqual(told(bob, 'rollback-refused'), [])
  // What follows from the reset goes on as ever; the reset stays in the head, and excuses nothing more.
  const third = await commit(t, alice, { a: '3' })
  assert.equal(third.parent, first.commit)
  await eventually(() => holds(bob, 'collect-alice', third.commit), 'the next commit did not arrive')
  await forgeHead(alice, 'data', {
    branches: { 'collect-alice': first.commit },
    resets: { 'collect-alice': reset },
  })
  await eventually(
    () => told(bob, 'rollback-refused').length === 1,
    'the old reset excused a second way back',
  )
  assert.equal(await (await bob.datasets.repository('data')).resolve('collect-alice'), third.commit)
})

test('a reset that does not lead to what is announced excuses nothing', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the commits did not arrive')
  const reset = { count: 1, from: second.commit, to: second.commit, reason: 'back, and not to where I say' }
  const branches = { 'collect-alice': first.commit }
  await forgeHead(alice, 'data', { branches, resets: { 'collect-alice': reset } })
  await eventually(() => told(bob, 'rollback-refused').length === 1, 'the way back was not refused')
  assert.equal(await (await bob.datasets.repository('data')).resolve('collect-alice'), second.commit)
})

test('a member that was away follows a reset all the same, and a newcomer is told of it', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the commits did not arrive')
  await bob.stop()
  await alice.datasets.reset({ dataset: 'data', step: 'collect', to: first.commit, reason: 'wrong' })
  const third = await commit(t, alice, { a: '3' })
  const again = await restartDatasetNode(t, bob)
  await meet(again, alice)
  await eventually(() => holds(again, 'collect-alice', third.commit), 'the reset was not followed')
  const carol = await joinDatasetNode(t, alice, 'carol')
  await eventually(() => holds(carol, 'collect-alice', third.commit), 'carol did not get it')
  assert.equal((await carol.datasets.show('data')).resets[0]?.reason, 'wrong')
  await assert.rejects(
    again.datasets.reset({ dataset: 'data', branch: 'collect-alice', to: first.commit, reason: 'no' }),
    coded('FORBIDDEN'),
  )
  const own = { dataset: 'data', step: 'collect', reason: 'why not' }
  await assert.rejects(alice.datasets.reset({ ...own, to: 'f'.repeat(40) }), coded('COMMIT_NOT_FOUND'))
  await assert.rejects(
    alice.datasets.reset({ ...own, to: first.commit, reason: ' ' }),
    coded('INVALID_INPUT'),
  )
  await assert.rejects(alice.datasets.reset({ ...own, step: 'other', to: first.commit }), coded('NOT_FOUND'))
})

test('a reset that a crash has cut short is done at the next commit', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  const reset = { count: 1, from: second.commit, to: first.commit, reason: 'announced, not done' }
  await alice.stop()
  // As it stands on the disk when the node dies between the two.
  const again = await restartDatasetNode(t, alice)
  await forgeHead(again, 'data', {
    branches: { 'collect-alice': first.commit },
    resets: { 'collect-alice': reset },
  })
  const third = await commit(t, again, { a: '3' })
  assert.equal(third.parent, first.commit)
})

test('a head that is replayed after the registry was lost moves nothing back, and is told', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const key = `/heads/data/${alice.identity.peerId}`
  const first = await commit(t, alice, { a: '1' })
  await eventually(() => holds(bob, 'collect-alice', first.commit), 'the first commit did not arrive')
  const old = bob.registry.envelope(key) as Uint8Array
  const records = ['/members/', '/dataset/'].flatMap((prefix) => alice.registry.list(prefix))
  const envelopes = records.map((entry) => alice.registry.envelope(entry.key) as Uint8Array)
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the second commit did not arrive')
  await bob.stop()
  // Bob's registry is empty, and is fed afresh by somebody who kept the old head.
  await loseRegistry(bob)
  const bare = await restartDatasetNode(t, bob)
  assert.equal(bare.registry.get(key), undefined)
  await bare.registry.receiveAll([...envelopes, old])
  await eventually(() => told(bare, 'head-ignored').length > 0, 'the old head was not told')
  assert.equal(told(bare, 'head-ignored')[0]?.reason, 'replayed')
  assert.ok(await bare.datasets.show('data'))
  assert.equal(await (await bare.datasets.repository('data')).resolve('collect-alice'), second.commit)
  const { ignored } = await bare.datasets.show('data')
  assert.deepEqual(
    ignored.map(({ member, reason, sequence }) => [member, reason, sequence]),
    [['alice', 'replayed', 1]],
  )
  assert.deepEqual(told(bare, 'rollback-refused'), [])
  // The latest head counts as ever.
  await meet(bare, alice)
  await eventually(
    async () => (await bare.datasets.show('data')).ignored.length === 0,
    'the latest head was ignored',
  )
  const third = await commit(t, alice, { a: '3' })
  await eventually(() => holds(bare, 'collect-alice', third.commit), 'the next commit did not arrive')
})

test('of a head that was taken back a node keeps what is needed to know it again, and no more', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob', { settings: { follow: 'none' } })
  await alice.datasets.add('data')
  const [id, key] = [(await alice.datasets.show('data')).id, `/heads/data/${alice.identity.peerId}`]
  const rows = async (name: string) => {
    const found: { key: string; row: object }[] = []
    for await (const [at, row] of table<object>(bob.database, name).iterator()) found.push({ key: at, row })
    return found
  }
  const envelopes = () => bytesTable(bob.database, 'dataset-head-envelopes').keys().all()
  const reset = { count: 1, from: 'a'.repeat(40), to: 'b'.repeat(40), reason: 'r'.repeat(500) }
  const head = { branches: { 'collect-alice': 'b'.repeat(40) }, resets: { 'collect-alice': reset } }
  await forgeHead(alice, 'data', { ...head, sequence: 5 })
  await eventually(async () => (await envelopes()).length === 1, 'the head was not kept')
  await alice.registry.delete(key)
  await eventually(async () => (await envelopes()).length === 0, 'the head was kept for ever')
  const [mark, ...more] = await rows('dataset-head-marks')
  assert.deepEqual([mark?.key, more], [`${id}/${alice.identity.peerId}`, []])
  assert.deepEqual(Object.keys(mark?.row ?? {}).sort(), ['hash', 'resets', 'sequence'])
  // A lower number is a replay all the same.
  await forgeHead(alice, 'data', { ...head, sequence: 4 })
  await eventually(() => told(bob, 'head-ignored').length === 1, 'the old number was not told')
  assert.deepEqual(
    (await bob.datasets.show('data')).ignored.map(({ reason }) => reason),
    ['replayed'],
  )
})

test('a head about another dataset is ignored and shown', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  await eventually(() => holds(bob, 'collect-alice', first.commit), 'the commit did not arrive')
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the next commit did not arrive')
  const other = 'c'.repeat(32)
  await forgeHead(alice, 'data', { dataset: other, branches: { 'check-alice': first.commit } })
  await eventually(() => told(bob, 'head-ignored').length > 0, 'nothing was told')
  const { ignored, branches } = await bob.datasets.show('data')
  assert.deepEqual(ignored, [{ member: 'alice', reason: 'other-dataset', dataset: other, sequence: 3 }])
  assert.deepEqual(
    branches.map(({ branch, announced }) => [branch, announced]),
    [['collect-alice', false]],
  )
})

test('heads and records from before there were ids and numbers work on', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const old = { description: 'old', policy: 'shared', createdBy: 'alice' }
  await alice.registry.put('/dataset/data', encodeJson(old))
  const { id } = await alice.datasets.show('data')
  assert.equal(id, 'data')
  const repository = await alice.datasets.repository('data')
  const author = { name: 'alice', email: 'a@example.invalid' }
  const tree = await repository.writeTree([])
  const commits: string[] = []
  for (const message of ['1', '2']) {
    const parents = commits.slice(-1)
    commits.push(await repository.writeCommit({ tree, parents, message, author, timeMs: 0 }))
  }
  const key = `/heads/data/${alice.identity.peerId}`
  for (const oid of commits) {
    await alice.registry.put(key, encodeJson({ branches: { 'collect-alice': oid }, previous: null }))
    await eventually(() => holds(bob, 'collect-alice', oid), 'an old head was not followed')
  }
  assert.deepEqual((await bob.datasets.show('data')).equivocations, [])
  await alice.datasets.adoptCommit({
    dataset: 'data',
    branch: 'check-alice',
    commit: commits[0] ?? '',
    from: undefined,
  })
  await eventually(() => holds(bob, 'check-alice', commits[0] ?? ''), 'the new head was not followed')
})

test('two members that found one name at the same moment end with one dataset, and nothing of either is lost', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await bob.stop()
  const mine = await alice.datasets.importDirectory('data', await directoryOf(t, { from: 'alice' }))
  const alone = await restartDatasetNode(t, bob)
  const theirs = await alone.datasets.importDirectory('data', await directoryOf(t, { from: 'bob' }))
  assert.notEqual(mine.id, theirs.id)
  await meet(alone, alice)
  for (const node of [alice, alone]) {
    const whole = async () => {
      const { id, truth, replicated, branches } = await node.datasets.show('data')
      return id === mine.id && truth === mine.truth && replicated && branches.length === 2
    }
    await eventually(whole, 'the two never became one')
    assert.deepEqual((await node.datasets.show('data')).ignored, [])
    const repository = await node.datasets.repository('data')
    assert.equal(await repository.hasCommit(theirs.truth ?? ''), true)
  }
  const made = await commit(t, alone, { more: 'of bob' })
  await eventually(() => holds(alice, 'collect-bob', made.commit), 'bob’s next commit did not arrive')
  await alone.stop()
  const again = await restartDatasetNode(t, alone)
  assert.equal((await again.datasets.show('data')).branches.length, 3)
})

test('a commit that is here is adopted on an own branch, forward only, and announced', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  const adopt = (branch: string, oid: string, from?: string) =>
    alice.datasets.adoptCommit({ dataset: 'data', branch, commit: oid, from })
  await adopt('pushed-alice', first.commit)
  await adopt('pushed-alice', second.commit, first.commit)
  await eventually(() => holds(bob, 'pushed-alice', second.commit), 'what was adopted did not arrive')
  await assert.rejects(adopt('pushed-alice', first.commit, second.commit), coded('NOT_FAST_FORWARD'))
  await assert.rejects(adopt('pushed-alice', second.commit, first.commit), coded('CONFLICT'))
  await assert.rejects(adopt('pushed-bob', first.commit), coded('FORBIDDEN'))
  await assert.rejects(adopt('ground-truth', first.commit), coded('FORBIDDEN'))
  await assert.rejects(adopt('other-alice', 'f'.repeat(40)), coded('COMMIT_NOT_FOUND'))
  const quarantine = await alice.datasets.quarantine('data')
  await assert.rejects(
    quarantine.admit(['f'.repeat(40)], AbortSignal.timeout(10_000)),
    coded('PACK_REJECTED'),
  )
  await quarantine.discard()
  await assert.rejects(alice.datasets.quarantine('nothing'), coded('DATASET_NOT_FOUND'))
})

test('a name that another member takes while a long import is at work is that member’s, and its copy is whole', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  // An import that goes on until it is let go on.
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  async function* stuck(): AsyncGenerator<Uint8Array> {
    await gate
    yield new TextEncoder().encode('no bundle')
  }
  const importing = assert.rejects(bob.datasets.importBundle('data', stuck()), coded('INVALID_INPUT'))
  await assert.rejects(bob.datasets.add('data'), coded('ALREADY_EXISTS'))
  const { id } = await alice.datasets.importDirectory('data', await directoryOf(t, { from: 'alice' }))
  await eventually(() => bob.registry.get('/dataset/data') !== undefined, 'bob never heard of it')
  assert.equal(bob.datasets.find('data'), undefined)
  open()
  await importing
  await eventually(() => bob.datasets.list()[0]?.replicated === true, 'bob never copied it')
  assert.equal((await bob.datasets.show('data')).id, id)
})
