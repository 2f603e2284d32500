/** What runs take of an engine's machine, and how long at most. Pure. */
import { retryDelayMaxMs } from '../../base/limits.ts'
import type { EngineState } from '../engines/engines.ts'
import type { Allocation, Resources, Run } from '../runs/run.ts'

/** What a step takes that does not say it. */
export interface StepDefaults {
  readonly cpus: number
  readonly memoryBytes: number
  readonly timeoutMs: number
}

/** What is left of an engine's machine. */
export interface Free {
  cpus: number
  memoryBytes: number
  diskBytes: number
  gpus: string[]
}

export const DIMENSIONS = ['cpus', 'memoryBytes', 'diskBytes', 'gpus'] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** Sums of processors, such as ten times 0.1, are not exact. */
const CPU_GRAIN = 1e-6

/**
 * The most that any step to come asks for. A default is a limit and no wish, so that it shrinks to what the machine has:
 * a run that asks for nothing fits every machine. Disk and devices are set apart only for whoever asks for them.
 */
export function needOn(run: Pick<Run, 'plan' | 'steps'>, of: Capacity, defaults: StepDefaults): Resources {
  const need: Resources = { cpus: 0, memoryBytes: 0, diskBytes: 0, gpus: 0 }
  for (const [index, { resources }] of run.plan.entries()) {
    if (run.steps[index]?.state === 'succeeded') continue
    need.cpus = Math.max(need.cpus, resources?.cpus ?? Math.min(defaults.cpus, of.cpus))
    const memoryBytes = resources?.memoryBytes ?? Math.min(defaults.memoryBytes, of.memoryBytes)
    need.memoryBytes = Math.max(need.memoryBytes, memoryBytes)
    need.diskBytes = Math.max(need.diskBytes, resources?.diskBytes ?? 0)
    need.gpus = Math.max(need.gpus, resources?.gpus ?? 0)
  }
  return need
}

type Capacity = Pick<EngineState, 'cpus' | 'memoryBytes' | 'diskBytes' | 'gpus'>

/** What active runs leave of an engine. */
export function freeOf(engine: EngineState, active: readonly Pick<Run, 'allocation'>[]): Free {
  const { cpus, memoryBytes, diskBytes, gpus } = engine
  const free: Free = { cpus, memoryBytes, diskBytes, gpus: [...gpus] }
  for (const { allocation } of active) if (allocation?.engine === engine.id) take(free, allocation)
  return free
}

export function take(free: Free, allocation: Allocation): void {
  free.cpus -= allocation.cpus
  free.memoryBytes -= allocation.memoryBytes
  free.diskBytes -= allocation.diskBytes
  free.gpus = free.gpus.filter((device) => !allocation.gpus.includes(device))
}

/** What is missing for a need; empty where it fits. */
export function lacking(need: Resources, free: Resources): Dimension[] {
  return DIMENSIONS.filter((dimension) => need[dimension] > free[dimension] + CPU_GRAIN)
}

export function counted(free: Free): Resources {
  return { ...free, gpus: free.gpus.length }
}

/** The largest part that a need takes of what there is in all: its dominant share (Ghodsi et al., NSDI 2011, §4.1). */
export function dominantShare(need: Resources, total: Resources): number {
  const shares = DIMENSIONS.map((dimension) => {
    return total[dimension] > 0 ? need[dimension] / total[dimension] : need[dimension] > 0 ? 1 : 0
  })
  return Math.min(1, Math.max(...shares))
}

export function totalOf(engines: readonly EngineState[]): Resources {
  const total: Resources = { cpus: 0, memoryBytes: 0, diskBytes: 0, gpus: 0 }
  for (const { cpus, memoryBytes, diskBytes, gpus } of engines) {
    total.cpus += cpus
    total.memoryBytes += memoryBytes
    total.diskBytes += diskBytes
    total.gpus += gpus.length
  }
  return total
}

/** How long a run can take at most: its own limit, else those of its steps to come together. */
export function longestMs(run: Pick<Run, 'plan' | 'steps' | 'timeoutMs'>, defaults: StepDefaults): number {
  const left = run.plan.filter((_, index) => run.steps[index]?.state !== 'succeeded')
  const steps = left.reduce((sum, { timeoutMs }) => sum + (timeoutMs ?? defaults.timeoutMs), 0)
  return Math.min(run.timeoutMs ?? Number.POSITIVE_INFINITY, steps)
}

/** Whether some of its work has been done before, also where it waits to begin a step again. */
export function hasBegun(run: Pick<Run, 'transitions'>): boolean {
  return run.transitions.length > 1
}

/** Since when an active run is at work. */
export function begunMs(run: Pick<Run, 'transitions'>, nowMs: number): number {
  const lastQueued = run.transitions.findLastIndex(({ state }) => state === 'queued')
  return run.transitions[lastQueued + 1]?.timeMs ?? nowMs
}

/**
 * Until when a queued run is left alone, ms since the epoch; undefined when its time has come. A step is begun again
 * after `retryDelayMaxMs` at the latest: what lies farther ahead was said by a clock that has been set back since.
 */
export function heldUntilMs(
  run: Pick<Run, 'notBeforeMs' | 'transitions'>,
  nowMs: number,
): number | undefined {
  const { notBeforeMs = 0 } = run
  if (notBeforeMs <= nowMs) return undefined
  return hasBegun(run) && notBeforeMs - nowMs > retryDelayMaxMs ? undefined : notBeforeMs
}
