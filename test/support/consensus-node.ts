import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { compareTruths, refuseTruth } from '../../src/consensus/certificate.ts'
import { Consensus } from '../../src/consensus/consensus.ts'
import { openRecordsOf } from '../../src/consensus/open-record.ts'
import type { ScheduledRun } from '../../src/consensus/scheduled-outputs.ts'
import type { ConsensusEvent } from '../../src/consensus/views.ts'
import {
  type DatasetNode,
  type DatasetNodeOptions,
  directoryOf,
  joinDatasetNode,
  restartDatasetNode,
  startDatasetNode,
} from './dataset-node.ts'

/** A member with datasets and consensus, whose runs a test makes by hand. */
export interface ConsensusNode extends DatasetNode {
  readonly consensus: Consensus
  readonly heard: ConsensusEvent[]
  /** Says that a run of the pipeline, which asks for rounds, has ended. */
  ran(run: ScheduledRun): void
}

export interface ConsensusNodeOptions {
  /** Runs from before the start. */
  readonly runs?: readonly ScheduledRun[]
  readonly windowMs?: number
  /** Of the node below. */
  readonly node?: DatasetNodeOptions
}

async function withConsensus(
  test: TestContext,
  node: DatasetNode,
  { runs = [], windowMs = 5_000, node: below = {} }: ConsensusNodeOptions,
): Promise<ConsensusNode> {
  const { registry, database, members, policy, datasets, identity } = node
  const open = openRecordsOf(registry.federation)
  const refuse = refuseTruth(() => members.list())
  policy.prove('/truth/', {
    refuse: async ({ key, value, author }) => {
      if (value === null) return undefined
      const current = registry.claims(key).find((claim) => claim.author === author)?.value
      return refuse(key, value, { federationId: registry.federation, current, open })
    },
    compare: compareTruths,
  })
  registry.rearrange()
  const listeners = new Set<(run: ScheduledRun) => void>()
  const consensus = new Consensus({
    self: identity.peerId,
    registry,
    database,
    members,
    datasets,
    runs: {
      runs: () => runs,
      onRun: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      roundOf: () => ({ windowMs }),
    },
    clock: below.clock ?? systemClock,
    log: silentLogger,
  })
  const heard: ConsensusEvent[] = []
  consensus.onEvent((event) => heard.push(event))
  await consensus.start()
  const stop = async () => {
    await consensus.stop()
    await node.stop()
  }
  test.after(stop)
  const ran = (run: ScheduledRun) => {
    for (const listener of listeners) listener(run)
  }
  return { ...node, consensus, heard, ran, stop }
}

/** A founder and more members, all connected to the founder. */
export async function startVoters(
  test: TestContext,
  names: readonly string[],
  options: ConsensusNodeOptions = {},
): Promise<ConsensusNode[]> {
  const founder = await startDatasetNode(test, options.node)
  const nodes = [founder]
  for (const name of names) nodes.push(await joinDatasetNode(test, founder, name, options.node))
  const voters: ConsensusNode[] = []
  for (const node of nodes) voters.push(await withConsensus(test, node, options))
  return voters
}

/** A newcomer that is admitted by the founder and connected to it. */
export async function joinVoter(
  test: TestContext,
  founder: ConsensusNode,
  name: string,
  options: ConsensusNodeOptions = {},
): Promise<ConsensusNode> {
  return withConsensus(test, await joinDatasetNode(test, founder, name, options.node), options)
}

/** The same node again, on the disk of one that was stopped. */
export async function restartVoter(
  test: TestContext,
  node: ConsensusNode,
  options: ConsensusNodeOptions = {},
): Promise<ConsensusNode> {
  return withConsensus(test, await restartDatasetNode(test, node, options.node), options)
}

/** Commits these files as the node's result of `step`. */
export async function commitResult(
  test: TestContext,
  node: DatasetNode,
  files: Readonly<Record<string, string>>,
  step = 'collect',
): Promise<string> {
  const directory = await directoryOf(test, files)
  const { commit } = await node.datasets.commitDirectory({
    dataset: 'data',
    step,
    directory,
    message: `${step}\n`,
  })
  return commit
}
