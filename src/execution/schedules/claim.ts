/** What a member says of a slot that it runs for the federation: the record `/claims/<pipeline>/<slot>/<peer>`. */
import { z } from 'zod'
import { claimLifeMaxMs, claimLifeMinMs, claimsKeptSlots } from '../../base/limits.ts'
import { isEnded, type Run } from '../runs/run.ts'
import type { Schedule } from './schedule.ts'
import { nextSlot } from './slots.ts'

/** How the work on a slot ended without a result. `skipped`: the run of an earlier slot was still at work. */
const failureSchema = z.enum([
  'failed',
  'oom-killed',
  'timed-out',
  'cancelled',
  'skipped',
  'rejected',
  'errored',
  'lost',
])
export type Failure = z.output<typeof failureSchema>

export const claimSchema = z.object({
  state: z.enum(['claimed', 'running', 'done', 'failed']),
  /** With `failed` alone. */
  end: failureSchema.optional(),
  /** The run on the claimant's node. */
  run: z.string().max(100).optional(),
  /** See run-identity.ts. */
  identity: z.string().max(100).optional(),
  /** When this was said, ms since the epoch, by the claimant's clock. */
  timeMs: z.int(),
})
export type Claim = z.output<typeof claimSchema>

export const claimsPrefix = '/claims/'

export interface SlotName {
  readonly pipeline: string
  readonly slot: number
}

/** What follows the prefix in the key of a claim. */
export function claimName({ pipeline, slot }: SlotName, peer: string): string {
  return `${pipeline}/${slot}/${peer}`
}

/** Undefined for a name that no claim of this program has. */
export function parseClaimName(name: string): (SlotName & { readonly peer: string }) | undefined {
  const [pipeline, slotText = '', peer, ...rest] = name.split('/')
  const slot = Number(slotText)
  if (pipeline === undefined || peer === undefined || rest.length > 0) return undefined
  // One slot has one name.
  return Number.isSafeInteger(slot) && String(slot) === slotText ? { pipeline, slot, peer } : undefined
}

/**
 * Ends that another member may do better: this one's machinery failed, or its policy refused. What a tool did by itself
 * it would do elsewhere too, and what a person cancelled is not to come back.
 */
const ELSEWHERE: ReadonlySet<Failure> = new Set(['rejected', 'errored', 'lost'])

/** Whether the claimant gave the slot back. */
export function isVacated({ state, end }: Pick<Claim, 'state' | 'end'>): boolean {
  return state === 'failed' && end !== undefined && ELSEWHERE.has(end)
}

/** Whether the slot has been run here, whatever came of it. */
export function isSettled(claim: Pick<Claim, 'state' | 'end'>): boolean {
  return claim.state === 'done' || (claim.state === 'failed' && !isVacated(claim))
}

/** What a claimant says of its run as it stands. Pure. */
export function claimOf(run: Run, identity: string, timeMs: number): Claim {
  const said = { run: run.id, identity, timeMs }
  if (!isEnded(run)) return { state: run.state === 'queued' ? 'claimed' : 'running', ...said }
  if (run.state === 'succeeded') return { state: 'done', ...said }
  return { state: 'failed', end: failureOf(run), ...said }
}

/** An image that is not to be had here, and a turn that never came, are this machine's failures and nobody else's. */
function failureOf(run: Run): Failure {
  const begun = run.steps.some(({ startedMs }) => startedMs !== undefined)
  const ownFault = run.code === 'IMAGE_NOT_FOUND' || (run.state === 'timed-out' && !begun)
  return ownFault ? 'errored' : failureSchema.parse(run.state)
}

/** How long a claim is kept, ms: as long as 200 slots take, an hour at least and a week at most. */
export function claimLifeMs(schedule: Schedule, slot: number): number {
  const gapMs = (nextSlot(schedule, slot) ?? Number.POSITIVE_INFINITY) - slot
  return Math.min(claimLifeMaxMs, Math.max(claimLifeMinMs, claimsKeptSlots * gapMs))
}
