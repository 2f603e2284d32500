/**
 * The changes of keys as server-sent events. Nothing is queued for a reader: he is given what the history holds at the
 * place that he has come to, so that a slow one costs no memory, and one who comes back goes on where he was. Each
 * event has the revision as its id, and all changes of one revision are one event.
 */
import { isNodeError } from '../base/errors.ts'
import { eventHeartbeatMs, watchChangesLookedAtMax } from '../base/limits.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import type { ChangeView } from './registry-views.ts'

export interface WatchParts {
  readonly keyValues: Pick<KeyValueStore, 'events' | 'onEvents' | 'revision' | 'compacted'>
  /** In the registry's form of keys. */
  readonly prefix: string
  /** The first revision to tell of. */
  readonly from: number
  readonly view: (event: KeyEvent) => ChangeView
  readonly signal: AbortSignal
  readonly heartbeatMs?: number
}

/**
 * - `open`: the watch is set up, `from` is the first revision that it tells of;
 * - `changes`: what one revision changed below the prefix;
 * - `progress`: nothing more up to that revision; also what says on a quiet stream that it lives;
 * - `compacted`: the reader was so slow that changes are gone which he has not been told. The last event.
 */
export async function* watchText(parts: WatchParts): AsyncGenerator<string> {
  const { keyValues, prefix, view, signal, heartbeatMs = eventHeartbeatMs } = parts
  let next = parts.from
  let wake: () => void = () => undefined
  const heard = () => wake()
  const deaf = keyValues.onEvents(heard)
  signal.addEventListener('abort', heard)
  try {
    const { revision, compacted: keptSince } = keyValues
    yield frame('open', next - 1, { revision, keptSince, from: next })
    let toldMs = performance.now()
    while (!signal.aborted) {
      const page = pageFrom(keyValues, next)
      if (page === undefined) {
        const { revision, compacted: keptSince } = keyValues
        yield frame('compacted', undefined, { revision, keptSince })
        return
      }
      next = page.next
      const text = revisionsIn(page.events, prefix)
        .map(([revision, events]) => frame('changes', revision, { revision, changes: events.map(view) }))
        .join('')
      const quietMs = performance.now() - toldMs
      if (text !== '' || quietMs >= heartbeatMs) {
        yield text === '' ? frame('progress', next - 1, { revision: next - 1 }) : text
        toldMs = performance.now()
      } else if (page.events.length > 0) {
        // Much that is none of the reader's business: others have their turn in between.
        await new Promise((resolve) => setImmediate(resolve))
      } else {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, heartbeatMs - quietMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    }
  } finally {
    deaf()
    signal.removeEventListener('abort', heard)
  }
}

/** Some changes from revision `from` on, of whole revisions, and where to go on; undefined when they are gone. */
function pageFrom(
  keyValues: Pick<KeyValueStore, 'events' | 'revision'>,
  from: number,
): { events: readonly KeyEvent[]; next: number } | undefined {
  try {
    for (let max = watchChangesLookedAtMax; ; max *= 2) {
      const events = keyValues.events(from, max)
      if (events.length < max) return { events, next: Math.max(from, keyValues.revision + 1) }
      // The last revision may have more changes than came.
      const cut = (events.at(-1) as KeyEvent).kv.modified
      const whole = events.filter(({ kv }) => kv.modified < cut)
      if (whole.length > 0) return { events: whole, next: cut }
    }
  } catch (error) {
    if (isNodeError(error, 'REVISION_COMPACTED')) return undefined
    throw error
  }
}

function revisionsIn(events: readonly KeyEvent[], prefix: string): [revision: number, events: KeyEvent[]][] {
  const revisions = new Map<number, KeyEvent[]>()
  for (const event of events) {
    if (!event.kv.key.startsWith(prefix)) continue
    const same = revisions.get(event.kv.modified)
    if (same === undefined) revisions.set(event.kv.modified, [event])
    else same.push(event)
  }
  return [...revisions]
}

function frame(type: string, id: number | undefined, data: object): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
