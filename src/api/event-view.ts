import { eventValueBytesMax } from '../base/limits.ts'
import type { Run } from '../execution/runs/run.ts'
import type { NodeEvent } from '../node.ts'
import type { Change } from '../registry/watchers.ts'
import { isContested } from './contested.ts'
import { readable } from './events.ts'

/** What the event stream tells of what happened on the node. */
export function eventView(event: NodeEvent): object {
  switch (event.type) {
    case 'registry':
      return { type: event.type, ...changeView(event.change) }
    case 'run':
      return { type: event.type, ...runView(event.run) }
    default:
      return event
  }
}

/** Where the run is now; all else of it is there to be read. */
function runView({ id, pipeline, trigger, state, reason, transitions }: Run): object {
  const last = transitions.at(-1)
  const step = last?.step === undefined ? {} : { step: last.step }
  const why = reason === undefined ? {} : { reason }
  return { id, pipeline, trigger, state, ...step, ...why, timeMs: last?.timeMs }
}

/** A change is told with its value where that is small; what was there before, only its reader may still know. */
function changeView({ key, entry, revision }: Change): object {
  if (entry === undefined) return { key, deleted: true, revision }
  const { author, version, timeMs, value } = entry
  const contested = isContested(entry)
  const told = value.length <= eventValueBytesMax ? { value: readable(value) } : { valueBytes: value.length }
  return { key, deleted: false, revision, author, version, timeMs, contested, ...told }
}
