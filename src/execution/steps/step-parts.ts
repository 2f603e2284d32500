/** What the stages of a step work with, and what they hand to each other. */
import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Monitor } from '../../monitoring/monitor.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Tool } from '../catalogue/tool.ts'
import type { ContainerEngine, EngineImage } from '../engines/engine.ts'
import type { Engines } from '../engines/engines.ts'
import type { Images } from '../images/images.ts'
import type { Inputs } from '../inputs/inputs.ts'
import type { RunLogs, StepLog } from '../logs/logs.ts'
import type { Publishers } from '../publishing/publishers.ts'
import type { Granted, Run, Stage, StagedSource, StepRun } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { SecretApprovals } from '../secrets/secret-approvals.ts'
import type { Secrets } from '../secrets/secrets.ts'
import type { ExecutionSettings } from '../settings.ts'
import type { Laid, Layout } from './layouts.ts'
import type { StagedDatasets, StagedStep, Staging, StepInput } from './staging.ts'

export type RunnerDatasets = StagedDatasets & Pick<Datasets, 'commitDirectory'>

export interface StepParts {
  readonly store: RunStore
  readonly engines: Engines
  readonly images: Pick<Images, 'obtain'>
  readonly staging: Staging
  readonly inputs: Pick<Inputs, 'check' | 'stage'>
  readonly publishers: Pick<Publishers, 'check' | 'publish'>
  readonly logs: Pick<RunLogs, 'open'>
  readonly secrets: Pick<Secrets, 'fill'>
  readonly approvals: Pick<SecretApprovals, 'check'>
  readonly datasets: RunnerDatasets
  /** @throws NodeError TOOL_NOT_FOUND */
  readonly toolOf: (tool: string) => Tool
  readonly monitor: Pick<Monitor, 'review'>
  readonly settings: ExecutionSettings
  /** Disk space that steps leave to the node. */
  readonly freeBytesMin: () => number
  readonly dockerSocketPath: string
  /** This member: its peer id labels the containers, its name ends its branches. */
  readonly self: () => { peer: string; name: string }
  readonly clock: Clock
  readonly log: Logger
}

/** The filter of a step, ready to run. */
export interface FilterWork {
  readonly step: PipelineStep
  readonly image: EngineImage
  readonly granted: Granted
  readonly user: string
  readonly secrets: ReadonlyMap<string, string>
}

/** A step that everything is there for: what `configure` hands to the stages that follow. */
export interface StepWork {
  readonly id: string
  readonly index: number
  readonly plan: PipelineStep
  readonly engine: ContainerEngine
  readonly image: EngineImage
  readonly granted: Granted
  readonly secrets: ReadonlyMap<string, string>
  readonly input: StepInput | undefined
  readonly inputs: readonly StagedSource[]
  readonly staged: StagedStep
  readonly layout: Layout
  readonly laid: Laid
  /** Where the tool writes logs of its own, where its layout has such a place. */
  readonly toolLogs: string | undefined
  readonly filter: FilterWork | undefined
  readonly branch: string
  /** Gives back what was staged; never throws. */
  release(): Promise<void>
}

/** @throws NodeError INTERNAL */
export function stepAt(run: Run, index: number): { plan: PipelineStep; step: StepRun } {
  const [plan, step] = [run.plan[index], run.steps[index]]
  if (plan !== undefined && step !== undefined) return { plan, step }
  throw new NodeError('INTERNAL', `Run ${run.id} has no step ${index}`)
}

/** Stores what `change` makes of a run, before it takes effect. */
export async function moveRun(
  store: RunStore,
  id: string,
  change: (run: Run, timeMs: number) => Run,
  clock: Clock,
): Promise<void> {
  await store.save(change(store.get(id), clock.now()))
}

/**
 * Does the work of a stage with its log open. A log that cannot be written changes nothing of how a step ends.
 *
 * @param work gets the log, and a way to say a line of the node's own in it.
 */
export async function withLog<T>(
  parts: Pick<StepParts, 'logs' | 'log'>,
  of: { id: string; step: string; stage: Stage; secrets: readonly string[] },
  work: (log: StepLog, say: (line: string) => void) => Promise<T>,
): Promise<T> {
  const { id: run, step, stage, secrets } = of
  const log = await parts.logs.open(run, step, stage, secrets)
  const unwritten = (error: unknown) => {
    parts.log.warn({ run, step, stage, error: messageOf(error) }, 'a log was not written')
  }
  const say = (line: string) => {
    log.say(line).catch(unwritten)
  }
  try {
    return await work(log, say)
  } finally {
    await log.close().catch(unwritten)
  }
}
