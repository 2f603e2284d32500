/** A run of ours at another member, as this node knows it. Pure: what the host says moves it on, within bounds. */
import { NodeError } from '../../base/errors.ts'
import { MINUTE_MS, remoteCancelWaitMs, remoteTransitionsMax } from '../../base/limits.ts'
import { printable, strangersWords } from '../../base/strangers-words.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Refusal } from './placement.ts'
import type { Followed, WireOutput, WireTransition } from './run-protocol.ts'
import type { RequestedTool } from './run-request.ts'

/** What this node does about it; what the run does is `runState`. */
export type RemoteState = 'requested' | 'placed' | 'following' | 'ended'

export interface RemoteEnd {
  /** As a run of this node would end; `lost` too where its host has forgotten it, `rejected` where nobody took it. */
  readonly state: string
  readonly code?: string
  readonly reason?: string
  readonly endedMs: number
  readonly outputs: readonly WireOutput[]
}

export interface RemoteRun {
  /** Begins with `r-`; hosts know the request by it. */
  readonly id: string
  readonly pipeline: string
  readonly steps: readonly PipelineStep[]
  readonly tools: Readonly<Record<string, RequestedTool>>
  readonly asked: { readonly where?: string; readonly on?: readonly string[]; readonly atData?: boolean }
  /** Asking again under it gives this run. */
  readonly requestKey?: string
  readonly state: RemoteState
  readonly createdMs: number
  /** Who is being asked to take it, since when; after a cut it may have it. */
  readonly asking?: { readonly peer: string; readonly name: string; readonly sinceMs: number }
  /** Who may have taken it without our hearing of it, and is told to end it. */
  readonly doubtful?: readonly string[]
  readonly refusals: readonly Refusal[]
  readonly host?: { readonly peer: string; readonly name: string }
  /** Its id at the host; a repetition after a crash of the host has another. */
  readonly hostRun?: string
  readonly runState?: string
  readonly position?: number
  readonly why?: string
  readonly transitions: readonly WireTransition[]
  readonly stepsDone: readonly {
    readonly name: string
    readonly state: string
    readonly digest?: string | undefined
    readonly exitCode?: number | undefined
  }[]
  /** Whether the host shows what the tools print. */
  readonly logs?: boolean
  /** Since when the host has not been reached, and why. */
  readonly lostContact?: { readonly sinceMs: number; readonly reason: string }
  readonly cancelRequestedMs?: number
  readonly end?: RemoteEnd
}

const ID_PREFIX = 'r-'

/** Whether an id is that of a remote run, as against one of this node's own. */
export function isRemoteId(id: string): boolean {
  return id.startsWith(ID_PREFIX)
}

export function remoteId(unique: string): string {
  return ID_PREFIX + unique
}

/** Takes a word of the host that is not about the log. @throws NodeError TOO_LARGE, INVALID_INPUT: it is no honest one. */
export function heard(run: RemoteRun, word: Exclude<Followed, { kind: 'log' | 'alive' }>): RemoteRun {
  const { lostContact: _again, ...known } = run
  if (word.kind === 'end') {
    const { state, code, reason, endedMs } = word
    const names = new Set(run.steps.map(({ name }) => name))
    return {
      ...known,
      state: 'ended',
      hostRun: word.run,
      runState: state,
      end: {
        ...{ state, endedMs },
        ...(code === undefined ? {} : { code }),
        ...(reason === undefined ? {} : { reason: strangersWords(reason) }),
        outputs: word.outputs.filter(({ step }) => names.has(step)),
      },
    }
  }
  if (word.from !== run.transitions.length) {
    throw new NodeError(
      'INVALID_INPUT',
      `The host tells transitions from ${word.from}, and ${run.transitions.length} are known`,
    )
  }
  const transitions = [...run.transitions, ...word.transitions.map(readable)]
  if (transitions.length > remoteTransitionsMax) {
    throw new NodeError('TOO_LARGE', `A run has at most ${remoteTransitionsMax} transitions`)
  }
  const { position: _before, why: _why, ...rest } = known
  return {
    ...rest,
    state: 'following',
    hostRun: word.run,
    runState: word.state,
    transitions,
    stepsDone: word.steps,
    logs: word.logs,
    ...(word.position === undefined ? {} : { position: word.position }),
    ...(word.why === undefined ? {} : { why: strangersWords(word.why) }),
  }
}

function readable({ reason, ...transition }: WireTransition): WireTransition {
  return reason === undefined ? transition : { ...transition, reason: strangersWords(reason) }
}

/** The host is not reached: what it does meanwhile is not known, and nothing else is said. */
export function contactLost(run: RemoteRun, p: { timeMs: number; reason: string }): RemoteRun {
  if (run.state === 'ended') return run
  const sinceMs = run.lostContact?.sinceMs ?? p.timeMs
  return { ...run, state: 'placed', lostContact: { sinceMs, reason: printable(p.reason).slice(0, 500) } }
}

/** Why nothing more is to be heard of a run: its host is no member any more, or a cancel has had no effect for long. */
export function whyLost(
  { host, cancelRequestedMs }: Pick<RemoteRun, 'host' | 'cancelRequestedMs'>,
  p: { isMember: (peer: string) => boolean; nowMs: number },
): { code: 'NOT_A_MEMBER' | 'TIMED_OUT'; reason: string } | undefined {
  if (host === undefined) return undefined
  if (!p.isMember(host.peer)) {
    const reason = `${host.name} is no member any more; what became of the run there is not known`
    return { code: 'NOT_A_MEMBER', reason }
  }
  if (cancelRequestedMs === undefined || p.nowMs < cancelRequestedMs + remoteCancelWaitMs) return undefined
  const minutes = Math.round(remoteCancelWaitMs / MINUTE_MS)
  const reason = `cancelled, and ${host.name} has not said for ${minutes} minutes that it has ended; it may go on there`
  return { code: 'TIMED_OUT', reason }
}

export function endedHere(
  run: RemoteRun,
  end: { state: string; code?: string; reason: string; timeMs: number },
): RemoteRun {
  const { asking: _asking, lostContact: _lost, ...rest } = run
  const { state, reason, timeMs: endedMs } = end
  const code = end.code === undefined ? {} : { code: end.code }
  return { ...rest, state: 'ended', end: { ...{ state, reason, endedMs }, ...code, outputs: [] } }
}
