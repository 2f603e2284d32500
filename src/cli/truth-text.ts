import { type ReportView, reportSchema } from '../api/report-views.ts'
import type { TruthView } from '../api/round-views.ts'
import { isNodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import { type Output, type Pair, shortId } from './output.ts'
import { roundPath } from './round-names.ts'
import { methodName, methodText } from './rule-text.ts'
import {
  agreementPairs,
  agreesText,
  contestedText,
  type Differing,
  differencesText,
  listText,
} from './vote-text.ts'

function withoutCertificate({ dataset, commit, policy }: TruthView): string {
  if (policy !== 'shared') {
    const newest = commit === null ? '' : ': this is the newest commit of whoever owns it'
    return `none: nobody votes on a ${policy} dataset${newest}`
  }
  if (commit !== null) return 'none: this is what the dataset was founded with'
  return `none: a round decides, "maoctl round open ${dataset} --step STEP" asks for one`
}

/** What the round of a truth was about; undefined where the truth came without one, or the round's records are no more. */
export async function reportOf(client: ApiClient, { round }: TruthView): Promise<ReportView | undefined> {
  if (round === undefined) return undefined
  try {
    return await client.get(`${roundPath(round)}/report`, reportSchema)
  } catch (error) {
    if (isNodeError(error, 'ROUND_NOT_FOUND')) return undefined
    throw error
  }
}

/** A truth for people who have not read the protocol. */
export function truthText(out: Output, truth: TruthView, report: ReportView | undefined): string {
  const { dataset, commit, height, adopted, round, signers, agreement, contested } = truth
  const pairs: Pair[] = [
    ['dataset', dataset],
    ['truth', commit ?? 'none yet'],
    ['certificates', height === 0 ? withoutCertificate(truth) : String(height)],
    ...(round === undefined ? [] : [['round', round] as Pair]),
    ...(report === undefined ? [] : [['method', methodName(report.round.method)] as Pair]),
    ...(signers.length === 0 ? [] : [['signed by', signers.map(({ name }) => name).join(', ')] as Pair]),
    ...(commit === null ? [] : [['on this node', adopted ? 'yes' : 'not yet'] as Pair]),
    ...(report === undefined ? [] : agreementPairs(report)),
    ...(contested.length === 0 || report !== undefined
      ? []
      : [['contested', listText({ count: contested.length, first: contested })] as Pair]),
  ]
  const parts = [out.pairs(pairs)]
  if (report !== undefined) parts.push(methodText(report.round.method))
  const rows =
    report === undefined || report.members.length === 0
      ? agreement.map((member) => rowOf({ ...member, ...shortened(member.differences) }))
      : report.members.map((member) => rowOf(member, agreesText(member, report)))
  if (rows.length > 0) parts.push(out.table(['member', 'ballot', 'agrees', 'where not'], rows))
  const doubts = report === undefined ? '' : contestedText(report)
  if (doubts !== '') parts.push(doubts)
  if (rows.length > 0)
    parts.push(`"maoctl reliability list --dataset ${dataset}" tells how often each member agreed so far.`)
  return parts.join('\n\n')
}

type Row = Differing & Pick<TruthView['agreement'][number], 'name' | 'commit' | 'agrees'>

function rowOf(member: Row, verdict = member.agrees ? 'yes' : 'no'): string[] {
  const { name, commit } = member
  if (commit === null) return [name, '-', '-', 'no ballot of it was counted']
  return [name, shortId(commit), verdict, differencesText(member)]
}

function shortened(differences: TruthView['agreement'][number]['differences']): Differing {
  const list = (paths: readonly string[]) => ({ count: paths.length, first: paths })
  const { missing, extra, different } = differences
  return { missing: list(missing), extra: list(extra), different: list(different), entries: [] }
}
