/** What the ways in which a step can end come to: one truthful end state with its reason. Pure. */
import { constants } from 'node:os'
import { type ErrorCode, isNodeError, messageOf, type NodeError } from '../../base/errors.ts'
import type { ContainerEnd } from '../engines/engine.ts'
import { STOPPED } from '../queue/queue.ts'
import { isInfrastructure } from '../runs/retries.ts'
import { type EndState, isAllowed, type Run } from '../runs/run.ts'
import type { StepPatch } from '../runs/run-machine.ts'
import type { FoundSecret } from '../secrets/secret-search.ts'

/** How a run ends other than well. */
export interface Outcome {
  readonly state: EndState
  readonly reason: string
  readonly code?: ErrorCode
  /** What became known of the step at work with it. */
  readonly patch?: StepPatch
}

/** How a container ended: by itself, or at a limit of its box. */
export type ContainerOutcome =
  | { state: 'succeeded' }
  | { state: 'failed' | 'oom-killed' | 'timed-out'; reason: string; code?: ErrorCode; exitCode?: number }
export type ContainerFailure = Exclude<ContainerOutcome, { state: 'succeeded' }>

/** A shell reports death by signal n as exit code 128 + n, and so does Docker. */
const SIGNAL_BASE = 128

/**
 * How the end of a container is told. A tool of which a process fell to the memory limit may have gone on without it
 * and even ended with 0, but what it wrote may lack a part, so that is an end by memory too.
 */
export function outcomeOf({ exitCode, oomKilled }: ContainerEnd): ContainerOutcome {
  if (oomKilled) {
    const gone = exitCode === 0 ? ', though the tool carried on without it' : ''
    const reason = `a process of the tool reached the memory limit and was killed${gone}`
    return { state: 'oom-killed', reason, exitCode }
  }
  if (exitCode === 0) return { state: 'succeeded' }
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNAL_BASE)
  const by = signal === undefined ? '' : ` (${signal[0]})`
  return { state: 'failed', reason: `the tool ended with exit code ${exitCode}${by}`, exitCode }
}

/** The end of a step whose tool did not do its work. */
export function endOfTool({ state, reason, code, exitCode }: ContainerFailure): Outcome {
  const patch = exitCode === undefined ? {} : { exitCode }
  return { state, reason, patch, ...(code === undefined ? {} : { code }) }
}

/** The end of a step whose tool did its work, and whose filter did not: the output stays where nobody sees it. */
export function endOfFilter(filter: string, failure: ContainerFailure, patch: StepPatch): Outcome {
  const { state, code } = failure
  const reason = `the filter ${filter} withheld the output, of which nothing was committed: ${failure.reason}`
  return { state, reason, patch, ...(code === undefined ? {} : { code }) }
}

/** What a filter that could not be run to its end comes to; undefined where trying again may help. */
export function failureOf(error: unknown): ContainerFailure | undefined {
  if (!isNodeError(error) || isInfrastructure(error.code) || error.code === 'STORE_FAILED') return undefined
  return { state: 'failed', reason: messageOf(error), code: error.code }
}

/**
 * The end at a limit that is measured from outside.
 *
 * @throws NodeError DISK_FULL as it is: whatever filled the disk, waiting may help, and it is no word on the tool.
 */
export function endOfLimit(limit: NodeError): ContainerFailure {
  const { code, message: reason } = limit
  if (isInfrastructure(code)) throw limit
  return { state: 'failed', reason, code }
}

export function endOfLeak({ place, variable }: FoundSecret): Outcome {
  const reason = `${place} holds the secret ${variable}; an output goes to all members, so nothing of it was committed`
  return { state: 'failed', reason, code: 'FORBIDDEN', patch: { exitCode: 0 } }
}

/** The end of a run whose signal aborted: at its deadline, at a stop of the node, or by a person. */
export function endOfAbort({ reason: why }: AbortSignal): Outcome {
  if (why === STOPPED) return { state: 'lost', reason: 'the node was stopped in the middle of the run' }
  if (isNodeError(why, 'TIMED_OUT')) return { state: 'timed-out', reason: why.message, code: why.code }
  return { state: 'cancelled', reason: 'cancelled on request', code: 'CANCELLED' }
}

/** A refusal that comes too late to be one is a failure, and what fails before it began was refused. */
export function nearestEnd(run: Pick<Run, 'state'>, wanted: EndState): EndState {
  if (isAllowed(run.state, wanted)) return wanted
  return isAllowed(run.state, 'failed') ? 'failed' : 'rejected'
}
