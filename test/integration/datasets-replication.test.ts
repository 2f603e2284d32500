import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import {
  type DatasetNode,
  directoryOf,
  forgeHead,
  joinDatasetNode,
  meet,
  noise,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { plantCommit } from '../support/git-backends.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function commit(
  t: TestContext,
  node: DatasetNode,
  files: Record<string, string | Buffer>,
  step = 'collect',
) {
  const directory = await directoryOf(t, files)
  const knows = () => node.datasets.list().some(({ name }) => name === 'data')
  await eventually(knows, 'the dataset was never heard of')
  return node.datasets.commitDirectory({ dataset: 'data', step, directory, message: `${step}\n` })
}

async function holds(node: DatasetNode, branch: string, oid: string): Promise<boolean> {
  if (!node.datasets.list().some(({ name }) => name === 'data')) return false
  return (await (await node.datasets.repository('data')).resolve(branch)) === oid
}

test('what one member imports and commits, the others hold a moment later, whichever git they have', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const carol = await joinDatasetNode(t, alice, 'carol', { backend: 'isomorphic' })
  const start = await directoryOf(t, { 'a/one.csv': '1\n', big: noise(300_000) })
  const founded = await alice.datasets.importDirectory('data', start, { description: 'for all' })
  assert.equal(founded.truth, founded.branches[0]?.commit)
  const made = await commit(t, alice, { 'a/one.csv': '1\n2\n', big: noise(300_000) })
  for (const node of [bob, carol]) {
    await eventually(() => holds(node, 'collect-alice', made.commit), 'the commit did not arrive')
    await eventually(async () => (await node.datasets.show('data')).replicated, 'not all of it arrived')
    const view = await node.datasets.show('data')
    assert.equal(view.truth, founded.truth)
    assert.equal(view.createdBy, 'alice')
    assert.deepEqual(
      view.branches.map(({ branch, member, present }) => [branch, member, present]),
      [
        ['collect-alice', 'alice', true],
        ['import-alice', 'alice', true],
      ],
    )
  }
  // A node without git serves as well as one with it.
  const fromCarol = await commit(t, carol, { 'c.csv': 'carol\n' })
  await eventually(() => holds(bob, 'collect-carol', fromCarol.commit), "carol's commit did not arrive")
  assert.deepEqual(await readdir(join(bob.directory, 'datasets/.quarantine')).catch(() => []), [])
})

test('a node that was away catches up with every head, without a new write by anyone', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  await eventually(() => holds(bob, 'collect-alice', first.commit), 'the first commit did not arrive')
  await bob.stop()
  await commit(t, alice, { a: '1', b: '2' })
  const last = await commit(t, alice, { a: '1', b: '2', c: '3' })
  const again = await restartDatasetNode(t, bob)
  await meet(again, alice)
  await eventually(() => holds(again, 'collect-alice', last.commit), 'the missed commits did not arrive')
})

test('a head is fetched from another member when its author is away', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const carol = await joinDatasetNode(t, alice, 'carol')
  await alice.datasets.add('data')
  await carol.stop()
  const made = await commit(t, alice, { a: '1' })
  await eventually(() => holds(bob, 'collect-alice', made.commit), 'bob did not get it')
  await alice.stop()
  const again = await restartDatasetNode(t, carol)
  await meet(again, bob)
  await eventually(() => holds(again, 'collect-alice', made.commit), 'carol did not get it from bob')
})

test('a head announced while nobody can be reached is fetched as soon as its author connects', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const made = await commit(t, alice, { a: '1' })
  await eventually(() => holds(bob, 'collect-alice', made.commit), 'the commit did not arrive')
  await bob.stop()
  await rm(join(bob.directory, 'datasets'), { recursive: true })
  const again = await restartDatasetNode(t, bob)
  await eventually(() => again.events.some((event) => event.type === 'fetch-failed'), 'it never tried')
  assert.equal((await again.datasets.show('data')).replicated, false)
  await meet(again, alice)
  await eventually(
    () => holds(again, 'collect-alice', made.commit),
    'the lost repository was not filled again',
  )
})

test('a head that goes back, leaves its history or names a branch of another is refused and told', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '2' })
  await eventually(() => holds(bob, 'collect-alice', second.commit), 'the commits did not arrive')
  const repository = await alice.datasets.repository('data')
  const { author, timeMs } = await repository.readCommit(first.commit)
  const elsewhere = await repository.writeCommit({
    tree: first.tree,
    parents: [],
    message: 'rewritten',
    author,
    timeMs,
  })
  const announce = (branches: Record<string, string>) => forgeHead(alice, 'data', { branches })
  for (const [reason, branches] of [
    ['rollback', { 'collect-alice': first.commit }],
    ['divergence', { 'collect-alice': elsewhere }],
    ['not-owner', { 'collect-alice': second.commit, 'collect-bob': first.commit }],
    ['not-owner', { 'ground-truth': first.commit }],
  ] as const) {
    bob.events.length = 0
    await announce(branches)
    const refused = () => bob.events.find((event) => event.type === 'rollback-refused')
    await eventually(() => refused()?.reason === reason, `the ${reason} was not refused`)
    assert.ok(await holds(bob, 'collect-alice', second.commit))
    assert.deepEqual(
      [...(await (await bob.datasets.repository('data')).branches()).keys()],
      ['collect-alice'],
    )
  }
})

test('a branch that is not its author’s does not keep the others of its head from being followed', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const { commit: made } = await commit(t, alice, { a: '1' })
  const branches = { 'check-bob': made, 'collect-alice': made, 'assess-alice': made }
  await forgeHead(alice, 'data', { branches })
  await eventually(() => holds(bob, 'assess-alice', made), 'the honest branch did not arrive')
  const refused = bob.events.filter((event) => event.type === 'rollback-refused')
  assert.deepEqual(
    refused.map(({ branch, reason }) => [branch, reason]),
    [['check-bob', 'not-owner']],
  )
  const { branches: shown, replicated } = await bob.datasets.show('data')
  assert.deepEqual(
    shown.map(({ branch, member }) => [branch, member]),
    [
      ['assess-alice', 'alice'],
      ['collect-alice', 'alice'],
    ],
  )
  assert.equal(replicated, true)
})

test('a hostile tree is not let in, and does not stop other heads', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const carol = await joinDatasetNode(t, alice, 'carol')
  await meet(carol, bob)
  await alice.datasets.add('data')
  const repository = (await alice.datasets.repository('data')) as PackRepository
  const evil = await plantCommit(repository, [{ mode: '100644', name: '../x', content: 'evil' }])
  await forgeHead(alice, 'data', { branches: { 'collect-alice': evil } })
  await eventually(() => bob.events.some((event) => event.type === 'fetch-failed'), 'it was never refused')
  const failed = bob.events.find((event) => event.type === 'fetch-failed')
  assert.ok(failed?.code === 'PACK_REJECTED' || failed?.code === 'PATH_UNSAFE', failed?.code)
  assert.equal(await (await bob.datasets.repository('data')).hasCommit(evil), false)
  const honest = await commit(t, carol, { a: '1' })
  await eventually(() => holds(bob, 'collect-carol', honest.commit), 'the honest head did not arrive')
})

test('a member that lost its disk gets its own branches back, and goes on from there', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, bob, { a: '1' })
  await eventually(() => holds(alice, 'collect-bob', first.commit), 'the commit did not arrive')
  await bob.stop()
  await rm(join(bob.directory, 'datasets'), { recursive: true })
  const again = await restartDatasetNode(t, bob)
  await meet(again, alice)
  const second = await commit(t, again, { a: '2' })
  assert.equal(second.parent, first.commit)
  await eventually(() => holds(alice, 'collect-bob', second.commit), 'the next commit did not arrive')
})

test('a commit that a crash kept from being announced is announced at the next start', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const repository = await alice.datasets.repository('data')
  const { author, timeMs } = await repository.readCommit(first.commit)
  const next = await repository.writeCommit({
    tree: first.tree,
    parents: [first.commit],
    message: 'x',
    author,
    timeMs,
  })
  await repository.moveBranch('collect-alice', next, first.commit)
  await alice.stop()
  const again = await restartDatasetNode(t, alice)
  await meet(again, bob)
  await eventually(() => holds(bob, 'collect-alice', next), 'it was never announced')
})

test('an unchanged directory makes no commit, and a step is a name', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const first = await commit(t, alice, { a: '1' })
  const second = await commit(t, alice, { a: '1' })
  assert.deepEqual([first.changed, second.changed, second.commit], [true, false, first.commit])
  await assert.rejects(commit(t, alice, { a: '1' }, '../x'), coded('INVALID_NAME'))
})

test('a commit is asked of those who are connected, and its absence is told', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await alice.datasets.add('data')
  const repository = await alice.datasets.repository('data')
  const tree = await repository.writeTree([])
  const author = { name: 'x', email: 'x@example.invalid' }
  const loose = await repository.writeCommit({ tree, parents: [], message: 'x', author, timeMs: 0 })
  await eventually(() => bob.datasets.list().length === 1, 'the dataset did not arrive')
  await bob.datasets.ensureCommit('data', loose)
  await bob.datasets.moveTruth('data', loose)
  assert.equal(await bob.datasets.truth('data'), loose)
  assert.deepEqual(
    (await bob.datasets.log('data')).map((one) => one.oid),
    [loose],
  )
  const missing = 'f'.repeat(40)
  await assert.rejects(bob.datasets.ensureCommit('data', missing), coded('PEER_UNREACHABLE'))
  await assert.rejects(bob.datasets.moveTruth('data', missing), coded('COMMIT_NOT_FOUND'))
  await assert.rejects(
    bob.datasets.ensureCommit('data', missing, { signal: AbortSignal.abort() }),
    coded('TIMED_OUT'),
  )
})

test('what is asked wrongly is refused with its code', async (t) => {
  const alice = await startDatasetNode(t)
  await alice.datasets.add('data')
  const clean = await directoryOf(t, { a: '1' })
  await assert.rejects(alice.datasets.add('data'), coded('ALREADY_EXISTS'))
  await assert.rejects(alice.datasets.add('../x'), coded('INVALID_NAME'))
  await assert.rejects(alice.datasets.show('nothing'), coded('DATASET_NOT_FOUND'))
  await assert.rejects(alice.datasets.log('data', 'nothing'), coded('NOT_FOUND'))
  assert.deepEqual(await alice.datasets.log('data'), [])
  await assert.rejects(alice.datasets.importDirectory('data', clean), coded('ALREADY_EXISTS'))
  await assert.rejects(alice.datasets.importDirectory('new', join(clean, 'nowhere')), coded('INVALID_INPUT'))
  const hostile = await directoryOf(t, { '.git/config': '[core]' })
  await assert.rejects(alice.datasets.importDirectory('new', hostile), coded('PATH_UNSAFE'))
  assert.deepEqual(
    alice.datasets.list().map(({ name }) => name),
    ['data'],
  )
  await alice.datasets.importDirectory('new', clean)
  const path = join(alice.directory, 'datasets/new.git')
  assert.equal(execFileSync('git', ['-C', path, 'show', 'ground-truth:a']).toString(), '1')
})

test('a branch that nobody has any more keeps no other of its author from anybody', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  await bob.stop()
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  await alice.datasets.removeLocal('data', { force: true })
  await alice.datasets.follow('data')
  const made = await Promise.all(
    ['one', 'two', 'three'].map((step) => commit(t, alice, { [step]: '1' }, step)),
  )
  const again = await restartDatasetNode(t, bob)
  await meet(again, alice)
  for (const { branch, commit: oid } of made) {
    await eventually(() => holds(again, branch, oid), `${branch} did not arrive`)
  }
  await assert.rejects(again.datasets.fetchNow('data'), coded('COMMIT_NOT_FOUND'))
  const { branches } = await again.datasets.show('data')
  const missing = branches.filter(({ present }) => !present)
  assert.deepEqual(
    missing.map(({ branch }) => branch),
    ['import-alice'],
  )
})
