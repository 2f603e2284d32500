import type { Change, Entry } from '../registry/watchers.ts'
import { DELETE_EVENT, type Event, type KeyValue, PUT_EVENT } from './types.ts'

interface Revisions {
  readonly created: number
  readonly modified: number
}

/**
 * The registry's entries as etcd's key-values. The registry does not keep since which revision a key has been there, so
 * it is followed here from the start of the surface on: for a key that was there before, it is the revision that the
 * key showed then.
 */
export class ShownKeys {
  readonly #revisions = new Map<string, Revisions>()

  /** Begins with what is shown now. */
  reset(entries: readonly Entry[]): void {
    this.#revisions.clear()
    for (const { key, revision } of entries) {
      this.#revisions.set(key, { created: revision, modified: revision })
    }
  }

  /** Follows a change and gives it as etcd's event. */
  follow(change: Change): Event {
    const { key, entry, previous, revision } = change
    const prev_kv = previous === undefined ? undefined : this.keyValue(previous)
    if (entry === undefined) {
      this.#revisions.delete(key)
      const kv = { key: Buffer.from(key, 'latin1'), mod_revision: String(revision) }
      return { type: DELETE_EVENT, kv, prev_kv }
    }
    const created = this.#revisions.get(key)?.created ?? revision
    this.#revisions.set(key, { created, modified: revision })
    return { type: PUT_EVENT, kv: this.keyValue(entry), prev_kv }
  }

  keyValue(entry: Entry): KeyValue {
    const { created, modified } = this.#revisions.get(entry.key) ?? {
      created: entry.revision,
      modified: entry.revision,
    }
    return {
      key: Buffer.from(entry.key, 'latin1'),
      create_revision: String(created),
      mod_revision: String(modified),
      version: String(entry.version),
      value: entry.value,
      lease: '0',
    }
  }
}
