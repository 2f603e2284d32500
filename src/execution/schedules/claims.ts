/**
 * Which member runs a slot that is to be run once, or by so many, in the whole federation (protocols/schedules.md §4).
 * Members are ranked for each slot by rendezvous hashing (Thaler & Ravishankar, "Using name-based mappings to increase
 * hit rates", 1998): every node computes the same order from the same names, no member is always first, and one that
 * leaves moves nobody else. The first so many claim the slot; where one of them falls silent, the next in rank takes
 * its place. There is no lock in this: when members see different things a slot may be run once too often, which is
 * harmless, since the runs bear one identity and `counting` says which of them counts. It is never run by nobody as long
 * as somebody lives. Pure: nothing here waits, reads or writes.
 */
import { createHash } from 'node:crypto'
import { type Claim, isSettled, isVacated, type SlotName } from './claim.ts'

/** The peers in the order in which they are to run the slot. */
export function rankFor({ pipeline, slot }: SlotName, peers: Iterable<string>): string[] {
  const weighed = [...new Set(peers)].map((peer) => {
    const weight = createHash('sha256').update(`slot\n${pipeline}\n${slot}\n${peer}`).digest('hex')
    return { peer, weight }
  })
  weighed.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
  return weighed.map(({ peer }) => peer)
}

/** A claim, and when this node heard it (renewed) last, by its own clock: others' clocks say nothing about silence. */
export interface HeardClaim extends Pick<Claim, 'state' | 'end'> {
  readonly heardMs: number
}

export interface Situation {
  readonly slot: SlotName
  /** How many members are to run it. */
  readonly runners: number
  /** Since when it is to be run, ms: its time, or later where this node came late (`sinceFor`). */
  readonly sinceMs: number
  readonly takeOverMs: number
  /** The members that are there as far as this node knows. */
  readonly live: readonly string[]
  /** By peer. */
  readonly claims: ReadonlyMap<string, HeardClaim>
  readonly self: string
  /** Whether this node has a run for the slot. */
  readonly begun: boolean
  readonly nowMs: number
}

export type Decision =
  /** `heirs`: how many others could do it instead. */
  | { readonly act: 'run'; readonly heirs: number; readonly why: string }
  /** `untilMs` where time alone may change it. */
  | { readonly act: 'wait'; readonly untilMs?: number; readonly why: string }
  /** Its own claim stands and nothing was begun, and others do it. */
  | { readonly act: 'withdraw'; readonly why: string }
  /** There is nothing left to do for this node in this slot. */
  | { readonly act: 'nothing'; readonly why: string }

/** What `self` is to do about the slot now. */
export function decide(situation: Situation): Decision {
  const { runners, sinceMs, takeOverMs, claims, self, begun, nowMs } = situation
  const own = claims.get(self)
  if (own !== undefined && isSettled(own)) return { act: 'nothing', why: 'this node has run it' }
  if (own !== undefined && isVacated(own)) return { act: 'nothing', why: 'this node could not run it' }
  const { settled, working, vacantMs } = survey(situation)
  const missing = runners - settled - working.length
  if (begun) return { act: 'wait', why: 'this node is at work on it' }
  if (own !== undefined) {
    if (missing <= 0) return { act: 'withdraw', why: 'others run it meanwhile' }
    return { act: 'run', heirs: lineOf(situation).length, why: 'this node has claimed it' }
  }
  if (nowMs < sinceMs) return { act: 'wait', untilMs: sinceMs, why: 'it is not due' }
  if (missing <= 0) {
    if (working.length === 0) return { act: 'nothing', why: 'it has been run' }
    return { act: 'wait', untilMs: Math.min(...working), why: 'others are at work on it' }
  }
  const line = lineOf(situation)
  const place = line.indexOf(self)
  // The first in line act at once; each further one when the one before it has let its time pass.
  const turnMs = Math.max(sinceMs, vacantMs) + Math.max(0, place - missing + 1) * takeOverMs
  if (nowMs < turnMs) return { act: 'wait', untilMs: turnMs, why: `${place} members come before this one` }
  const why = place < missing ? 'it is its turn' : 'those before it were silent'
  return { act: 'run', heirs: line.length - 1, why }
}

/** The members that could claim the slot now, by rank. */
function lineOf({ slot, live, self, claims }: Situation): string[] {
  return rankFor(
    slot,
    [...live, self].filter((peer) => !claims.has(peer)),
  )
}

/** What the others' claims say: how many are settled, until when each of those at work is believed, when a place fell vacant. */
function survey({ claims, self, live, takeOverMs, nowMs }: Situation) {
  let [settled, vacantMs] = [0, 0]
  const working: number[] = []
  for (const [peer, claim] of claims) {
    if (peer === self) continue
    const untilMs = claim.heardMs + takeOverMs
    if (isSettled(claim)) settled += 1
    else if (isVacated(claim)) vacantMs = Math.max(vacantMs, claim.heardMs)
    else if (live.includes(peer) && nowMs < untilMs) working.push(untilMs)
    else vacantMs = Math.max(vacantMs, Math.min(untilMs, nowMs))
  }
  return { settled, working, vacantMs }
}

/**
 * Since when a slot is to be run as this node sees it. One that was looked at late (the node was off) first waits for
 * what the others have said of it meanwhile, instead of beginning what they have done.
 */
export function sinceFor(p: { dueMs: number; lookedMs: number; takeOverMs: number }): number {
  return p.lookedMs - p.dueMs > p.takeOverMs ? p.lookedMs + p.takeOverMs : p.dueMs
}

/**
 * Which of the claimants' runs count where more than the wanted number did a slot: of those that are done with this
 * identity, the first in rank. Whoever holds the same claims finds the same, in whatever order they came, and a doubled
 * run takes no other's place unless it ranks before it.
 */
export function counting(
  slot: SlotName,
  p: { runners: number; identity: string; claims: ReadonlyMap<string, Pick<Claim, 'state' | 'identity'>> },
): string[] {
  const done = [...p.claims].filter(([, claim]) => claim.state === 'done' && claim.identity === p.identity)
  return rankFor(
    slot,
    done.map(([peer]) => peer),
  ).slice(0, p.runners)
}
