import type { Libp2p, Stream } from '@libp2p/interface'
import { NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { gossipLookIntervalMs, gossipSilentLooksMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'

export interface GossipWatchParts {
  readonly libp2p: Pick<Libp2p, 'getConnections'>
  /** The peers that gossip counts as its own. */
  readonly gossiping: () => readonly string[]
  readonly hangUp: (peer: string) => void
  readonly log: Logger
}

/** Protocol ids of gossipsub, of all versions. */
const GOSSIP = '/meshsub/'

/** The streams of gossip with one peer. */
interface Ways {
  /** One that we can write to. */
  out: boolean
  /** One that gossip reads. */
  in: boolean
}

/**
 * Ends what broke of gossip. Gossipsub gives up the stream of a peer that sends it a message it cannot read, and one that
 * its peer does not read; but it neither resets the stream, so that what still comes on it piles up, nor ends the
 * connection, so that the two hear nothing from each other any more and do not know it. A new connection gossips again,
 * and begins with a catch-up.
 */
export class GossipWatch implements Startable {
  readonly #parts: GossipWatchParts
  /** Peers that gossip on the connection they have now, and whether they have opened a stream of their own. */
  readonly #begun = new Map<string, boolean>()
  /** Peers whose gossip should work and does not, and for how many looks. */
  #silent = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: GossipWatchParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#look(), gossipLookIntervalMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** With its connection all that was known of a peer's gossip is over. */
  disconnected(peer: string): void {
    this.#begun.delete(peer)
    this.#silent.delete(peer)
  }

  #look(): void {
    const { gossiping, hangUp, log } = this.#parts
    const works = this.#ways()
    const known = new Set(gossiping())
    const silent = new Map<string, number>()
    for (const [peer, now] of works) {
      const opened = now.in || this.#begun.get(peer) === true
      this.#begun.set(peer, opened)
      const speaks = known.has(peer) && now.out && now.in === opened
      if (!speaks) silent.set(peer, (this.#silent.get(peer) ?? 0) + 1)
    }
    this.#silent = silent
    for (const [peer, looks] of silent) {
      if (looks < gossipSilentLooksMax) continue
      log.warn({ peer }, 'the gossip with a peer broke, so the connection is ended')
      this.disconnected(peer)
      hangUp(peer)
    }
  }

  /** What there is of each peer that gossips, or did on this connection. Streams that were given up are reset. */
  #ways(): ReadonlyMap<string, Ways> {
    const ways = new Map<string, Ways>()
    for (const { remotePeer, streams } of this.#parts.libp2p.getConnections()) {
      const peer = remotePeer.toString()
      const open = streams.filter(({ protocol, status }) => protocol.startsWith(GOSSIP) && status === 'open')
      if (open.length === 0 && !this.#begun.has(peer)) continue
      const now = ways.get(peer) ?? { in: false, out: false }
      ways.set(peer, now)
      for (const stream of open) {
        if (stream.direction === 'outbound') now.out = true
        else if (stream.writeStatus === 'writable') now.in = true
        else this.#reset(stream, peer)
      }
    }
    return ways
  }

  /** Gossipsub closes its side of an inbound stream only when it reads it no further. */
  #reset(stream: Stream, peer: string): void {
    // The peer has opened one, so it is to have one that works.
    this.#begun.set(peer, true)
    stream.abort(new NodeError('STREAM_CLOSED', `The gossip of ${peer} cannot be read`))
  }
}
