/** Rounds and their ballots in words and tables, for people who have not read the protocol. */
import type { AgreementView, ReportView } from '../api/report-views.ts'
import type { RoundHere } from '../api/round-views.ts'
import type { CastView } from '../api/vote-routes.ts'
import { countText, type Output, type Pair, shortId, spanText, timeText } from './output.ts'
import { methodName, methodText } from './rule-text.ts'

/** Names of one kind that are told before the rest is only counted. */
const NAMES_SHOWN = 5

export interface EntryList {
  readonly count: number
  readonly first: readonly string[]
}

/** The rounds in which a node may vote. */
export function votesText(out: Output, rounds: readonly RoundHere[], now: number): string {
  if (rounds.length === 0) {
    return 'There is no round here in which this node may vote; "maoctl round open DATASET --step STEP" asks for one.'
  }
  const rows = rounds.map((round) => [
    round.id,
    out.state(round.state),
    leftText(round, now),
    castText(round),
    `${votersOf(round)}/${round.electorate.length}`,
    ownText(round),
    round.mine.waitsFor ?? round.explanation ?? '',
  ])
  return out.table(['round', 'state', 'left', 'ballots', 'votes', 'this node', 'waits for'], rows)
}

/** What is left of the time for ballots, or for votes. */
export function leftText({ state, cutoffMs, votesUntilMs }: RoundHere, now: number): string {
  if (state === 'decided' || state === 'undecided') return '-'
  if (state === 'open' && now < cutoffMs) return `${spanText(cutoffMs - now)} for ballots`
  return now < votesUntilMs ? `${spanText(votesUntilMs - now)} for votes` : 'none'
}

export function castText({ ballots, electorate }: RoundHere): string {
  return `${new Set(ballots.map(({ peer }) => peer)).size}/${electorate.length}`
}

function votersOf({ votes }: RoundHere): number {
  return new Set(votes.filter(({ late }) => !late).map(({ peer }) => peer)).size
}

function ownText({ mine, trigger, state }: RoundHere): string {
  if (!mine.votes) return 'no vote'
  if (mine.voted) return 'signed'
  if (mine.cast) return 'cast'
  return state === 'open' && trigger === 'hand' ? 'to cast' : 'not cast'
}

/** All that is known of one round. */
export function reportText(out: Output, report: ReportView, now: number): string {
  const { round } = report
  const parts = [
    out.pairs([...roundPairs(out, round, now), ...agreementPairs(report)]),
    methodText(round.method),
    groupsText(out, report),
    candidatesText(out, report),
    membersText(out, report),
    contestedText(report),
    doubtsText(out, report),
    nextText(report),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function roundPairs(out: Output, round: RoundHere, now: number): Pair[] {
  const { id, state, explanation, commit, trigger, openedBy, cutoffMs, votesUntilMs, quorum, electorate } =
    round
  const open = state === 'open' || state === 'closed'
  return [
    ['round', id],
    ['state', out.state(state)],
    ...(explanation === undefined ? [] : [['why', explanation] as Pair]),
    ...(commit === undefined ? [] : [['result', commit] as Pair]),
    ['opened by', openedBy.name],
    ['ballots', `${castText(round)}, ${CASTING[trigger]}`],
    ['votes', `${votersOf(round)}/${electorate.length}; ${quorum} of ${electorate.length} decide`],
    ...(open ? [['left', leftText(round, now)] as Pair] : []),
    ['cut-off', `${timeText(cutoffMs)}, votes until ${timeText(votesUntilMs)}`],
    ...(open && round.mine.waitsFor !== undefined ? [['waits for', round.mine.waitsFor] as Pair] : []),
    ['method', methodName(round.method)],
  ]
}

const CASTING: Readonly<Record<RoundHere['trigger'], string>> = {
  request: 'each member’s own result',
  schedule: 'each member’s scheduled run of that time',
  hand: 'by hand: people choose',
}

/** How far the ballots agree, and what chance would have given. */
export function agreementPairs({
  agreement,
  unavailable,
}: Pick<ReportView, 'agreement' | 'unavailable'>): Pair[] {
  if (agreement !== undefined) return [['agreement', agreementText(agreement)]]
  return unavailable === undefined ? [] : [['agreement', `not known: ${unavailable}`]]
}

/** Such as `two ballots have the same in 92.3% of cases, over 40 files; beyond chance 0.81 (Fleiss' kappa)`. */
export function agreementText(agreement: AgreementView, noun = 'file', nouns = 'files'): string {
  const { percent, fleissKappa, krippendorffAlpha, units, sampled } = agreement
  if (percent === undefined) return 'nothing that two ballots have'
  const chance = [
    ...(fleissKappa === undefined ? [] : [`${fleissKappa.toFixed(2)} (Fleiss’ kappa)`]),
    ...(krippendorffAlpha === undefined ? [] : [`${krippendorffAlpha.toFixed(2)} (Krippendorff’s alpha)`]),
  ]
  const over = `two ballots have the same in ${(100 * percent).toFixed(1)}% of cases, over ${countText(units, noun, nouns)}${sampled ? ', of a sample' : ''}`
  return chance.length === 0 ? over : `${over}; beyond chance ${chance.join(', ')}`
}

/** Equal ballots together, the largest group first; a group that is not the first is a minority. */
function groupsText(out: Output, { groups, round }: ReportView): string {
  if (groups.length === 0) return ''
  const cast = groups.reduce((sum, { peers }) => sum + peers.length, 0)
  const rows = groups.map(({ tree, peers }, i) => [
    groupName(i),
    `${peers.length} of ${cast}`,
    peers.map(({ name }) => name).join(', '),
    shortId(tree),
    peers.map(({ peer }) => weightText(round, peer)).join(', '),
  ])
  const weighed = round.weights !== undefined
  const head = ['alike', 'ballots', 'members', 'files']
  return out.table(
    weighed ? [...head, 'weights'] : head,
    weighed ? rows : rows.map((row) => row.slice(0, -1)),
  )
}

function weightText({ weights }: RoundHere, peer: string): string {
  const weight = weights?.[peer]
  return weight === undefined ? '-' : (weight / 1_000).toFixed(3)
}

/** A, B, … Z, then numbers. */
function groupName(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : String(index + 1)
}

/** What there is to choose from, equal results together, the largest group first. */
function candidatesText(out: Output, { candidates }: ReportView): string {
  if (candidates.length === 0) return ''
  const groups = new Map<string, string[]>()
  for (const { name, commit, tree } of candidates) {
    const content = tree ?? `commit ${commit}`
    groups.set(content, [...(groups.get(content) ?? []), name])
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length)
  const rows = sorted.map(([content, names]) => [
    names.join(', '),
    content.startsWith('commit ') ? 'not here yet' : shortId(content),
  ])
  return `To choose from, equal results on one line:\n${out.table(['members', 'files'], rows)}`
}

function membersText(out: Output, report: ReportView): string {
  const { members, round, groups } = report
  if (members.length === 0) return ''
  const place = new Map(
    groups.flatMap(({ peers }, i) => peers.map(({ peer }) => [peer, groupName(i)] as const)),
  )
  const rows = members.map((member) => {
    const vote = round.votes.find(({ peer }) => peer === member.peer)
    return [
      member.name,
      shortId(member.commit ?? undefined),
      place.get(member.peer) ?? '-',
      member.commit === null
        ? '-'
        : member.agrees
          ? 'yes'
          : `no, ${countText(member.departures, 'difference')}`,
      member.commit === null ? (defectOf(round, member.peer) ?? 'no ballot') : differencesText(member),
      vote === undefined
        ? '-'
        : vote.late
          ? 'late'
          : vote.commit === null
            ? 'no majority'
            : shortId(vote.commit),
    ]
  })
  return out.table(['member', 'ballot', 'alike', 'agrees', 'where not', 'signed'], rows)
}

/** Whether a ballot is as what was agreed; what is contested is nobody's difference. */
export function agreesText(
  { commit, agrees, departures }: ReportView['members'][number],
  { contested, files }: Pick<ReportView, 'contested' | 'files'>,
): string {
  if (commit === null) return '-'
  if (!agrees) return `no, ${countText(departures, 'difference')}`
  const isWhole = contested.count === 0 && files.every((file) => file.contested.count === 0)
  return isWhole ? 'yes' : 'yes, but for what is contested'
}

function defectOf({ ballots }: RoundHere, peer: string): string | undefined {
  const own = ballots.filter((ballot) => ballot.peer === peer)
  if (own.length > 1) return 'cast two ballots: none counts'
  const [ballot] = own
  if (ballot === undefined) return undefined
  return ballot.defect ?? 'cast, not counted'
}

export interface Differing {
  readonly missing: EntryList
  readonly extra: EntryList
  readonly different: EntryList
  readonly entries: readonly (Omit<Differing, 'entries'> & { readonly path: string })[]
}

/** Where a member's ballot differs from what was agreed: files first, then entries of files. */
export function differencesText({ missing, extra, different, entries }: Differing): string {
  const files = kinds({ missing, extra, different })
  const within = entries.map((each) => `${each.path}: ${kinds(each).join(', ')}`)
  return [...files, ...within].join('; ')
}

function kinds({ missing, extra, different }: Omit<Differing, 'entries'>): string[] {
  const told = [
    { word: 'lacks', list: missing },
    { word: 'has besides', list: extra },
    { word: 'differs in', list: different },
  ]
  return told.filter(({ list }) => list.count > 0).map(({ word, list }) => `${word} ${listText(list)}`)
}

/** The first of them, and how many there are beside. */
export function listText({ count, first }: EntryList): string {
  const shown = first.slice(0, NAMES_SHOWN)
  const rest = count - shown.length
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ')
}

/** What has no majority: paths, then entries; and what the method noted. */
export function contestedText({ contested, files }: Pick<ReportView, 'contested' | 'files'>): string {
  const lines = [
    ...(contested.count === 0
      ? []
      : [`Contested, no more than half agree: ${listText(contested)}; what was there before stays.`]),
    ...files
      .filter((file) => file.contested.count > 0)
      .map((file) => `Contested in ${file.path}: ${listText(file.contested)}; what was there before stays.`),
    ...files.map(({ path, agreement }) => `${path}: ${agreementText(agreement, 'entry', 'entries')}`),
    ...files.flatMap(({ path, notes }) => [
      ...notes.slice(0, NAMES_SHOWN).map((note) => `${path}: ${note}`),
      ...(notes.length > NAMES_SHOWN
        ? [`${path}: and ${notes.length - NAMES_SHOWN} more notes; --json has them`]
        : []),
    ]),
  ]
  return lines.join('\n')
}

/** What this node did not sign, who said two things, and who was in the minority of a vote that came to nothing. */
function doubtsText(out: Output, { refusals, round, groups }: ReportView): string {
  const casts = new Map<string, number>()
  for (const { name } of round.ballots) casts.set(name, (casts.get(name) ?? 0) + 1)
  const twice = [...casts].filter(([, count]) => count > 1).map(([name]) => name)
  const results = new Map<string, string[]>()
  for (const { commit, name } of round.votes) {
    const result = commit ?? 'no majority'
    results.set(result, [...(results.get(result) ?? []), name])
  }
  const sorted = [...results].sort(([, a], [, b]) => b.length - a.length)
  const split = round.state === 'undecided' && sorted.length > 1
  const undecided = round.state === 'undecided' && groups.length > 1
  const minority = groups.filter(({ peers }) => peers.length < (groups[0]?.peers.length ?? 0))
  return [
    ...refusals.map((reason) => `${out.style('yellow', 'not signed here')}: ${reason}`),
    ...twice.map(
      (name) => `${out.style('red', 'two ballots')}: ${name} cast two different ones; none of them counts`,
    ),
    ...(split
      ? sorted.map(
          ([result, names]) => `${out.style('yellow', 'signed')}: ${names.join(', ')} for ${shortId(result)}`,
        )
      : []),
    ...(undecided ? [minorityText(minority)] : []),
  ].join('\n')
}

function minorityText(minority: ReportView['groups']): string {
  if (minority.length === 0) return 'No group of equal ballots is larger than the others.'
  return `In the minority: ${minority.flatMap(({ peers }) => peers.map(({ name }) => name)).join(', ')}`
}

function nextText({ round: { id, state, trigger, mine, dataset } }: ReportView): string {
  if (state === 'open' && trigger === 'hand' && mine.votes && !mine.cast) {
    return `"maoctl vote cast ${id} --candidate MEMBER" casts this node's ballot, once; --dry-run shows it first.`
  }
  return state === 'decided' ? `"maoctl dataset truth ${dataset}" shows what holds now.` : ''
}

/** What was cast, or would be. */
export function castBallotText(out: Output, { round, dryRun, ballot, files, chosen }: CastView): string {
  const head = dryRun
    ? `This would be the ballot in ${round}, with ${countText(files, 'file')}; nothing was cast.`
    : `The ballot in ${round} is cast, with ${countText(files, 'file')}, at commit ${shortId(ballot?.commit)}. It is cast once and stays.`
  const [base] = chosen.filter(({ change }) => change === 'base')
  const rows = chosen
    .filter(({ change }) => change !== 'base')
    .map(({ path, entry, member, change }) => [path, entry ?? '', member ?? '-', CHANGES[change]])
  const lines = [
    head,
    ...(base?.member === undefined ? [] : [`As ${base.member} has it${rows.length === 0 ? '.' : ', but:'}`]),
  ]
  return rows.length === 0
    ? lines.join('\n')
    : `${lines.join('\n')}\n${out.table(['file', 'entry', 'of', ''], rows)}`
}

const CHANGES: Readonly<Record<CastView['chosen'][number]['change'], string>> = {
  base: 'the rest',
  added: 'added',
  replaced: 'another version',
  removed: 'left out',
  same: 'the same anyhow',
}
