/**
 * Strong mode (protocols/strong-mode.md): the records of the federation in a real etcd cluster, in place of gossip and
 * catch-up. A write of this node's own is stored here once the cluster has it; everything that the cluster has comes
 * by a watch, is judged like gossip, and is read from this node's memory.
 */
import type { Clock } from '../base/clock.ts'
import { systemClock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { clusterBackoffFirstMs, clusterBackoffLongestMs, clusterCatchUpTimeoutMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { delay } from '../base/wait.ts'
import type { Registry } from '../registry/registry.ts'
import type { ClusterAddress } from './cluster-address.ts'
import { ClusterEndpoint } from './cluster-client.ts'
import { ClusterFollower } from './cluster-follower.ts'
import { ClusterInbox } from './cluster-inbox.ts'
import { ClusterKeys } from './cluster-keys.ts'
import { ClusterProgress, type ClusterState } from './cluster-progress.ts'
import { ClusterUpkeep } from './cluster-upkeep.ts'
import { ClusterWrites } from './cluster-writes.ts'

export interface ClusterReplicationParts {
  readonly address: ClusterAddress
  readonly registry: Pick<Registry, 'federation' | 'receiveAll' | 'index' | 'confirmWith'>
  /** Peer id of this node. */
  readonly self: string
  readonly clock?: Clock
  readonly log: Logger
}

export class ClusterReplication implements Startable {
  readonly #parts: ClusterReplicationParts
  readonly #keys: ClusterKeys
  readonly #endpoints: readonly ClusterEndpoint[]
  readonly #inbox: ClusterInbox
  readonly #progress: ClusterProgress
  readonly #follower: ClusterFollower
  readonly #stopping = new AbortController()
  readonly #writes: ClusterWrites
  /** The endpoint that is being followed. */
  #current = 0
  #running: Promise<void> | undefined

  constructor(parts: ClusterReplicationParts) {
    this.#parts = parts
    const { address, registry, self, clock = systemClock, log } = parts
    const { index } = registry
    const { endpoints, ...way } = address
    this.#endpoints = endpoints.map((url) => new ClusterEndpoint(url, way))
    const keys = new ClusterKeys(registry.federation)
    const progress = new ClusterProgress(endpoints, clock)
    const inbox = new ClusterInbox({ registry, self, log })
    const upkeep = new ClusterUpkeep({ keys, inbox, index, clock })
    this.#keys = keys
    this.#inbox = inbox
    this.#progress = progress
    this.#follower = new ClusterFollower({ keys, inbox, progress, upkeep, index, log })
    const endpoint = (attempt: number) => this.#endpoint(attempt)
    this.#writes = new ClusterWrites({ keys, progress, index, endpoint, stopping: this.#stopping.signal })
  }

  /** Begins to follow the cluster, and goes on for ever; a cluster that is away keeps no node from starting. */
  async start(): Promise<void> {
    if (this.#running !== undefined) return
    const writes = this.#writes
    this.#parts.registry.confirmWith(
      (records) => writes.confirm(records),
      () => writes.settled(),
    )
    this.#running = this.#run(this.#stopping.signal)
  }

  /** From then on nothing is written any more; a node that stops does not start again. */
  async stop(): Promise<void> {
    const reason = new NodeError('CANCELLED', 'The node stops')
    this.#stopping.abort(reason)
    this.#progress.end(reason)
    await this.#running
    for (const endpoint of this.#endpoints) endpoint.close()
  }

  /**
   * Resolves when all that the cluster held at the time of the call is in the registry.
   *
   * @throws NodeError REGISTRY_UNREACHABLE when it does not come to that in time.
   */
  async catchUp(): Promise<void> {
    await this.#progress.reach(0, clusterCatchUpTimeoutMs)
    const latest = { sort_order: 'Descend', sort_target: 'Mod', limit: 1, keys_only: true } as const
    try {
      const { kvs } = await this.#endpoint(0).range({ ...this.#keys.below(), ...latest })
      await this.#progress.reach(Number(kvs[0]?.mod_revision ?? 0), clusterCatchUpTimeoutMs)
    } catch (error) {
      throw this.#progress.unreachable(error)
    }
  }

  /** Records that wait for their authors' sake may be good now. */
  membersChanged(): void {
    this.#inbox.lookAgain()
  }

  state(): ClusterState {
    return this.#progress.state()
  }

  #endpoint(attempt: number): ClusterEndpoint {
    const index = (this.#current + attempt) % this.#endpoints.length
    return this.#endpoints[index] as ClusterEndpoint
  }

  /** [F1] Endpoint after endpoint, with a pause that grows while none will do. */
  async #run(signal: AbortSignal): Promise<void> {
    const { log } = this.#parts
    let pauseMs = clusterBackoffFirstMs
    while (!signal.aborted) {
      const endpoint = this.#endpoint(0)
      let was = false
      try {
        await this.#follower.follow(endpoint, signal)
      } catch (error) {
        if (signal.aborted) return
        was = this.#progress.connected
        const first = was || this.#progress.state().lastError === undefined
        this.#progress.lose(error)
        const said = { endpoint: endpoint.url, error: messageOf(error) }
        log[first ? 'warn' : 'debug'](said, 'the etcd cluster is out of reach; trying again')
      }
      endpoint.close()
      this.#current = (this.#current + 1) % this.#endpoints.length
      if (was) pauseMs = clusterBackoffFirstMs
      // Members that lost the cluster at one moment do not come back at one moment.
      await delay(pauseMs * (0.5 + Math.random() / 2), signal).catch(() => undefined)
      pauseMs = Math.min(2 * pauseMs, clusterBackoffLongestMs)
    }
  }
}
