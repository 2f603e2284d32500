/** Why a run waits, as sentences. Pure. */
import { runsNamedMax } from '../../base/limits.ts'
import type { EngineState } from '../engines/engines.ts'
import type { Resources, Run } from '../runs/run.ts'
import type { Kept } from './kept-place.ts'
import { type Dimension, lacking } from './needs.ts'

export function notYet(run: Pick<Run, 'notBeforeMs' | 'transitions'>): string {
  const at = timeText(run.notBeforeMs ?? 0)
  const { reason } = run.transitions.at(-1) ?? {}
  return reason === undefined ? `it is not to begin before ${at}` : `begins again at ${at} after: ${reason}`
}

export function branch(name: string, writer: string, isActive: boolean): string {
  return isActive
    ? `the branch of step ${name} is being written by run ${writer}`
    : `the branch of step ${name} is to be written first by run ${writer}, which waits before it`
}

export function turn(before: number, atWork: readonly Pick<Run, 'id'>[], concurrency: number): string {
  const place =
    before === 0 ? 'it is next' : `its turn comes after ${before} ${before === 1 ? 'other' : 'others'}`
  const runs = concurrency === 1 ? 'one run' : `${concurrency} runs`
  return `${place}: ${idsText(atWork)} ${atWork.length === 1 ? 'is' : 'are'} at work, and this node does ${runs} at once (setting execution.concurrency)`
}

export function ownerLimit(atWork: number): string {
  return `${atWork} ${atWork === 1 ? 'run of its owner is' : 'runs of its owner are'} at work, as many as this node does of one member at once`
}

export function noEngine(down: readonly EngineState[]): string {
  if (down.length === 0) return 'the container engines have not been looked at yet'
  const each = down.map(
    ({ id, problem }) => `the engine ${id} does not answer: ${problem ?? 'nothing is known of it'}`,
  )
  return each.join('; ')
}

export function never(need: Resources, engines: readonly EngineState[]): string {
  const parts = (['cpus', 'memoryBytes', 'diskBytes', 'gpus'] as const)
    .filter((dimension) => engines.every((engine) => amountOf(engine, dimension) < need[dimension]))
    .map((dimension) => {
      const most = Math.max(...engines.map((engine) => amountOf(engine, dimension)))
      return `${amountText(dimension, need[dimension])}, and the engines of this node have at most ${amountText(dimension, most)}`
    })
  if (parts.length > 0) return `it asks for ${parts.join('; and for ')}`
  return 'no engine of this node has all that it asks for together'
}

export function resources(p: {
  need: Resources
  free: Resources
  engine: EngineState
  atWork: readonly Run[]
}): string {
  const { need, free, engine } = p
  const there = p.atWork.filter(({ allocation }) => allocation?.engine === engine.id)
  const parts = lacking(need, free).map((dimension) => {
    const left = amountText(dimension, free[dimension])
    return `${amountText(dimension, need[dimension])}: ${left} of ${amountText(dimension, amountOf(engine, dimension))} free`
  })
  return `waits for ${parts.join(' and ')} on ${engine.id} while ${idsText(there)} ${there.length === 1 ? 'is' : 'are'} at work`
}

export function keptFor(kept: Kept): string {
  return `there is room for it now, but it would delay run ${kept.run}, for which ${kept.engine} is kept (at the latest from ${timeText(kept.atMs)})`
}

/** `2026-11-21T12:03:10Z`: these sentences are read in other places than where they are made. */
export function timeText(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`
}

function amountOf(engine: EngineState, dimension: Dimension): number {
  return dimension === 'gpus' ? engine.gpus.length : engine[dimension]
}

const GIB = 1024 ** 3
const MIB = 1024 ** 2

function amountText(dimension: Dimension, amount: number): string {
  const rounded = (value: number) => String(Math.max(0, Math.round(value * 10) / 10))
  if (dimension === 'cpus') return `${rounded(amount)} ${amount === 1 ? 'processor' : 'processors'}`
  if (dimension === 'gpus') return `${rounded(amount)} ${amount === 1 ? 'GPU' : 'GPUs'}`
  const what = dimension === 'memoryBytes' ? 'memory' : 'disk'
  return amount < GIB ? `${rounded(amount / MIB)} MiB of ${what}` : `${rounded(amount / GIB)} GiB of ${what}`
}

function idsText(runs: readonly Pick<Run, 'id'>[]): string {
  const ids = runs.slice(0, runsNamedMax).map(({ id }) => id)
  const rest = runs.length - ids.length
  const named = rest === 0 ? ids : [...ids, `${rest} more`]
  return `${runs.length === 1 ? 'run' : 'runs'} ${named.join(', ')}`
}
