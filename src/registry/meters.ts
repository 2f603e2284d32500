import type { Gossip, TopicVerdict } from '../network/gossip.ts'
import type { Registry } from './registry.ts'
import type { Sync } from './sync.ts'
import type { SyncTotals } from './sync-ledger.ts'
import type { Flush } from './writer.ts'

/** Counts since the start, for those who watch over a node; each is as it is when it is read. */
export interface Meters {
  /** Records of peers by the code of their verdict. */
  readonly verdicts: ReadonlyMap<string, number>
  /** Gossip messages by what became of them. */
  readonly gossip: Readonly<Record<TopicVerdict, number>>
  /** Undefined where nothing is caught up between peers. */
  readonly catchUps: SyncTotals | undefined
  readonly watchers: number
  /** Changes of keys that can still be watched. */
  readonly historyChanges: number
  /** Hears of each write to the disk. @returns how to stop hearing. */
  onFlush(heard: (flush: Flush) => void): () => void
}

export function metersOf(registry: Registry, gossip: Gossip, sync: Sync | undefined): Meters {
  return {
    get verdicts() {
      return registry.verdicts
    },
    get gossip() {
      return gossip.counts
    },
    get catchUps() {
      return sync?.totals
    },
    get watchers() {
      return registry.watchers
    },
    get historyChanges() {
      return registry.keyValues.changes
    },
    onFlush: (heard) => registry.onFlush(heard),
  }
}
