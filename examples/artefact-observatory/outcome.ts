/** What came out of the demo: plain values, gathered from the nodes' answers. */

import type { DatasetView } from '../../src/api/dataset-views.ts'
import type { RoundView, TruthView } from '../../src/api/round-views.ts'
import type { RunView } from '../../src/api/run-views.ts'
import type { MemberView } from '../../src/api/views.ts'
import type { Notification } from '../../src/monitoring/monitor.ts'
import type { LostRows } from './lost-rows.ts'

export interface NodeOutcome {
  name: string
  peerId: string
  role: string
  url: string
  data: string
  /** The ground truth of the compared datasets at this node, by dataset. */
  truths: Record<string, string>
}

export interface Head {
  dataset: string
  branch: string
  member: string
  commit: string
}

export interface Difference {
  dataset: string
  member: string
  missing: readonly string[]
  extra: readonly string[]
  different: readonly string[]
}

export interface CertificateOutcome {
  dataset: string
  round: string
  commit: string
  signers: string[]
  quorum: number
  electorate: number
}

/** What the spike rule said of one member's last run. */
export interface Verdict {
  member: string
  tool: string
  verdict: string
  value: number | undefined
  rollingAverage: number | undefined
  gainPercent: number | undefined
}

export interface Outcome {
  nodes: NodeOutcome[]
  heads: Head[]
  differences: Difference[]
  lost: LostRows[]
  certificates: CertificateOutcome[]
  verdicts: Verdict[]
  /** The spikes that members wrote into the registry. */
  spikes: Notification[]
}

/** What the story saw; lists by node are in the order of `nodes`. */
export interface Seen {
  nodes: readonly { name: string; data: string; api: { url: string } }[]
  members: readonly MemberView[]
  datasets: readonly DatasetView[]
  rounds: readonly RoundView[]
  truths: readonly (readonly TruthView[])[]
  runs: readonly RunView[]
  notifications: readonly { value: Notification }[]
  lost: LostRows[]
}

export function outcomeOf(seen: Seen): Outcome {
  const { nodes, members, truths } = seen
  return {
    nodes: nodes.map(({ name, data, api }, at) => {
      const member = members.find((each) => each.name === name)
      const commits = (truths[at] ?? []).map(({ dataset, commit }) => [dataset, commit ?? ''])
      const { peer: peerId = '', role = '' } = member ?? {}
      return { name, peerId, role, url: api.url, data, truths: Object.fromEntries(commits) }
    }),
    heads: seen.datasets.flatMap(({ name: dataset, branches }) => {
      const announced = branches.filter((each) => each.announced)
      return announced.map(({ branch, member, commit }) => ({ dataset, branch, member, commit }))
    }),
    differences: (truths[0] ?? []).flatMap(({ dataset, agreement }) => {
      const departing = agreement.filter(({ agrees }) => !agrees)
      return departing.map(({ name: member, differences }) => ({ dataset, member, ...differences }))
    }),
    lost: seen.lost,
    certificates: seen.rounds.map((round, at) => ({
      dataset: round.dataset,
      round: round.id,
      commit: round.commit ?? '',
      signers: (truths[0]?.[at]?.signers ?? []).map(({ name }) => name).sort(),
      quorum: round.quorum,
      electorate: round.electorate.length,
    })),
    verdicts: seen.runs.flatMap(({ steps }, at) => {
      return steps.map(({ tool, report }): Verdict => {
        const { verdict = 'not reviewed', value, rollingAverage, gainPercent } = report ?? {}
        return { member: nodes[at]?.name ?? '', tool, verdict, value, rollingAverage, gainPercent }
      })
    }),
    spikes: seen.notifications.map(({ value }) => value),
  }
}

/**
 * What the demo claims: one truth on every node, signed by a quorum, with the faulty member's departure found.
 *
 * @throws Error naming the claim that does not hold.
 */
export function check(outcome: Outcome, faulty: string): void {
  for (const { dataset, commit, signers, quorum } of outcome.certificates) {
    const commits = new Set(outcome.nodes.map(({ truths }) => truths[dataset]))
    if (commits.size !== 1 || !commits.has(commit)) {
      throw new Error(`The nodes do not hold one ground truth of ${dataset}: ${[...commits].join(', ')}`)
    }
    if (signers.length < quorum) throw new Error(`${dataset}: ${signers.length} signatures, ${quorum} needed`)
    const departing = outcome.differences
      .filter((each) => each.dataset === dataset)
      .map(({ member }) => member)
    if (departing.join() !== faulty)
      throw new Error(`${dataset}: ${departing.join(', ') || 'nobody'} differs, not ${faulty}`)
  }
  const spiking = new Set(outcome.spikes.map(({ node }) => node))
  if (spiking.size !== 1 || !spiking.has(faulty)) {
    throw new Error(
      `Spikes were noticed at ${[...spiking].join(', ') || 'no node'}, and not at ${faulty} alone`,
    )
  }
}
