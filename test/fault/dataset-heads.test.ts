import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DatasetEvent } from '../../src/datasets/dataset-events.ts'
import { sealedHead } from '../../src/datasets/equivocations.ts'
import type { HeadRecord } from '../../src/datasets/heads.ts'
import { seal } from '../../src/identity/envelope.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { encodeRecord } from '../../src/registry/record.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

function told<T extends DatasetEvent['type']>(node: DatasetNode, type: T) {
  return node.events.filter((event): event is Extract<DatasetEvent, { type: T }> => event.type === type)
}

const tipOf = async (node: DatasetNode, branch: string) =>
  (await node.datasets.repository('data')).resolve(branch)

/** A head that is sealed by its author and given to whom it likes, at a version of its choice. */
async function sealHead(node: DatasetNode, head: HeadRecord, version: number): Promise<Uint8Array> {
  const [author, now] = [node.identity.peerId, Date.now()]
  const record = { federation: node.genesis.federation, key: `/heads/data/${author}`, author, version }
  const value = encodeJson(head)
  return seal('record', encodeRecord({ ...record, value, time: now, since: now }), node.identity)
}

interface Torn {
  readonly nodes: readonly [alice: DatasetNode, bob: DatasetNode, carol: DatasetNode]
  readonly heads: readonly [HeadRecord, HeadRecord]
}

/** Two members that know of a first commit, and two heads of their founder's in the place behind it. */
async function torn(t: TestContext): Promise<Torn> {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob', { gossip: false })
  const carol = await joinDatasetNode(t, alice, 'carol', { gossip: false })
  await alice.datasets.add('data')
  const directory = await directoryOf(t, { a: '1' })
  const request = { dataset: 'data', step: 'collect', directory, message: 'collect\n' }
  const { commit, tree } = await alice.datasets.commitDirectory(request)
  for (const node of [bob, carol]) await node.sync.pullNow(alice.identity.peerId)
  for (const node of [bob, carol]) {
    await eventually(
      async () => (await tipOf(node, 'collect-alice')) === commit,
      'the first commit did not arrive',
    )
  }
  const repository = await alice.datasets.repository('data')
  const author = { name: 'alice', email: 'a@example.invalid' }
  const { id } = await alice.datasets.show('data')
  const heads: HeadRecord[] = []
  for (const message of ['to bob', 'to carol']) {
    const oid = await repository.writeCommit({ tree, parents: [commit], message, author, timeMs: 0 })
    heads.push({ dataset: id, sequence: 2, branches: { 'collect-alice': oid }, previous: null })
  }
  return { nodes: [alice, bob, carol], heads: heads as [HeadRecord, HeadRecord] }
}

/** Both members hold both heads as proof, show them, and stand at the same commit. */
async function shown(nodes: readonly DatasetNode[], heads: readonly HeadRecord[]): Promise<string> {
  const tips = new Set<string>()
  for (const node of nodes) {
    await eventually(() => told(node, 'equivocation').length > 0, 'the contradiction was not told')
    const { equivocations } = await node.datasets.show('data')
    assert.equal(equivocations.length, 1)
    assert.deepEqual([equivocations[0]?.member, equivocations[0]?.sequence], ['alice', 2])
    const commits = equivocations[0]?.heads.map(({ branches }) => branches['collect-alice'])
    assert.deepEqual(
      [...(commits ?? [])].sort(),
      heads.map(({ branches }) => branches['collect-alice']).sort(),
    )
    const winner = commits?.[0] ?? ''
    await eventually(
      async () => (await tipOf(node, 'collect-alice')) === winner,
      'the branch is not at the winner',
    )
    tips.add(winner)
    const [proof] = node.datasets.proofs('data')
    assert.equal(proof?.envelopes.length, 2)
    for (const envelope of proof?.envelopes ?? []) assert.equal(sealedHead(envelope)?.head.sequence, 2)
    assert.deepEqual(told(node, 'rollback-refused'), [])
  }
  assert.equal(tips.size, 1)
  return [...tips][0] as string
}

for (const [what, versions] of [
  ['of one version', [50, 50]],
  ['of different versions', [50, 51]],
] as const) {
  test(`two heads in one place, ${what}: all end at the same one, and both are kept as proof`, async (t) => {
    const { nodes, heads } = await torn(t)
    const [alice, bob, carol] = nodes
    const [toBob, toCarol] = await Promise.all(
      heads.map((head, index) => sealHead(alice, head, versions[index] ?? 0)),
    )
    const [first, second] = [toBob as Uint8Array, toCarol as Uint8Array]
    await bob.registry.receive(first)
    await carol.registry.receive(second)
    for (const [node, head] of [
      [bob, heads[0]],
      [carol, heads[1]],
    ] as const) {
      const there = async () => (await tipOf(node, 'collect-alice')) === head.branches['collect-alice']
      await eventually(there, 'the head was not followed')
    }
    // Each hears of the other's.
    await bob.registry.receive(second)
    await carol.registry.receive(first)
    const winners = versions[0] === versions[1] ? [bob, carol] : [bob]
    await shown(winners, heads)
    assert.equal(await tipOf(bob, 'collect-alice'), await tipOf(carol, 'collect-alice'))
    // It outlives a restart, and is told no second time.
    await bob.stop()
    const again = await restartDatasetNode(t, bob, { gossip: false })
    const { equivocations } = await again.datasets.show('data')
    assert.equal(equivocations.length, 1)
    assert.equal(again.datasets.proofs('data')[0]?.envelopes.length, 2)
    await again.registry.receive(first)
    await again.registry.receive(second)
    assert.deepEqual(told(again, 'equivocation'), [])
    assert.equal(await tipOf(again, 'collect-alice'), await tipOf(carol, 'collect-alice'))
  })
}

test('after a contradiction the next head of its author is followed by all, whichever of the two it follows', async (t) => {
  const { nodes, heads } = await torn(t)
  const [alice, bob, carol] = nodes
  const [first, second] = await Promise.all(heads.map((head) => sealHead(alice, head, 50)))
  for (const node of [bob, carol]) {
    await node.registry.receive(first as Uint8Array)
    await node.registry.receive(second as Uint8Array)
  }
  const winner = await shown([bob, carol], heads)
  const loser = heads.map(({ branches }) => branches['collect-alice']).find((oid) => oid !== winner) as string
  const repository = await alice.datasets.repository('data')
  const { tree, author } = await repository.readCommit(loser)
  const next = await repository.writeCommit({ tree, parents: [loser], message: 'on', author, timeMs: 0 })
  const dataset = heads[0].dataset as string
  const head: HeadRecord = { dataset, sequence: 3, branches: { 'collect-alice': next }, previous: null }
  const sealed = await sealHead(alice, head, 52)
  for (const node of [bob, carol]) {
    await node.registry.receive(sealed)
    await eventually(
      async () => (await tipOf(node, 'collect-alice')) === next,
      'the next head was not followed',
    )
  }
  // But from there on the branch moves forward only, as ever.
  const back: HeadRecord = { dataset, sequence: 4, branches: { 'collect-alice': winner }, previous: null }
  await bob.registry.receive(await sealHead(alice, back, 53))
  await eventually(() => told(bob, 'rollback-refused').length > 0, 'the way back was not refused')
  assert.equal(await tipOf(bob, 'collect-alice'), next)
  await meet(bob, carol)
})

test('one head in two envelopes, and two heads about different datasets, prove nothing', async (t) => {
  const { nodes, heads } = await torn(t)
  const [alice, bob] = nodes
  const [head] = heads
  await bob.registry.receive(await sealHead(alice, head, 50))
  await eventually(
    async () => (await tipOf(bob, 'collect-alice')) === head.branches['collect-alice'],
    'not followed',
  )
  await bob.registry.receive(await sealHead(alice, head, 51))
  await bob.registry.receive(await sealHead(alice, { ...heads[1], dataset: 'e'.repeat(32) }, 52))
  await eventually(() => told(bob, 'head-ignored').length > 0, 'the head of another dataset was not told')
  assert.deepEqual(told(bob, 'equivocation'), [])
  assert.deepEqual((await bob.datasets.show('data')).equivocations, [])
})
