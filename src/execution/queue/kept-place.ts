/** The place that is kept for the first run that does not fit (EASY backfilling; see allocator.ts). Pure. */
import type { EngineState } from '../engines/engines.ts'
import type { Resources, Run } from '../runs/run.ts'
import { begunMs, counted, DIMENSIONS, type Free, lacking, longestMs, type StepDefaults } from './needs.ts'

export interface Kept {
  readonly run: string
  readonly engine: string
  /** When it fits there at the latest, ms since the epoch. */
  readonly atMs: number
  /** What it leaves there to others at that time. */
  readonly spare: Resources
}

/** The engine where the run fits first, if all that is at work there takes as long as it may. */
export function keptPlace(p: {
  run: Run
  engines: readonly EngineState[]
  needOn: (engine: EngineState) => Resources
  free: ReadonlyMap<string, Free>
  atWork: readonly Run[]
  nowMs: number
  defaults: StepDefaults
}): Kept {
  const places = p.engines.map((engine): Kept => {
    const need = p.needOn(engine)
    const free = counted(p.free.get(engine.id) as Free)
    const ends = p.atWork
      .filter(({ allocation }) => allocation?.engine === engine.id)
      .map((run) => ({ run, atMs: begunMs(run, p.nowMs) + longestMs(run, p.defaults) }))
      .toSorted((a, b) => a.atMs - b.atMs)
    let atMs = p.nowMs
    for (const { run, atMs: endMs } of ends) {
      if (lacking(need, free).length === 0) break
      // One that is over its time ends any moment.
      atMs = Math.max(atMs, endMs)
      giveBack(free, run)
    }
    return { run: p.run.id, engine: engine.id, atMs, spare: minus(free, need) }
  })
  return places.reduce((first, place) => (place.atMs < first.atMs ? place : first))
}

/** Whether a run on the same engine leaves the place as it was. */
export function leavesIt(kept: Kept, need: Resources, endsByMs: number): boolean {
  return endsByMs <= kept.atMs || lacking(need, kept.spare).length === 0
}

/** The place after such a run has started. */
export function useOfKept(kept: Kept, need: Resources, endsByMs: number): Kept {
  return endsByMs <= kept.atMs ? kept : { ...kept, spare: minus(kept.spare, need) }
}

function giveBack(free: Resources, { allocation }: Run): void {
  if (allocation === undefined) return
  free.cpus += allocation.cpus
  free.memoryBytes += allocation.memoryBytes
  free.diskBytes += allocation.diskBytes
  free.gpus += allocation.gpus.length
}

function minus(from: Resources, what: Resources): Resources {
  const left = { ...from }
  for (const dimension of DIMENSIONS) left[dimension] -= what[dimension]
  return left
}
