/**
 * What a round is about, for people: which ballots are alike, where they differ, how far they agree beyond chance, and
 * what the method found. Pure; the same ballots give the same report everywhere.
 */
import { reportFilesMax, reportPathsMax } from '../base/limits-consensus.ts'
import type { EntryDifferences, EntryList } from './methods/file-merge.ts'
import type { Ballot } from './records.ts'
import { type Agreement, AgreementTally } from './statistics/agreement.ts'
import { type Count, departures, type MergeReport, type Tally } from './tally.ts'
import type { NamedPeer, RoundView } from './views.ts'

/** Ballots that hold the same files, whatever their commits are. */
export interface BallotGroup {
  readonly tree: string
  readonly peers: readonly NamedPeer[]
}

export interface MemberReport extends NamedPeer {
  /** What it cast; null when none of it is counted. */
  readonly commit: string | null
  readonly agrees: boolean
  /** In how many files and entries its ballot departs from what was agreed. */
  readonly departures: number
  readonly missing: EntryList
  readonly extra: EntryList
  readonly different: EntryList
  readonly entries: readonly (EntryDifferences & { readonly path: string })[]
}

/** A file that was agreed on entry by entry. */
export interface FileReport {
  readonly path: string
  /** Why the file is contested as a whole. */
  readonly whole?: string
  readonly contested: EntryList
  readonly agreement: Agreement
  readonly notes: readonly string[]
}

export interface RoundReport {
  readonly round: RoundView
  /** Nothing is closed yet: these are the ballots that are here so far. */
  readonly provisional: boolean
  /** Why there is nothing more to say at present. */
  readonly unavailable?: string
  /** Largest first. */
  readonly groups: readonly BallotGroup[]
  /** Paths without a majority. */
  readonly contested: EntryList
  /** Every member of the electorate; empty when the commits are not all here. */
  readonly members: readonly MemberReport[]
  /** Over whole files: each path is a unit, its content or its absence a rating. */
  readonly agreement?: Agreement
  readonly files: readonly FileReport[]
}

/** What is kept of a counting; none of its files. */
export type Findings = Pick<RoundReport, 'contested' | 'agreement' | 'files'> & {
  readonly members: ReadonlyMap<string, Omit<MemberReport, 'peer' | 'name' | 'commit'>>
}

export function findingsOf(count: Count, tally: Tally): Findings {
  const members = [...tally.members].map(([peer, found]) => {
    const number = departures(found)
    const { missing, extra, different, entries = {} } = found
    const report = {
      agrees: number === 0,
      departures: number,
      missing: listOf(missing),
      extra: listOf(extra),
      different: listOf(different),
      entries: Object.entries(entries)
        .slice(0, reportFilesMax)
        .map(([path, each]) => ({ path, ...each })),
    }
    return [peer, report] as const
  })
  return {
    contested: listOf(tally.contested),
    agreement: agreementOf(count),
    files: [...tally.merges].slice(0, reportFilesMax).map(fileReport),
    members: new Map(members),
  }
}

export interface ReportParts {
  readonly round: RoundView
  readonly provisional: boolean
  readonly ballots: ReadonlyMap<string, Ballot>
  /** A sentence where they cannot be had now. */
  readonly findings: Findings | string
}

export function reportOf({ round, provisional, ballots, findings }: ReportParts): RoundReport {
  const nameOf = new Map(round.electorate.map(({ peer, name }) => [peer, name]))
  const named = (peer: string): NamedPeer => ({ peer, name: nameOf.get(peer) ?? peer })
  const shape = { round, provisional, groups: groupsOf(ballots, named) }
  if (typeof findings === 'string') {
    return { ...shape, unavailable: findings, contested: listOf([]), members: [], files: [] }
  }
  const members = round.electorate.map(({ peer, name }) => {
    const found = findings.members.get(peer) ?? NOTHING
    return { peer, name, commit: ballots.get(peer)?.commit ?? null, ...found }
  })
  return { ...shape, ...findings, members }
}

function groupsOf(
  ballots: ReadonlyMap<string, Ballot>,
  named: (peer: string) => NamedPeer,
): readonly BallotGroup[] {
  const groups = new Map<string, NamedPeer[]>()
  for (const [peer, { tree }] of ballots) groups.set(tree, [...(groups.get(tree) ?? []), named(peer)])
  return [...groups]
    .map(([tree, peers]) => ({ tree, peers }))
    .sort((a, b) => b.peers.length - a.peers.length || (a.tree < b.tree ? -1 : 1))
}

function agreementOf({ held, verdicts }: Count): Agreement {
  const tally = new AgreementTally({ level: 'nominal', raters: held.size })
  for (const path of verdicts.keys()) {
    tally.add(
      [...held.values()].map((files) => {
        const file = files.get(path)
        return file === undefined ? '' : `${file.mode} ${file.oid}`
      }),
    )
  }
  return tally.result()
}

function fileReport([path, { whole, contested, agreement, notes }]: readonly [
  string,
  MergeReport,
]): FileReport {
  return { path, ...(whole !== undefined && { whole }), contested, agreement, notes }
}

function listOf(paths: readonly string[]): EntryList {
  return { count: paths.length, first: paths.slice(0, reportPathsMax) }
}

const NOTHING = {
  agrees: false,
  departures: 0,
  missing: listOf([]),
  extra: listOf([]),
  different: listOf([]),
  entries: [],
} as const
