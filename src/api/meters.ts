/** What the API shows of the node beyond its state: connections for operators, counts of work done for Prometheus. */
import type { Meters as RegistryMeters } from '../registry/meters.ts'

export type { Flush } from '../registry/writer.ts'

export interface PeerConnection {
  readonly peer: string
  /** Multiaddress of the other end. */
  readonly address: string
  /** When it was made, ms since the epoch. */
  readonly sinceMs: number
}

/** Counts since the start of the node. Whatever a node does not count is left out of its metrics. */
export type Meters = Partial<RegistryMeters> & {
  /** Calls of etcd clients by the name of etcd's status. */
  readonly etcdCalls?: ReadonlyMap<string, number>
}
