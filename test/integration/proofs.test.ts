import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConsensusNode, joinVoter, restartVoter, startVoters } from '../support/consensus-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { agree, sameCertificates, startProofs, truthIs } from '../support/proofs-node.ts'

const WAIT_MS = 60_000

test('members come to one and the same branch of certificates, and a newcomer has the whole chain', async (t) => {
  const nodes = (await startVoters(t, ['bob', 'carol'])) as [ConsensusNode, ConsensusNode, ConsensusNode]
  const [alice] = nodes
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  for (const node of nodes) {
    await eventually(() => node.datasets.list().length === 1, 'the dataset was not heard of', WAIT_MS)
    await startProofs(t, node)
  }
  for (let height = 1; height <= 3; height += 1) await agree(t, nodes, height)
  await sameCertificates(nodes, 3)

  const dave = await joinVoter(t, alice, 'dave')
  const proofs = await startProofs(t, dave)
  await truthIs([dave], 3)
  await sameCertificates([...nodes, dave], 3)
  const { ok, chain, reason } = await proofs.verify('data')
  assert.deepEqual([ok, reason, chain?.checked, chain?.height], [true, undefined, 3, 3])
  assert.deepEqual(
    chain?.links.map(({ recomputed }) => recomputed),
    ['same', 'same', 'same'],
  )
})

test('a node alone writes at its start what its branch lacks, with another git as well, and to the same commit', async (t) => {
  const [alice] = (await startVoters(t, [])) as [ConsensusNode]
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  const proofs = await startProofs(t, alice)
  await agree(t, [alice], 1)
  const first = await sameCertificates([alice], 1)
  await agree(t, [alice], 2)
  const second = await sameCertificates([alice], 2)
  await proofs.stop()
  // As it is when a node is ended between a truth and its certificate.
  await (await alice.datasets.repository('data')).moveBranch('certificates', first, second)
  await alice.stop()
  const back = await restartVoter(t, alice, { node: { backend: 'isomorphic' } })
  const again = await startProofs(t, back)
  assert.equal(await sameCertificates([back], 2), second)
  const { ok, chain } = await again.verify('data')
  assert.deepEqual([ok, chain?.checked, chain?.recomputed], [true, 2, 2])
})
