/**
 * Whose turn it is: fair between owners, ordered by priority, and nobody waits for ever. Pure.
 *
 * Between owners the one that has had least goes first, by the dominant share of the machines (Ghodsi et al., "Dominant
 * Resource Fairness", NSDI 2011) that its runs took, times how long they took it, halved with every `usageHalfLifeMs`
 * (Kay and Lauder, "A Fair Share Scheduler", CACM 31(1), 1988): whoever had the machine all morning lets others go first
 * at noon, and is not made to pay for it next week.
 *
 * A higher priority goes before fairness. A priority above 0 counts against other owners only for the node's own people;
 * that of another member orders its own runs alone, or it would take everybody's turn by asking. A priority grows by one
 * with every `agingMs` of waiting, up to the highest that anybody asks for: there fairness and age decide.
 */
import { runStartShareMs, usageHalfLifeMs } from '../../base/limits.ts'
import type { Run } from '../runs/run.ts'

/** The owner of what this node's own people and schedules ask for. */
export const OWN = 'node'

/** What owners have had: dominant share times milliseconds, as it weighed at `atMs`. */
export type Usage = ReadonlyMap<string, { readonly amount: number; readonly atMs: number }>

export function ownerOf(run: Pick<Run, 'owner'>): string {
  return run.owner ?? OWN
}

/** What an owner has had, as it weighs now. */
export function usageAt(usage: Usage, owner: string, nowMs: number): number {
  const { amount, atMs } = usage.get(owner) ?? { amount: 0, atMs: nowMs }
  return amount * 0.5 ** (Math.max(0, nowMs - atMs) / usageHalfLifeMs)
}

/** A start costs its owner a moment however short the run, or a stream of short runs would cost nothing. */
export function costOf(share: number, tookMs: number): number {
  return share * Math.max(tookMs, runStartShareMs)
}

/** What owners have had after this too, which may lie before what was charged last. */
export function charged(usage: Usage, p: { owner: string; amount: number; nowMs: number }): Usage {
  const atMs = Math.max(p.nowMs, usage.get(p.owner)?.atMs ?? 0)
  const late = p.amount * 0.5 ** ((atMs - p.nowMs) / usageHalfLifeMs)
  return new Map(usage).set(p.owner, { amount: usageAt(usage, p.owner, atMs) + late, atMs })
}

export interface TurnsParts {
  /** Runs that may begin now, as far as time is concerned. */
  readonly waiting: readonly Run[]
  /** What each owner has had and has just now. */
  readonly usageOf: (owner: string) => number
  /** What one start of a run costs its owner. */
  readonly cost: (run: Run) => number
  readonly agingMs: number
  readonly nowMs: number
}

/** The runs in the order of their turns; the same for the same runs in whatever order they are given. */
export function inTurn({ waiting, usageOf, cost, agingMs, nowMs }: TurnsParts): Run[] {
  const highest = Math.max(...waiting.map(againstOthers))
  const agedBy = (run: Run) => Math.floor(Math.max(0, nowMs - run.createdMs) / agingMs)
  const lanes = [...Map.groupBy(waiting, ownerOf)].map(([owner, runs]) => {
    const highestOwn = Math.max(...runs.map(priorityOf))
    const own = (run: Run) => Math.min(highestOwn, priorityOf(run) + agedBy(run))
    const ordered = runs.toSorted((a, b) => own(b) - own(a) || byArrival(a, b))
    const urgency = (run: Run) => Math.min(highest, againstOthers(run) + agedBy(run))
    return { had: usageOf(owner), next: 0, heads: ordered.map((run) => ({ run, urgency: urgency(run) })) }
  })
  const turns: Run[] = []
  while (turns.length < waiting.length) {
    const left = lanes.filter(({ next, heads }) => next < heads.length)
    const lane = left.reduce((best, other) => (goesBefore(other, best) ? other : best))
    const { run } = headOf(lane)
    lane.next += 1
    lane.had += cost(run)
    turns.push(run)
  }
  return turns
}

interface Lane {
  had: number
  next: number
  readonly heads: readonly { readonly run: Run; readonly urgency: number }[]
}

function goesBefore(one: Lane, other: Lane): boolean {
  const [a, b] = [headOf(one), headOf(other)]
  return (b.urgency - a.urgency || one.had - other.had || byArrival(a.run, b.run)) < 0
}

function headOf({ heads, next }: Lane): { readonly run: Run; readonly urgency: number } {
  return heads[next] as { run: Run; urgency: number }
}

function priorityOf({ priority = 0 }: Run): number {
  return priority
}

function againstOthers(run: Run): number {
  return ownerOf(run) === OWN ? priorityOf(run) : Math.min(0, priorityOf(run))
}

/** Ids sort by time. */
export function byArrival(a: Pick<Run, 'id'>, b: Pick<Run, 'id'>): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
