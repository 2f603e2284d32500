import type { QueuePlace } from '../execution/queue/queue.ts'
import type { Run } from '../execution/runs/run.ts'
import { type RunView, runSchema } from './run-views.ts'

/** The schema decides what is told of a run: of secrets, their names. */
export function runView(run: Run, place?: QueuePlace): RunView {
  const queue = place === undefined ? {} : { queue: { position: place.position, why: place.why } }
  return runSchema.parse({ ...run, ...queue })
}
