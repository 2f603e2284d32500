import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { farewellGraceMs, farewellRestMs, farewellTimeoutMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { delay, withDeadline } from '../base/wait.ts'
import type { Network } from '../network/network.ts'
import type { Registry } from '../registry/registry.ts'
import type { Members } from './members.ts'
import { ask } from './questions.ts'

export interface FarewellParts {
  readonly federation: string
  readonly registry: Pick<Registry, 'envelope'>
  readonly members: Pick<Members, 'former' | 'onChange'>
  readonly network: Pick<Network, 'open' | 'hangUp' | 'connectedPeers' | 'onConnect' | 'regate'>
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Ends the connections of former members, everywhere (join.md §5): each is shown the operator's word first, so that it
 * knows why, and is not let in again for a while. One that comes back later has a moment to ask for a new admission.
 */
export class Farewell implements Startable {
  readonly #parts: FarewellParts
  /** Until when a former member is refused, ms. */
  readonly #away = new Map<string, number>()
  readonly #parting = new Set<string>()
  readonly #stopping = new AbortController()
  #stopWatching: (() => void)[] = []

  constructor(parts: FarewellParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#stopWatching.length > 0) return
    const { members, network } = this.#parts
    const part = (peer: string, graceMs: number) => void this.#part(peer, graceMs)
    const partAll = () => {
      for (const peer of network.connectedPeers()) part(peer, 0)
    }
    this.#stopWatching = [members.onChange(partAll), network.onConnect((peer) => part(peer, farewellGraceMs))]
    partAll()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the node leaves the federation'))
    for (const stop of this.#stopWatching.splice(0)) stop()
  }

  /** True for a former member that has been told. */
  refuses(peer: string): boolean {
    const until = this.#away.get(peer)
    if (until === undefined) return false
    if (until > this.#parts.clock.now() && this.#parts.members.former(peer) !== undefined) return true
    this.#away.delete(peer)
    return false
  }

  async #part(peer: string, graceMs: number): Promise<void> {
    const { members, network, clock, log } = this.#parts
    if (members.former(peer) === undefined || this.#parting.has(peer)) return
    this.#parting.add(peer)
    const { signal } = this.#stopping
    try {
      await this.#tell(peer)
      await delay(graceMs, signal)
      if (members.former(peer) === undefined) return
      this.#away.set(peer, clock.now() + farewellRestMs)
      network.regate()
      await network.hangUp(peer)
    } catch (error) {
      if (!signal.aborted) log.debug({ peer, error: messageOf(error) }, 'a connection did not end well')
    } finally {
      this.#parting.delete(peer)
    }
  }

  async #tell(peer: string): Promise<void> {
    const { federation, network, registry, log } = this.#parts
    const record = registry.envelope(`/members/${peer}`)
    if (record === undefined) return
    try {
      const told = ask(network, peer, { kind: 'ended', federation, record })
      await withDeadline(told, farewellTimeoutMs, 'The farewell')
    } catch (error) {
      // It may have left already, and then has nobody who listens.
      log.debug({ peer, error: messageOf(error) }, 'a former member was not told why')
    }
  }
}
