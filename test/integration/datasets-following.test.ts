import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DatasetView } from '../../src/datasets/dataset-view.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  noise,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const pace = { takeOverMs: 400, reportMs: 200, lookMs: 50 }

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string>) {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset: 'data', step: 'collect', directory, message: 'collect\n' })
}

const viewAt = (node: DatasetNode): DatasetView | undefined =>
  node.datasets.list().find(({ name }) => name === 'data')
const holds = (node: DatasetNode, oid: string) => () =>
  viewAt(node)?.branches.some(({ commit: at, present }) => at === oid && present) ?? false
const hears = (node: DatasetNode, oid: string) => () =>
  viewAt(node)?.branches.some(({ commit: at, announced }) => at === oid && announced) ?? false

test('a dataset that a node does not follow is seen and not copied, and fetched where it is needed', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob', { settings: { follow: 'none' } })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0', noise: noise(20_000) }))
  const made = await commit(t, alice, { a: '1' })
  await eventually(hears(bob, made.commit), 'the head was never heard of')
  const seen = await bob.datasets.show('data')
  assert.deepEqual([seen.followed, seen.why, seen.replicated], [false, 'follows none', false])
  assert.ok(seen.branches.every(({ present }) => !present))
  assert.equal(existsSync(join(bob.directory, 'datasets/data.git')), false)
  // A run or a vote brings what it needs, and no more.
  await bob.datasets.ensureCommit('data', made.commit)
  const repository = await bob.datasets.repository('data')
  assert.deepEqual([...(await repository.branches()).keys()], [])
  // Asked for once, all of it comes; what comes later does not.
  const heard: string[] = []
  await bob.datasets.fetchNow('data', { onProgress: ({ type }) => heard.push(type) })
  assert.ok(holds(bob, made.commit)())
  assert.ok(heard.includes('replicated'))
  const later = await commit(t, alice, { a: '2' })
  await eventually(hears(bob, later.commit), 'the later head was never heard of')
  assert.equal((await bob.datasets.show('data')).replicated, false)
  await assert.rejects(
    bob.datasets.fetchNow('data', { signal: AbortSignal.abort(new Error('enough')) }),
    /enough/,
  )
  // Chosen, it is copied, after a restart as well; and what is here stays when it is no longer.
  const followed = await bob.datasets.follow('data')
  assert.deepEqual([followed.followed, followed.why], [true, 'chosen'])
  await eventually(holds(bob, later.commit), 'what was chosen was not copied')
  await bob.stop()
  const again = await restartDatasetNode(t, bob, { settings: { follow: 'none' } })
  await meet(again, alice)
  const third = await commit(t, alice, { a: '3' })
  await eventually(holds(again, third.commit), 'what was chosen was forgotten')
  const left = await again.datasets.unfollow('data')
  assert.deepEqual([left.followed, left.why, left.replicated], [false, 'not wanted here', true])
  const events = again.events.filter((event) => event.type === 'followed')
  assert.deepEqual(
    events.map(({ followed }) => followed),
    [false],
  )
})

test('a node that follows what was chosen leaves the rest alone', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob', { settings: { follow: 'chosen' } })
  await alice.datasets.add('data')
  const made = await commit(t, alice, { a: '1' })
  await eventually(hears(bob, made.commit), 'the head was never heard of')
  assert.equal(viewAt(bob)?.why, 'not chosen')
  // What it makes itself is announced all the same.
  const own = await commit(t, bob, { b: '1' })
  await eventually(holds(alice, own.commit), 'bob’s own commit was not announced')
  assert.equal(holds(bob, made.commit)(), false)
})

test('as many members copy as are wanted; when one is gone for a while the next takes over', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  const others: DatasetNode[] = []
  for (const name of ['bob', 'carol', 'dave']) {
    const node = await joinDatasetNode(t, alice, name, { pace })
    for (const other of others) await meet(node, other)
    others.push(node)
  }
  await alice.datasets.add('data', { replicas: 1 })
  const made = await commit(t, alice, { a: '1' })
  for (const node of others) await eventually(hears(node, made.commit), 'the head was never heard of')
  const holders = () => others.filter((node) => holds(node, made.commit)())
  await eventually(() => holders().length === 1, 'nobody copied')
  const [first] = holders() as [DatasetNode]
  for (const node of others) {
    const why = node === first ? 'one of 1 wanted replica' : 'others keep the 1 wanted replica'
    assert.deepEqual([viewAt(node)?.followed, viewAt(node)?.why], [node === first, why])
  }
  assert.equal(viewAt(alice)?.why, 'founded here')
  const rest = others.filter((node) => node !== first)
  for (const node of [alice, ...rest]) {
    const told = () => {
      const { wanted, actual, current } = viewAt(node)?.replicas ?? {}
      return wanted === 1 && actual === 1 && current === 1
    }
    await eventually(told, 'the copy was not told')
    const size = viewAt(node)?.size?.bytes ?? 0
    assert.ok(size > 0)
  }
  // It is there for longer than patience lasts, so nobody else has begun.
  assert.deepEqual(holders(), [first])
  await first.stop()
  await eventually(() => rest.filter((node) => holds(node, made.commit)()).length === 1, 'nobody took over')
  const stoodIn = rest.find((node) => holds(node, made.commit)()) as DatasetNode
  const next = await commit(t, alice, { a: '2' })
  await eventually(holds(stoodIn, next.commit), 'the stand-in did not go on')
  assert.equal(rest.filter((node) => holds(node, made.commit)() || holds(node, next.commit)()).length, 1)
  await eventually(() => viewAt(alice)?.replicas.actual === 2, 'the second copy was not told')
  // Back again, the first one catches up, and what the other holds stays where it is.
  const again = await restartDatasetNode(t, first, { pace })
  for (const node of [alice, ...rest]) await meet(again, node)
  await eventually(holds(again, next.commit), 'the first one did not catch up')
  await eventually(() => viewAt(stoodIn)?.followed === false, 'the stand-in never ended')
  assert.ok(holds(stoodIn, next.commit)())
})

test('what members hold is told as complete and as current, and a member that is behind is not', async (t) => {
  const alice = await startDatasetNode(t, { pace })
  const bob = await joinDatasetNode(t, alice, 'bob', { pace })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const replicas = () => viewAt(alice)?.replicas
  await eventually(() => replicas()?.current === 1, 'the copy was not told')
  await eventually(() => replicas()?.members.length === 2, 'the owner did not tell of its own copy')
  assert.deepEqual(
    replicas()?.members.map(({ complete, current }) => [complete, current]),
    [
      [true, true],
      [true, true],
    ],
  )
  await bob.stop()
  await commit(t, alice, { a: '1' })
  const { actual, current, members } = replicas() ?? { actual: 0, current: 0, members: [] }
  assert.deepEqual([actual, current], [1, 0])
  assert.equal(members.find(({ member }) => member === 'bob')?.current, false)
  const writes = alice.registry.writes.batches
  const again = await restartDatasetNode(t, bob, { pace })
  await meet(again, alice)
  await eventually(() => replicas()?.current === 1, 'the copy was not told anew')
  assert.ok(alice.registry.writes.batches - writes < 20, 'what did not change was told again and again')
})

test('a clock that is set back silences no member', async (t) => {
  let aheadMs = 5 * 60_000
  const clock = { now: () => Date.now() + aheadMs }
  const reports = { takeOverMs: 60_000, reportMs: 100, lookMs: 60_000 }
  const alice = await startDatasetNode(t, { pace: reports })
  const bob = await joinDatasetNode(t, alice, 'bob', { pace: reports, clock })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const current = () => alice.datasets.list()[0]?.replicas.current
  await eventually(() => current() === 1, 'bob’s copy was not told')
  aheadMs = 0
  const { commit: next } = await commit(t, alice, { a: '1' })
  assert.equal(current(), 0)
  await eventually(() => bob.datasets.holds('data', next), 'the commit did not arrive')
  await eventually(() => current() === 1, 'bob told nothing more')
})
