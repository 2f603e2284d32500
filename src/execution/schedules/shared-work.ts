/**
 * Slots that every member would run, where the result of one that is proven is enough (protocols/reliability.md §5): the
 * first of these runs it, the next one takes over when it is silent, and when that happened too often, or none of them is
 * there, everybody does. As with claims.ts there is no lock in this: when members see different things, a slot is run
 * once too often, which is harmless. Pure.
 */
import { provenInLineMax } from '../../base/limits-statistics.ts'
import type { SlotName } from './claim.ts'
import type { Decision, HeardClaim } from './claims.ts'

/** Whose result of a slot is enough. */
export interface SharedWork {
  /** In the order in which they take over from each other. */
  readonly workers: readonly string[]
  /** One that is silent for so long is taken over from. */
  readonly takeOverMs: number
  /** Whether the member has handed its result in. */
  readonly handedIn: (peer: string) => boolean
}

/** `unknown`: what it follows from is not here yet. */
export type Sharing = SharedWork | 'everybody' | 'unknown'

export interface SharingQuestion extends SlotName {
  /** What a run of the slot makes. */
  readonly outputs: readonly { readonly dataset: string; readonly step: string }[]
  /** How long the round on the results takes ballots. */
  readonly windowMs: number
}

/** Says who is to run a slot; handed in by whoever knows what results were worth. */
export interface WorkSharing {
  of(question: SharingQuestion): Promise<Sharing>
}

export interface SharedSituation {
  readonly work: SharedWork
  /** Since when the slot is to be run, ms. */
  readonly sinceMs: number
  /** Until when whoever says that it is at work is believed, ms: nobody keeps a slot for itself for good. */
  readonly patienceMs: number
  /** The members that are there as far as this node knows. */
  readonly live: readonly string[]
  /** By peer. */
  readonly claims: ReadonlyMap<string, HeardClaim>
  readonly self: string
  /** Whether this node has a run for the slot. */
  readonly begun: boolean
  readonly nowMs: number
}

/** What `self` is to do about a slot that proven members run for all. */
export function decideShared(situation: SharedSituation): Decision {
  const { work, sinceMs, live, claims, self, begun, nowMs } = situation
  const own = claims.get(self)
  if (own?.state === 'done' || own?.state === 'failed') return { act: 'nothing', why: 'this node has run it' }
  if (begun) return { act: 'wait', why: 'this node is at work on it' }
  const workers = work.workers.slice(0, provenInLineMax)
  if (workers.some((peer) => work.handedIn(peer))) return { act: 'nothing', why: 'its result is handed in' }
  const { working, vacantMs } = survey(situation, workers)
  if (nowMs < sinceMs) return { act: 'wait', untilMs: sinceMs, why: 'it is not due' }
  if (own === undefined && working.length > 0) {
    return { act: 'wait', untilMs: Math.min(...working), why: 'another member is at work on it' }
  }
  const line = workers.filter((peer) => !claims.has(peer) && (peer === self || live.includes(peer)))
  const place = line.indexOf(self)
  // Behind the last one in line everybody else acts at once.
  const turnMs = Math.max(sinceMs, vacantMs) + (place < 0 ? line.length : place) * work.takeOverMs
  if (own === undefined && nowMs < turnMs) {
    return { act: 'wait', untilMs: turnMs, why: 'proven members come before this one' }
  }
  const heirs = live.filter((peer) => peer !== self).length
  return { act: 'run', heirs, why: place === 0 ? 'it is its turn' : 'those before it were silent' }
}

/**
 * Until when those at work are believed, and when the last one fell silent. Whatever ended without a result that was
 * handed in leaves the slot to the next one: nobody else would run it.
 */
function survey(
  { claims, self, live, work, patienceMs, nowMs }: SharedSituation,
  workers: readonly string[],
) {
  let vacantMs = 0
  const working: number[] = []
  for (const peer of workers) {
    const claim = claims.get(peer)
    if (claim === undefined || peer === self) continue
    const silentMs = claim.state === 'failed' ? claim.heardMs : claim.heardMs + work.takeOverMs
    const untilMs = Math.min(silentMs, patienceMs)
    // What is done is still to be handed in, whether its author is there or not.
    const believed = claim.state === 'done' || live.includes(peer)
    if (believed && nowMs < untilMs) working.push(untilMs)
    else vacantMs = Math.max(vacantMs, Math.min(untilMs, nowMs))
  }
  return { working, vacantMs }
}
