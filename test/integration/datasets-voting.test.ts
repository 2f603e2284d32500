import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { type ConsensusNode, commitResult, joinVoter, startVoters } from '../support/consensus-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const WAIT_MS = 60_000
const FOUND = { 'packages.csv': 'a,1\nb,2\n' }

async function found(t: TestContext, nodes: readonly ConsensusNode[], about: string): Promise<string> {
  const directory = await directoryOf(t, { 'README.md': about })
  const view = await nodes[0]?.datasets.importDirectory('data', directory)
  for (const node of nodes) {
    const copied = () => node.datasets.find('data')?.id === view?.id && viewAt(node)?.replicated === true
    await eventually(copied, 'the dataset was not copied', WAIT_MS)
  }
  return view?.truth ?? ''
}

const viewAt = (node: ConsensusNode) => node.datasets.list().find(({ name }) => name === 'data')

async function decided(nodes: readonly ConsensusNode[], height: number): Promise<string> {
  const adopted = async () => {
    const views = await Promise.all(nodes.map((node) => node.consensus.truth('data')))
    return views.every((view) => view.height === height && view.adopted)
  }
  await eventually(adopted, `not everybody holds truth ${height}`, WAIT_MS)
  return (await nodes[0]?.datasets.truth('data')) ?? ''
}

test('there are no rounds on what nobody else may look into, and the refusal says what to do instead', async (t) => {
  const [alice] = (await startVoters(t, [])) as [ConsensusNode]
  const directory = await directoryOf(t, FOUND)
  for (const [policy, wayOut] of [
    ['local-only', /newest commit of this node/],
    ['compute-only', /shared dataset/],
  ] as const) {
    const name = `is-${policy}`
    const { truth } = await alice.datasets.importDirectory(name, directory, { policy })
    await assert.rejects(alice.consensus.open(name, 'import'), (error: unknown) => {
      assert.ok(isNodeError(error, 'DATASET_WITHHELD'), String(error))
      assert.match(error.message, wayOut)
      return true
    })
    const view = await alice.consensus.truth(name)
    assert.deepEqual([view.commit, view.height, view.adopted], [truth, 0, true])
    // A scheduled run asks in vain, and nothing is cast.
    const steps = [{ name: 'import', outputDataset: name, outputCommit: truth ?? '' }]
    const [createdMs, endedMs, slot] = [Date.now(), Date.now(), Date.now()]
    const trigger = { kind: 'schedule', slot }
    alice.ran({ pipeline: 'p', trigger, state: 'succeeded', steps, createdMs, endedMs })
  }
  const cast = ['/rounds/', '/ballots/'].flatMap((prefix) => alice.registry.list(prefix))
  assert.deepEqual(cast, [])
})

test('what was agreed on is known where nobody wants it, fetched by nobody, and followed once it is wanted', async (t) => {
  const nodes = await startVoters(t, ['bob', 'carol'])
  const [alice] = nodes as [ConsensusNode]
  await found(t, nodes, 'about this\n')
  for (const node of nodes) await commitResult(t, node, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  const commit = await decided(nodes, 1)
  const dave = await joinVoter(t, alice, 'dave', { node: { settings: { follow: 'none' } } })
  await eventually(() => viewAt(dave)?.truth === commit, 'the truth was never known', WAIT_MS)
  const { adopted, height, agreement } = await dave.consensus.truth('data')
  assert.deepEqual([adopted, height, agreement], [false, 1, []])
  assert.equal(await dave.datasets.truth('data'), commit)
  assert.equal(existsSync(join(dave.directory, 'datasets/data.git')), false)
  await dave.datasets.follow('data')
  await decided([dave], 1)
  assert.equal(await (await dave.datasets.repository('data')).resolve('ground-truth'), commit)
})

test('what was agreed on about a dataset that was removed says nothing about the next one of its name', async (t) => {
  const nodes = await startVoters(t, ['bob', 'carol'])
  const [alice] = nodes as [ConsensusNode]
  await found(t, nodes, 'the first\n')
  for (const node of nodes) await commitResult(t, node, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  const old = await decided(nodes, 1)
  await alice.datasets.remove('data')
  for (const node of nodes) await eventually(() => viewAt(node) === undefined, 'it was not removed', WAIT_MS)
  const initial = await found(t, nodes, 'the second\n')
  for (const node of nodes) {
    assert.deepEqual([viewAt(node)?.truth, (await node.consensus.truth('data')).height], [initial, 0])
    assert.equal(await (await node.datasets.repository('data')).hasCommit(old), false)
    assert.deepEqual(
      node.consensus.rounds('data').filter(({ state }) => state === 'open'),
      [],
    )
  }
  for (const node of nodes) await commitResult(t, node, { 'packages.csv': 'c,3\n' })
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  const agreed = await decided(nodes, 1)
  const files = await (await alice.datasets.repository('data')).listFiles(agreed)
  assert.deepEqual(
    files.map(({ path }) => path),
    ['README.md', 'packages.csv'],
  )
  assert.equal((await alice.consensus.verify('data')).ok, true)
})
