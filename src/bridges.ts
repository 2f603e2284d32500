/** What one room asks of another that it may not know: small adapters that the composition root hands over. */
import { takeOverMaxMs, takeOverMinMs } from './base/limits.ts'
import { type ProvenWorkParts, workersOf } from './consensus/proven-work.ts'
import type { RunSource } from './consensus/scheduled-outputs.ts'
import type { Execution } from './execution/execution.ts'
import { isEnded } from './execution/runs/run.ts'
import type { Sharing, SharingQuestion, WorkSharing } from './execution/schedules/shared-work.ts'
import { nextSlot } from './execution/schedules/slots.ts'

/** Runs as consensus looks at them: whose results go into a round, the schedule says. */
export function scheduledRuns(execution: Execution): RunSource {
  return {
    runs: () => execution.runs(),
    onRun: (heard) => execution.onRun(heard),
    roundOf: (pipeline) => execution.schedules.get(pipeline)?.value.round,
    isSlot: ({ dataset, step, slot }) =>
      execution.schedules.list().some(({ value: schedule }) => {
        const steps = execution.pipelines.get(schedule.pipeline)?.value.steps ?? []
        const writes = steps.some(({ name, output_dataset: of }) => name === step && of === dataset)
        return writes && schedule.round !== undefined && nextSlot(schedule, slot - 1) === slot
      }),
  }
}

/** Schedules ask which slots need not be run by everybody; they fire before there is somebody who knows. */
export class ProvenWork implements WorkSharing {
  #parts: ProvenWorkParts | undefined

  connect(parts: ProvenWorkParts): void {
    this.#parts = parts
  }

  async of({ outputs, slot, windowMs }: SharingQuestion): Promise<Sharing> {
    if (this.#parts === undefined) return 'unknown'
    const rounds = outputs.map((output) => ({ ...output, slot }))
    const work = await workersOf(rounds, this.#parts)
    if (typeof work === 'string') return work
    // A result is handed in within the round's window or not at all.
    return { ...work, takeOverMs: Math.min(Math.max(windowMs, takeOverMinMs), takeOverMaxMs) }
  }
}

/** A run that is at work with a dataset, for people. */
export function runOn(execution: Execution, dataset: string): string | undefined {
  const atWork = execution.runs().find((run) => {
    if (run.state === 'queued' || isEnded(run)) return false
    return run.steps.some((step) => step.inputDataset === dataset || step.outputDataset === dataset)
  })
  return atWork === undefined ? undefined : `run ${atWork.id}`
}
