import { messageOf, NodeError } from '../base/errors.ts'
import { watchersMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'

/** What a key shows: the value of its first claim. */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  /** Peer id of the claim's author. */
  readonly author: string
  readonly version: number
  /** When it was written, ms, by the author's clock. */
  readonly timeMs: number
  /** When the author first claimed the key, ms, by the author's clock. */
  readonly sinceMs: number
  readonly expiresMs?: number
  /** This node's own counter of changes; other nodes count differently. */
  readonly revision: number
  /** More than one member claims this name. */
  readonly contested: boolean
  /** A tombstone comes before it: it was deleted, or counts for nothing. */
  readonly buried?: true
}

/** What a watcher is told: `entry` undefined means that the key shows nothing any more. */
export interface Change {
  readonly key: string
  readonly entry: Entry | undefined
  readonly previous: Entry | undefined
  readonly revision: number
}

export type OnChange = (change: Change) => void

/** Who wants to hear of which keys. */
export class Watchers {
  readonly #log: Logger
  readonly #watchers = new Set<{ prefix: string; onChange: OnChange }>()

  constructor(log: Logger) {
    this.#log = log
  }

  get size(): number {
    return this.#watchers.size
  }

  /** @throws NodeError QUEUE_FULL at `watchersMax`. @returns how to stop watching. */
  add(prefix: string, onChange: OnChange): () => void {
    if (this.#watchers.size >= watchersMax) {
      throw new NodeError('QUEUE_FULL', `This node has ${watchersMax} watchers already`)
    }
    const watcher = { prefix, onChange }
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  notify(change: Change): void {
    for (const { prefix, onChange } of this.#watchers) {
      if (!change.key.startsWith(prefix)) continue
      try {
        onChange(change)
      } catch (error) {
        // The change is committed: one watcher's defect must not keep it from the others.
        this.#log.error({ key: change.key, error: messageOf(error) }, 'a watcher failed')
      }
    }
  }
}
