/** Who speaks about a file, and with what weight: the versions of it, each told once however many ballots have it. */
import type { Frame } from './entry.ts'
import type { EntryDifferences, FileVersions } from './file-merge.ts'
import { Departures } from './first-names.ts'
import { wholeWeight } from './weights.ts'

export interface Version {
  readonly oid: string
  readonly isTruth: boolean
  /** Places in `Court.peers` of those who cast it. */
  readonly ballots: readonly number[]
  /** Of these together, in whole millionths. */
  readonly weight: number
  /** Set when it was read; undefined where it cannot be counted: then its ballots are as without the file. */
  frame: Frame | undefined
  /** Set when the frame was agreed on: whether this version's entries stand in it. */
  comparable: boolean
  readonly departures: Departures
}

export interface Voters {
  /** Sorted. */
  readonly peers: readonly string[]
  /** The truth's first, then by id. */
  readonly versions: readonly Version[]
  /** Of all counted ballots, those without the file too. */
  readonly total: number
}

/** Once it is agreed what stands around the entries. */
export interface Court extends Voters {
  readonly frame: Frame
  /** The weight of those whose version can be compared, and of those of another shape; what is in neither lacks the file. */
  readonly withFile: number
  readonly others: number
}

/** @param weights without them all weigh the same. */
export function votersOf(
  { parent, ballots }: FileVersions,
  weights: ReadonlyMap<string, number> | undefined,
): Voters {
  const peers = [...ballots.keys()].sort()
  const weighed = peers.map((peer) => wholeWeight(weights === undefined ? 1 : (weights.get(peer) ?? 1)))
  const ids = new Set([...ballots.values()].filter((oid) => oid !== undefined))
  if (parent !== undefined) ids.add(parent)
  const sorted = [...ids].sort((a, b) => Number(b === parent) - Number(a === parent) || (a < b ? -1 : 1))
  const versions = sorted.map((oid): Version => {
    const own = peers.flatMap((peer, i) => (ballots.get(peer) === oid ? [i] : []))
    return {
      oid,
      isTruth: oid === parent,
      ballots: own,
      weight: own.reduce((sum, i) => sum + (weighed[i] as number), 0),
      frame: undefined,
      comparable: false,
      departures: new Departures(),
    }
  })
  return { peers, versions, total: weighed.reduce((sum, weight) => sum + weight, 0) }
}

export function courtOf(voters: Voters, frame: Frame): Court {
  let withFile = 0
  let others = 0
  for (const version of voters.versions) {
    version.comparable = version.frame?.shape === frame.shape
    if (version.comparable) withFile += version.weight
    else if (version.frame !== undefined) others += version.weight
  }
  return { ...voters, frame, withFile, others }
}

/** Each member's departures; one without the file has none: it lacks the file, not its entries. */
export function departuresByMember({ peers, versions }: Voters): Map<string, EntryDifferences> {
  const lists = versions.map(({ departures }) => departures.list())
  const none = new Departures().list()
  return new Map(
    peers.map((peer, i) => {
      const version = versions.findIndex(({ ballots }) => ballots.includes(i))
      return [peer, lists[version] ?? none]
    }),
  )
}
