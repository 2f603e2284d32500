import { historyChangesMax } from '../base/limits.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import { keyView, valueView } from './registry-entries.ts'
import type { HistoryView, VersionView } from './registry-views.ts'

type Versions = Pick<KeyValueStore, 'get' | 'events' | 'revision' | 'compacted'>

/** Versions of one key that are kept, the newest `limit` of them; the oldest may be older than what is kept of others. */
export function historyView(
  keyValues: Versions,
  key: string,
  limit: number,
  timeOf: (revision: number) => number | undefined,
): HistoryView {
  const { revision, compacted } = keyValues
  const version = (type: 'put' | 'delete', kv: KeyEvent['kv']): VersionView => {
    const timeMs = timeOf(kv.modified)
    const time = timeMs === undefined ? {} : { timeMs }
    const held = type === 'put' ? { writes: kv.version, ...valueView(kv.value) } : {}
    return { revision: kv.modified, type, ...time, ...held }
  }
  // What is there at the last compaction stays, from whenever it is; all that came after it stands in the log.
  const first = compacted === 0 ? undefined : keyValues.get(key, compacted)
  const older = first !== undefined && first.modified < compacted ? [{ type: 'put', kv: first } as const] : []
  const changes = keyValues.events(compacted, historyChangesMax * 2).filter(({ kv }) => kv.key === key)
  const all = [...older, ...changes]
  const versions = all.slice(-limit).map(({ type, kv }) => version(type, kv))
  return { ...keyView(key), keptSince: compacted, revision, total: all.length, versions }
}
