/** What the API shows of the node beyond its state: connections for operators, counts of work done for Prometheus. */

export interface PeerConnection {
  readonly peer: string
  /** Multiaddress of the other end. */
  readonly address: string
  /** When it was made, ms since the epoch. */
  readonly sinceMs: number
}

/** One write of the registry to the disk. */
export interface Flush {
  /** Writes that went together. */
  readonly works: number
  readonly durationMs: number
}

/** Counts since the start of the node. Whatever a node does not count is left out of its metrics. */
export interface Meters {
  /** Verdicts on records by code; those that were taken by `ACCEPTED`. */
  readonly verdicts?: ReadonlyMap<string, number>
  readonly catchUps?: {
    readonly done: number
    readonly failed: number
    readonly accepted: number
    readonly refused: number
  }
  /** Gossip messages by what became of them. */
  readonly gossip?: { readonly accept: number; readonly ignore: number; readonly reject: number }
  /** Calls of etcd clients by the name of etcd's status. */
  readonly etcdCalls?: ReadonlyMap<string, number>
  readonly watchers?: number
  /** Changes of keys that can still be watched. */
  readonly historyChanges?: number
  /** Hears of each write of the registry to the disk. @returns how to stop hearing. */
  onFlush?(heard: (flush: Flush) => void): () => void
}
