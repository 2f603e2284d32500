/**
 * What a run is: one record that is stored whole at every transition. A run walks its steps one after another; its
 * state is that of the step at work, and it ends in exactly one of the end states. How it moves: run-machine.ts.
 */
import type { ErrorCode } from '../../base/errors.ts'
import type { Report } from '../../monitoring/report.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'

export type ActiveState = 'pulling' | 'staging' | 'running' | 'filtering' | 'committing'
export type EndState =
  | 'succeeded'
  /** The tool (or its filter) ended with an exit code other than 0, or made what a dataset cannot take. */
  | 'failed'
  | 'oom-killed'
  | 'timed-out'
  | 'cancelled'
  /** The node's policy refused it. */
  | 'rejected'
  /** The machinery failed (engine, network, disk), and went on failing when it was tried again. */
  | 'errored'
  | 'lost'
export type RunState = 'queued' | ActiveState | EndState

/**
 * Which state may follow which. A queued run outlives a crash, so it is never lost. A step that the machinery failed
 * goes back to the queue, as often as the bound allows.
 */
export const ALLOWED: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ['pulling', 'timed-out', 'cancelled', 'rejected', 'errored'],
  pulling: ['staging', 'queued', 'failed', 'timed-out', 'cancelled', 'rejected', 'errored', 'lost'],
  staging: ['running', 'queued', 'failed', 'timed-out', 'cancelled', 'rejected', 'errored', 'lost'],
  running: [
    'filtering',
    'committing',
    'queued',
    'failed',
    'oom-killed',
    'timed-out',
    'cancelled',
    'errored',
    'lost',
  ],
  filtering: ['committing', 'queued', 'failed', 'oom-killed', 'timed-out', 'cancelled', 'errored', 'lost'],
  // Back to pulling: the next step begins.
  committing: ['pulling', 'succeeded', 'failed', 'timed-out', 'cancelled', 'errored', 'lost'],
  succeeded: [],
  failed: [],
  'oom-killed': [],
  'timed-out': [],
  cancelled: [],
  rejected: [],
  errored: [],
  lost: [],
}

/** Why a run exists. `slot` is there where a schedule, or whoever asked, named the time that the results are for. */
export type Trigger =
  | { kind: 'request'; slot?: number }
  /** `identity`: what it stands for, whichever member runs it (schedules/run-identity.ts). */
  | { kind: 'schedule'; slot: number; identity?: string }
  | { kind: 'repeat'; of: string; slot?: number; identity?: string }
  /** The same digests, input commits and parameters as an earlier run, to compare what comes out. */
  | { kind: 'rerun'; of: string; slot?: number }
  /** Another member's, over the run protocol. */
  | { kind: 'remote'; by: string; request: string; slot?: number }

/** What a run takes of an engine's machine while it is at work: the most that any of its steps asks for. */
export interface Resources {
  cpus: number
  memoryBytes: number
  diskBytes: number
  /** How many devices. */
  gpus: number
}

/** What was set apart for a run on one engine. */
export interface Allocation extends Omit<Resources, 'gpus'> {
  engine: string
  /** The devices themselves, each for one run at a time. */
  gpus: string[]
}

/** One input of a step beside its dataset, as it was staged. */
export interface StagedSource {
  /** The name under which the tool found it. */
  name: string
  kind: 'dataset' | 'url' | 'pid' | 'text' | 'run'
  /** What the plan named: a URL, an identifier, `dataset@commit`, `run/step`. */
  source: string
  /** Where it came from in the end, after identifiers and redirects were followed. */
  resolved?: string
  /** Of a file. */
  sha256?: string
  bytes?: number
  /** Of a dataset or an earlier run's output. */
  commit?: string
  /** In which that commit lies. */
  dataset?: string
}

/** What one further input of a step was, when the step first ran. */
export interface InputPin {
  readonly name: string
  readonly commit?: string
  readonly sha256?: string
}

/** What one publisher made of a step's output. */
export interface Published {
  publisher: string
  kind: string
  /** Where it lies, for people and programs: a path, a URL, an `ipfs://…`. */
  address: string
  files: number
  bytes: number
  /** SHA-256 of the manifest that lists every file with its own. */
  manifestSha256: string
  expiresMs?: number
  /** When the sweep removed it. */
  removedMs?: number
}

/** The stages of a step, each with a log of its own (logs/stages.ts). */
export const STAGES = ['configure', 'algorithm', 'filter', 'publish'] as const
export type Stage = (typeof STAGES)[number]

/** What the box of a step allowed: everything beyond it was impossible. */
export interface Granted {
  network: 'none' | 'bridge' | 'host'
  /** Runs of earlier versions always had it so. */
  root?: 'read-only' | 'writable'
  /** Devices such as GPUs, as this machine names them. */
  devices?: string[]
  dockerSocket: boolean
  user: string
  memoryBytes: number
  cpus: number
  pids: number
  timeoutMs: number
  /** Runs of earlier versions had no limit. */
  outputBytes?: number
  /** Variables that this node's settings added or overrode. */
  environment: Record<string, string>
  /** Names of the variables that were filled with secrets. */
  secrets: string[]
}

/** A step waits as `queued` and is `skipped` when the run ends before its turn. */
export type StepState = RunState | 'skipped'

export interface StepRun {
  name: string
  tool: string
  state: StepState
  image?: string
  digest?: string
  exitCode?: number
  inputDataset?: string
  inputCommit?: string
  /** Where the input came from: the agreed state, what an earlier step of this very run made, or what the run names. */
  inputFrom?: 'ground-truth' | 'this-run' | 'named'
  outputDataset: string
  outputBranch?: string
  outputCommit?: string
  /** False when the tool left the branch as it was. */
  outputChanged?: boolean
  containerId?: string
  /** Which of the node's engines ran it. */
  engine?: string
  /** Times that it has been begun again after the machinery failed. */
  retries?: number
  inputs?: StagedSource[]
  published?: Published[]
  filter?: { tool: string; image: string; digest: string; exitCode?: number; containerId?: string }
  /** The run that did this step, where this one repeats it and need not do it again. */
  doneBy?: string
  granted?: Granted
  report?: Report
  startedMs?: number
  endedMs?: number
}

export interface Transition {
  state: RunState
  /** The step at work, where one is. */
  step?: string
  timeMs: number
  reason?: string
}

export interface Run {
  id: string
  pipeline: string
  trigger: Trigger
  state: RunState
  reason?: string
  code?: ErrorCode
  /** The pipeline's steps as they were when the run was submitted. */
  plan: PipelineStep[]
  /**
   * The time that names the results, ms since the epoch: the scheduled time that all members share, else when the run
   * was requested. A repetition keeps it.
   */
  slot: number
  steps: StepRun[]
  transitions: Transition[]
  createdMs: number
  endedMs?: number
  /** Who asked for it: `node` (its schedules and its own people) or a peer id. Absent: `node`. */
  owner?: string
  /** Peer id of another member that wrote its plan, or the schedule that began it. Absent: this node's own people did. */
  author?: string
  /** Higher goes first, -100 to 100. Absent: 0. */
  priority?: number
  /** In the queue it is left alone until then, ms since the epoch. */
  notBeforeMs?: number
  /** It waits no longer than until then; absent: as long as it takes. */
  waitUntilMs?: number
  /** From its first step to its end. Absent: the node's setting. */
  timeoutMs?: number
  /** What is set apart for it while it is at work. */
  allocation?: Allocation
  /** What a client called its request, so that asking twice makes one run. */
  requestKey?: string
  /** SHA-256 of what was asked under that key, so that another request under it is told from the same one. */
  requestDigest?: string
  /** Inputs are these commits instead of the ground truth: dataset → commit. */
  inputCommits?: Record<string, string>
  /** Images are these digests instead of what their tools name now: tool → digest. */
  imageDigests?: Record<string, string>
  /** Of a rerun: step → what its further inputs were, in their order. */
  inputPins?: Record<string, InputPin[]>
  /**
   * Of a rerun: step → the commit that its output begins from, null for nothing. Such a run commits beside all branches
   * and announces nothing.
   */
  bases?: Record<string, string | null>
}

export function isEnded(run: Pick<Run, 'state'>): boolean {
  return ALLOWED[run.state].length === 0
}

/** What a scheduled run stands for, whichever member runs it. */
export function identityOf({ trigger }: Pick<Run, 'trigger'>): string | undefined {
  return 'identity' in trigger ? trigger.identity : undefined
}

export function isAllowed(from: RunState, to: RunState): boolean {
  return ALLOWED[from].includes(to)
}
