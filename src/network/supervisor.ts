import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { dialsPerRoundMax, supervisorIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'

/** A peer that we want to be connected to, with every address it was last known by. */
export interface Wanted {
  readonly peer: string
  readonly addresses: readonly string[]
}

/** The peers that `addresses` name, each with its addresses; those that name none are left out. Pure. */
export function wantedFrom(addresses: readonly string[]): Wanted[] {
  const peers = new Map<string, string[]>()
  for (const address of addresses) {
    const peer = /\/p2p\/([A-Za-z0-9]+)$/.exec(address)?.[1]
    if (peer !== undefined) peers.set(peer, [...(peers.get(peer) ?? []), address])
  }
  return [...peers].map(([peer, known]) => ({ peer, addresses: known }))
}

/** Those of `wanted` that are not connected, all of whom are to be dialled. Pure. */
export function missingOf(wanted: readonly Wanted[], connected: readonly string[]): Missing {
  const missing = wanted.filter(({ peer }) => !connected.includes(peer))
  return { missing, most: missing.length }
}

/** Who is missing, and how many of those to dial at most. */
export interface Missing {
  readonly missing: readonly Wanted[]
  readonly most: number
}

export interface SupervisorParts {
  readonly network: { reach(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<void> }
  /** Asked anew each round. */
  readonly wanted: () => Missing
  readonly log: Logger
}

/**
 * Keeps the federation connected: every few seconds it dials the wanted peers without a connection. libp2p's own
 * reconnect queue gives a peer up after some tries, so that a long partition would never heal.
 */
export class Supervisor implements Startable {
  readonly #parts: SupervisorParts
  #timer: NodeJS.Timeout | undefined
  #stopping = new AbortController()
  #round: Promise<void> | undefined
  #next = 0

  constructor(parts: SupervisorParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#stopping = new AbortController()
    this.#timer = setInterval(() => this.look(), supervisorIntervalMs)
    this.#timer.unref()
    this.look()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#stopping.abort()
    await this.#round
  }

  /** Starts a round now unless one is under way. */
  look(): void {
    this.#round ??= this.#dialMissing().finally(() => {
      this.#round = undefined
    })
  }

  async #dialMissing(): Promise<void> {
    const { network, wanted, log } = this.#parts
    const { signal } = this.#stopping
    if (signal.aborted) return
    const { missing, most } = wanted()
    // Turn by turn, so that many unreachable peers do not keep us from the reachable ones.
    if (this.#next >= missing.length) this.#next = 0
    const chosen = missing.slice(this.#next, this.#next + Math.min(most, dialsPerRoundMax))
    this.#next += chosen.length
    await Promise.all(
      chosen.map(({ peer, addresses }) =>
        network.reach(peer, addresses, signal).catch((error: unknown) => {
          log.debug({ peer, error: messageOf(error) }, 'a member is not reachable')
        }),
      ),
    )
  }
}
