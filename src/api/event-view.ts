import { eventValueBytesMax } from '../base/limits.ts'
import type { NodeEvent } from '../node.ts'
import type { Change } from '../registry/watchers.ts'
import { readable } from './events.ts'

/** What the event stream tells of what happened on the node. */
export function eventView(event: NodeEvent): object {
  if (event.type === 'registry') return { type: event.type, ...changeView(event.change) }
  return event
}

/** A change is told with its value where that is small; what was there before, only its reader may still know. */
function changeView({ key, entry, revision }: Change): object {
  if (entry === undefined) return { key, deleted: true, revision }
  const { author, version, timeMs, contested, value } = entry
  const told = value.length <= eventValueBytesMax ? { value: readable(value) } : { valueBytes: value.length }
  return { key, deleted: false, revision, author, version, timeMs, contested, ...told }
}
