/**
 * What an audit found (protocols/audit.md §5). Pure: nodes with the same records and the same commits make the same
 * report, in whatever order these came.
 */
import { auditEntriesMax, auditPathsMax, auditRatingsMax } from '../../base/limits-audit.ts'
import type { EntryList } from '../methods/file-merge.ts'
import { strangeness } from '../methods/strangeness.ts'
import { comparePaths } from '../paths.ts'
import { type Agreement, AgreementTally } from '../statistics/agreement.ts'
import type { NamedPeer } from '../views.ts'
import type { AuditHead, AuditOpening, SeenAnswer } from './audit-records.ts'

/** What looking into a candidate's commit found: its files (mode and object id by path), or why there are none. */
export type Finding =
  | { readonly entries: ReadonlyMap<string, string> }
  /** It cannot be compared, by anybody. */
  | { readonly defect: string }
  /** This node could not get it, or not read it. */
  | { readonly unavailable: string }

/** How a member took part. */
export type Part =
  /** It is compared. */
  | 'candidate'
  /** It answered, and its commit cannot be compared. */
  | 'left-out'
  /** It answered, and its commit could not be had. */
  | 'unavailable'
  /** It answered after the end. */
  | 'late'
  /** It said that it has nothing to compare. */
  | 'nothing'
  | 'silent'

export interface MemberPart extends NamedPeer {
  readonly part: Part
  readonly head?: AuditHead
  readonly answeredMs?: number
  /** Why it is not compared, where that is not said by its part. */
  readonly reason?: string
  /** Entries that differ from those of the other candidates, summed over them. */
  readonly strangeness?: number
  readonly wins?: boolean
}

/** Candidates that hold the same. */
export interface CandidateGroup {
  readonly tree: string
  readonly files: number
  readonly strangeness: number
  readonly wins: boolean
  readonly peers: readonly (NamedPeer & { readonly branch: string; readonly commit: string })[]
  /** Against the first of the winners; absent where it is that. */
  readonly differences?: {
    readonly missing: EntryList
    readonly extra: EntryList
    readonly different: EntryList
  }
}

/**
 * `winner`: one candidate is the least strange, or several that hold the same. `draw`: several are, and a person has to
 * decide. `alone`: there was one candidate, and so nothing to compare it with. `nothing`: there was none.
 */
export type Outcome = 'winner' | 'draw' | 'alone' | 'nothing'

export interface AuditReport {
  readonly outcome: Outcome
  /** What the winner holds: the commit of the first of the winners by peer id. Absent after a draw, and without candidates. */
  readonly winner?: { readonly commit: string; readonly tree: string; readonly branch: string }
  /** The least strange first. */
  readonly groups: readonly CandidateGroup[]
  /** Everybody who was asked, by peer id. */
  readonly members: readonly MemberPart[]
  /** Over files: each path that any candidate holds is a unit, its content or its absence a rating. */
  readonly agreement?: Agreement
}

export interface ReportFacts {
  readonly opening: Pick<AuditOpening, 'electorate' | 'untilMs'>
  /** Hash of the opening's value. */
  readonly hash: string
  readonly answers: readonly SeenAnswer[]
  /** By commit and tree (`candidateName`). */
  readonly findings: ReadonlyMap<string, Finding>
  readonly nameOf: (peer: string) => string
}

/** Under which name a head's finding is kept. */
export function candidateName({ commit, tree }: Pick<AuditHead, 'commit' | 'tree'>): string {
  return `${commit} ${tree}`
}

/** [A6] How each of those who were asked takes part, before anything is looked into; sorted by peer id. */
export function partsOf({
  opening,
  hash,
  answers,
  nameOf,
}: Pick<ReportFacts, 'opening' | 'hash' | 'answers' | 'nameOf'>): MemberPart[] {
  const byPeer = new Map(answers.map((answer) => [answer.peer, answer]))
  return opening.electorate.map((peer) => {
    const named = { peer, name: nameOf(peer) }
    const seen = byPeer.get(peer)
    if (seen === undefined) return { ...named, part: 'silent' }
    const { head } = seen.answer
    const answered = { ...named, answeredMs: seen.timeMs, ...(head === null ? {} : { head }) }
    if (seen.answer.opening !== hash)
      return { ...answered, part: 'left-out', reason: 'it answered another opening' }
    if (seen.version > 1) return { ...answered, part: 'left-out', reason: 'it answered more than once' }
    if (seen.timeMs > opening.untilMs) return { ...answered, part: 'late' }
    return { ...answered, part: head === null ? 'nothing' : 'candidate' }
  })
}

/** [A7] Whether nobody's answer is awaited any more. */
export function allAnswered(parts: readonly MemberPart[]): boolean {
  return parts.every(({ part }) => part !== 'silent')
}

export function reportOf(facts: ReportFacts): AuditReport {
  const members = partsOf(facts).map((member) => examined(member, facts.findings))
  const { held, beyond } = withinBounds(members, facts.findings)
  const parts = members.map((member): MemberPart => {
    if (member.part !== 'candidate' || !beyond.has(member.head?.tree ?? '')) return member
    const reason = `its files, with those of smaller candidates, are more than the ${auditEntriesMax} that are compared`
    return { ...member, part: 'left-out', reason }
  })
  const candidates = parts.filter(isCandidate)
  const entries = new Map(candidates.map(({ peer, head }) => [peer, held.get(head.tree) ?? NO_ENTRIES]))
  const { scores, winners, drawn } = strangeness(entries)
  const first = candidates.find(({ peer }) => peer === winners[0])
  const groups = groupsOf(candidates, { entries, scores, winners })
  const outcome = outcomeOf(candidates.length, drawn)
  return {
    outcome,
    ...(first === undefined || drawn ? {} : { winner: first.head }),
    groups,
    members: parts.map((member) => {
      const score = scores.get(member.peer)
      if (score === undefined) return member
      return { ...member, strangeness: score, wins: winners.includes(member.peer) }
    }),
    ...(candidates.length < 2 ? {} : { agreement: agreementOf([...entries.values()]) }),
  }
}

type Candidate = MemberPart & { readonly head: AuditHead }

const NO_ENTRIES: ReadonlyMap<string, string> = new Map()

function isCandidate(member: MemberPart): member is Candidate {
  return member.part === 'candidate' && member.head !== undefined
}

function outcomeOf(candidates: number, drawn: boolean): Outcome {
  if (candidates === 0) return 'nothing'
  if (candidates === 1) return 'alone'
  return drawn ? 'draw' : 'winner'
}

function examined(member: MemberPart, findings: ReadonlyMap<string, Finding>): MemberPart {
  if (!isCandidate(member)) return member
  const finding = findings.get(candidateName(member.head))
  if (finding === undefined) return { ...member, part: 'unavailable', reason: 'nobody looked into it' }
  if ('defect' in finding) return { ...member, part: 'left-out', reason: finding.defect }
  if ('unavailable' in finding) return { ...member, part: 'unavailable', reason: finding.unavailable }
  return member
}

/** [A9] Trees are compared from the smallest on, ties by id, as long as all their files together are within the bound. */
function withinBounds(members: readonly MemberPart[], findings: ReadonlyMap<string, Finding>) {
  const held = new Map<string, ReadonlyMap<string, string>>()
  for (const member of members) {
    if (!isCandidate(member)) continue
    const finding = findings.get(candidateName(member.head))
    if (finding !== undefined && 'entries' in finding) held.set(member.head.tree, finding.entries)
  }
  const sizes = [...held].map(([tree, { size }]) => ({ tree, size }))
  sizes.sort((a, b) => a.size - b.size || (a.tree < b.tree ? -1 : 1))
  const beyond = new Set<string>()
  let total = 0
  for (const { tree, size } of sizes) {
    total += size
    if (total > auditEntriesMax) beyond.add(tree)
  }
  return { held, beyond }
}

interface Compared {
  readonly entries: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly scores: ReadonlyMap<string, number>
  readonly winners: readonly string[]
}

function groupsOf(
  candidates: readonly Candidate[],
  { entries, scores, winners }: Compared,
): CandidateGroup[] {
  const model = entries.get(winners[0] ?? '')
  const byTree = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    byTree.set(candidate.head.tree, [...(byTree.get(candidate.head.tree) ?? []), candidate])
  }
  const groups = [...byTree].map(([tree, same]): CandidateGroup => {
    const peer = same[0]?.peer ?? ''
    const own = entries.get(peer) ?? NO_ENTRIES
    return {
      tree,
      files: own.size,
      strangeness: scores.get(peer) ?? 0,
      wins: winners.includes(peer),
      peers: same.map(({ peer, name, head: { branch, commit } }) => ({ peer, name, branch, commit })),
      ...(model === undefined || model === own ? {} : { differences: differencesOf(own, model) }),
    }
  })
  return groups.sort(
    (a, b) => a.strangeness - b.strangeness || b.peers.length - a.peers.length || (a.tree < b.tree ? -1 : 1),
  )
}

function differencesOf(own: ReadonlyMap<string, string>, model: ReadonlyMap<string, string>) {
  const missing = [...model.keys()].filter((path) => !own.has(path))
  const extra = [...own.keys()].filter((path) => !model.has(path))
  const different = [...own].filter(([path, entry]) => (model.get(path) ?? entry) !== entry)
  return {
    missing: listOf(missing),
    extra: listOf(extra),
    different: listOf(different.map(([path]) => path)),
  }
}

function listOf(paths: string[]): EntryList {
  return { count: paths.length, first: paths.sort(comparePaths).slice(0, auditPathsMax) }
}

/** Of very many paths each so-manieth in their order is rated: agreement is a share, and no share needs them all. */
function agreementOf(candidates: readonly ReadonlyMap<string, string>[]): Agreement {
  const tally = new AgreementTally({ level: 'nominal', raters: candidates.length })
  const all = new Set<string>()
  // Those that hold the same share their entries.
  for (const entries of new Set(candidates)) for (const path of entries.keys()) all.add(path)
  const paths = [...all].sort(comparePaths)
  const step = Math.ceil((paths.length * candidates.length) / auditRatingsMax) || 1
  for (let at = 0; at < paths.length; at += step) {
    const path = paths[at] as string
    // To hold no file at a path is a word about it as well.
    tally.add(candidates.map((entries) => entries.get(path) ?? ''))
  }
  const agreement = tally.result()
  return step === 1 ? agreement : { ...agreement, units: paths.length, sampled: true }
}
