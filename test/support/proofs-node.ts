import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Counting } from '../../src/consensus/counting.ts'
import { Proofs, type ProofsParts } from '../../src/consensus/proofs/proofs.ts'
import { type ConsensusNode, commitResult } from './consensus-node.ts'
import { eventually } from './eventually.ts'

const WAIT_MS = 60_000

/** Keeps the certificates of a member's datasets, as a whole node does. */
export async function startProofs(
  test: TestContext,
  node: ConsensusNode,
  more: Partial<Pick<ProofsParts, 'clock' | 'log'>> = {},
): Promise<Proofs> {
  const { registry, members, datasets, consensus, genesis } = node
  const proofs = new Proofs({
    ...{ genesis, registry, datasets, clock: systemClock, log: silentLogger },
    onEvent: (heard) => consensus.onEvent(heard),
    verify: (name) => consensus.verify(name),
    counting: new Counting({ datasets }),
    nameOf: (peer) => members.get(members.presentOf(peer))?.name ?? members.former(peer)?.name ?? peer,
    ...more,
  })
  await proofs.start()
  test.after(() => proofs.stop())
  return proofs
}

/** A truth of the dataset `data` that all of them find and hold. */
export async function agree(
  test: TestContext,
  nodes: readonly ConsensusNode[],
  height: number,
  files: Readonly<Record<string, string>> = { 'found.csv': `${height}\n` },
): Promise<string> {
  const [first] = nodes as [ConsensusNode]
  for (const node of nodes) await commitResult(test, node, files)
  await first.consensus.open('data', 'collect', { windowMs: 20_000 })
  await truthIs(nodes, height)
  return (await first.consensus.truth('data')).commit as string
}

export async function truthIs(nodes: readonly ConsensusNode[], height: number): Promise<void> {
  const isThere = async () => {
    const views = await Promise.all(nodes.map((node) => node.consensus.truth('data')))
    return views.every((view) => view.height === height && view.adopted)
  }
  await eventually(isThere, `not everybody holds truth ${height}`, WAIT_MS)
}

/** Where the branch of certificates is at a node. */
export async function certificatesOf(node: ConsensusNode): Promise<string | undefined> {
  return (await node.datasets.certificates.open('data'))?.tip
}

/** Waits until all of them have one and the same commit there, up to that height. */
export async function sameCertificates(nodes: readonly ConsensusNode[], height: number): Promise<string> {
  const tips = () => Promise.all(nodes.map(certificatesOf))
  const isSame = async () => {
    const [tip, ...others] = await tips()
    if (tip === undefined || others.some((other) => other !== tip)) return false
    const repository = await (nodes[0] as ConsensusNode).datasets.repository('data')
    return (await repository.readCommit(tip)).message === `Certificates of data up to height ${height}\n`
  }
  await eventually(isSame, `their certificates differ at height ${height}`, WAIT_MS)
  return (await tips())[0] as string
}
