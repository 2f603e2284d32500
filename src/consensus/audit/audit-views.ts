/** What people and programs are shown of audits; plain JSON throughout. */
import type { NamedPeer } from '../views.ts'
import type { AuditReport, MemberPart, Outcome } from './audit-report.ts'

/**
 * `open`: answers are awaited. `comparing`: commits are fetched and compared. `ended`: there is a report. `closed`: it is
 * over, and this node has not compared anything (why, `note` says).
 */
export type AuditState = 'open' | 'comparing' | 'ended' | 'closed'

export interface AuditView {
  /** `<dataset>/<openedMs>/<opener>` */
  readonly id: string
  readonly dataset: string
  readonly step?: string
  readonly openedBy: NamedPeer
  readonly openedMs: number
  readonly untilMs: number
  readonly state: AuditState
  /** Everybody who is asked, and what has come of it so far. */
  readonly members: readonly MemberPart[]
  /** Before there is a report: candidates that this node has looked into so far. */
  readonly looked?: number
  /** Members who could answer, and whom its opener did not ask. */
  readonly notAsked: readonly NamedPeer[]
  /** Why there is no report here. */
  readonly note?: string
  readonly report?: AuditReport
  /** What a person may do now: the winner is a report, not a truth. */
  readonly next?: string
}

export type AuditEvent =
  | { readonly type: 'opened'; readonly dataset: string; readonly audit: string }
  | { readonly type: 'answered'; readonly dataset: string; readonly audit: string; readonly member: string }
  | {
      readonly type: 'ended'
      readonly dataset: string
      readonly audit: string
      readonly outcome: Outcome
      /** The winner's. */
      readonly commit?: string
    }

/** What to do with a report. Pure. */
export function nextOf(
  { dataset, step }: { readonly dataset: string; readonly step?: string | undefined },
  { outcome, groups, winner }: AuditReport,
): string {
  const [first, second] = groups
  const named = step ?? stepOf(first?.peers[0]) ?? 'STEP'
  const round = `maoctl round open ${dataset} --step ${named}`
  if (outcome === 'nothing') return 'Nobody had anything that could be compared; there is nothing to do.'
  if (outcome === 'alone')
    return `There is nothing to compare it with; audit again once others have results${step === undefined ? '' : ` of ${step}`}.`
  if (outcome === 'winner' && groups.length === 1)
    return `All hold the same. This is a report, not a truth; "${round}" makes it one.`
  if (outcome === 'winner' && winner !== undefined)
    return `The winner is a report, not a truth. Look where the others differ; "${round}" has the members vote on it.`
  const [a, b] = [first?.peers[0]?.commit, second?.peers[0]?.commit]
  const cast = `maoctl vote cast ${dataset}/${named} --candidate MEMBER`
  return `A person has to decide. "maoctl dataset diff ${dataset} ${a ?? 'A'} ${b ?? 'B'}" shows both; then "${round}" and, where the dataset's rule has people cast, "${cast}".`
}

function stepOf(peer: { readonly branch: string; readonly name: string } | undefined): string | undefined {
  const suffix = `-${peer?.name}`
  return peer?.branch.endsWith(suffix) === true ? peer.branch.slice(0, -suffix.length) : undefined
}
