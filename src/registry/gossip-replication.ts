import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import type { Gossip } from '../network/gossip.ts'
import type { Registry } from './registry.ts'

/** [G1] The topic of a federation (protocols/registry-gossip.md §2). */
export function registryTopic(federation: string): string {
  return `/mao/registry/1/${federation}`
}

export interface GossipReplicationParts {
  readonly registry: Pick<Registry, 'federation' | 'receive' | 'onLocal'>
  readonly gossip: Gossip
  /** Hears of a peer whose messages come faster than they are judged: what it has is better pulled. */
  readonly overlooked?: (peer: string) => void
  readonly log: Logger
}

/**
 * Gossip for the registry: publishes each record that this node writes, judges each that arrives. A message is one
 * sealed envelope and nothing else.
 */
export class GossipReplication implements Startable {
  readonly #parts: GossipReplicationParts
  #stop: (() => void)[] = []

  constructor(parts: GossipReplicationParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#stop.length > 0) return
    const { registry, gossip, overlooked, log } = this.#parts
    const topic = registryTopic(registry.federation)
    const judge = async (bytes: Uint8Array, from: string) => {
      const verdict = await registry.receive(bytes)
      if (verdict.action === 'reject') {
        log.warn({ from, code: verdict.code, reason: verdict.reason }, 'a record was rejected')
      } else if (verdict.action === 'ignore') {
        log.debug({ from, code: verdict.code }, 'a record was ignored')
      }
      return verdict.action
    }
    const leave = gossip.join(topic, judge, overlooked)
    this.#stop = [registry.onLocal((envelope) => this.publish(envelope)), leave]
  }

  /** Gossips a record that is in the registry. */
  publish(envelope: Uint8Array): void {
    const { registry, gossip, log } = this.#parts
    gossip.publish(registryTopic(registry.federation), envelope).catch((error: unknown) => {
      log.debug({ error: messageOf(error) }, 'a record was not gossiped; peers get it by catch-up')
    })
  }

  async stop(): Promise<void> {
    for (const stop of this.#stop.splice(0)) stop()
  }
}
