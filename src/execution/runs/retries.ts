/**
 * Which failures are tried again. What a tool did, what a limit ended, what a person cancelled and what a policy refused
 * would be no better at a second look; only where the machinery around the tool failed (an engine that does not answer,
 * a peer that went away, a full disk) may waiting help. Pure.
 */
import type { ErrorCode } from '../../base/errors.ts'
import { retryDelayMaxMs } from '../../base/limits.ts'
import { type EndState, isAllowed, type Run } from './run.ts'
import { currentStep } from './run-machine.ts'

/** The machinery's failures, as they are thrown: the same code as the reason of a limit is no such failure. */
const INFRASTRUCTURE: ReadonlySet<ErrorCode> = new Set([
  'ENGINE_UNAVAILABLE',
  'PEER_UNREACHABLE',
  'STREAM_CLOSED',
  'NODE_UNREACHABLE',
  'REGISTRY_UNREACHABLE',
  'SOURCE_UNAVAILABLE',
  'UPSTREAM_FAILED',
  'POLICY_UNAVAILABLE',
  'PUBLISH_FAILED',
  'GIT_FAILED',
  'TIMED_OUT',
  'DISK_FULL',
])

/** Refusals of the node itself, as against failures of tools and machinery. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'FORBIDDEN',
  'IMAGE_MOVED',
  'IMAGE_FORBIDDEN',
  'DATASET_WITHHELD',
  'NO_PLACE',
  'NOT_FOUND',
  'RUN_NOT_FOUND',
  'COMMIT_NOT_FOUND',
  'TOOL_NOT_FOUND',
  'DATASET_NOT_FOUND',
  'PUBLISHER_NOT_FOUND',
])

export function isInfrastructure(code: ErrorCode): boolean {
  return INFRASTRUCTURE.has(code)
}

/** How a run ends for which no try is left, by the code of what was thrown. */
export function endStateOf(code: ErrorCode): EndState {
  // A defect of ours is no word on the tool either, but trying again would meet it again.
  if (isInfrastructure(code) || code === 'INTERNAL') return 'errored'
  return REFUSALS.has(code) ? 'rejected' : 'failed'
}

export interface RetryBounds {
  /** Times that one step is begun again. */
  readonly retriesMax: number
  /** The first wait; each further one is twice as long. */
  readonly retryDelayMs: number
}

/**
 * When a step is begun again after an error of this code; undefined when it is not.
 *
 * Truncated binary exponential back-off (IEEE 802.3, 4.2.3.2.5) without its chance: what waits here is one queue that
 * starts a bounded number of runs, and no crowd that would meet again.
 */
export function retryOf(
  p: { code: ErrorCode; retries: number; nowMs: number } & RetryBounds,
): { notBeforeMs: number } | undefined {
  if (!isInfrastructure(p.code) || p.retries >= p.retriesMax) return undefined
  return { notBeforeMs: p.nowMs + Math.min(p.retryDelayMs * 2 ** p.retries, retryDelayMaxMs) }
}

/**
 * The same asked of a run: a step whose commit may stand already is not begun again, nor is one that has not begun.
 */
export function retryOfRun(
  p: { run: Run; code: ErrorCode | undefined; nowMs: number } & RetryBounds,
): { notBeforeMs: number; retries: number } | undefined {
  const { run, code, nowMs, retriesMax, retryDelayMs } = p
  const step = run.steps[currentStep(run)]
  if (code === undefined || step === undefined || !isAllowed(run.state, 'queued')) return undefined
  if (step.state === 'skipped' || !isAllowed(step.state, 'queued')) return undefined
  const retries = step.retries ?? 0
  const retry = retryOf({ code, retries, nowMs, retriesMax, retryDelayMs })
  return retry === undefined ? undefined : { ...retry, retries: retries + 1 }
}
