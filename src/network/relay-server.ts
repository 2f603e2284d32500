/**
 * The part of a relay (network.md R1–R6): members keep a place here and are reached through it. A relayed connection has no
 * limits of its own, since members copy datasets over it; what is bounded is who may have one and how many there are.
 * A stranger may reach a member that has a place, since that is how a newcomer with an invitation gets to an operator
 * behind a router, but only a few at once, briefly, and with little to say.
 */
import { circuitRelayServer, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection, Stream } from '@libp2p/interface'
import { NodeError } from '../base/errors.ts'
import {
  relayedMax,
  relayedPerPeerMax,
  relayedPerStrangerMax,
  relayedStrangerBytesMax,
  relayedStrangerMs,
  relayedStrangersMax,
  relayPlaceLifeMs,
  relayPlacesMax,
} from '../base/limits.ts'

type Components = Parameters<ReturnType<typeof circuitRelayServer>>[0]
type Server = ReturnType<ReturnType<typeof circuitRelayServer>> & {
  start(): Promise<void>
  stop(): Promise<void>
}

export interface RelayRules {
  /** Who may have a place here. */
  relaysFor(peer: string): boolean
}

export class RelayServer {
  readonly #components: Components
  readonly #rules: RelayRules
  /** Streams of those whom we have connected; one that its peer opened besides counts with it. */
  readonly #joined = new WeakSet<Stream>()
  readonly #watched = new WeakSet<Stream>()
  #server: Server | undefined

  constructor(components: Components, rules: RelayRules) {
    this.#components = components
    this.#rules = rules
  }

  /** Begins or ends to relay; peers are told of it by identify. */
  async serve(on: boolean): Promise<void> {
    if (on === (this.#server !== undefined)) return
    if (!on) {
      const server = this.#server
      this.#server = undefined
      await server?.stop()
      return
    }
    const server = circuitRelayServer({
      maxInboundHopStreams: relayedPerPeerMax,
      maxOutboundStopStreams: relayedMax,
      reservations: {
        maxReservations: relayPlacesMax,
        reservationTtl: relayPlaceLifeMs,
        applyDefaultLimit: false,
      },
    })(this.#components) as Server
    this.#server = server
    await server.start()
  }

  get serves(): boolean {
    return this.#server !== undefined
  }

  /** Peers that have a place here. */
  places(): string[] {
    return [...(this.#server?.reservations.keys() ?? [])].map(String)
  }

  /** Ends the places of those who may have none any more. */
  revoke(): void {
    for (const peer of this.#server?.reservations.keys() ?? [])
      if (!this.#rules.relaysFor(peer.toString())) this.#server?.reservations.delete(peer)
  }

  /** Whether `source` may be connected through us to `destination` now; a stranger is watched from then on. */
  connects(source: string, destination: string): boolean {
    if (!this.#rules.relaysFor(destination)) return false
    const open = this.#relayed()
    // Who opens streams and asks for nothing takes nobody's place.
    const relayed = open.filter(({ stream }) => this.#joined.has(stream))
    const own = open.filter(({ peer }) => peer === source)
    if (relayed.length >= relayedMax) return false
    const join = () => {
      for (const { stream } of own) this.#joined.add(stream)
      return true
    }
    // The stream that asks is among them.
    if (this.#rules.relaysFor(source)) return own.length <= relayedPerPeerMax && join()
    const strangers = relayed.filter(({ peer }) => !this.#rules.relaysFor(peer))
    if (own.length > relayedPerStrangerMax || strangers.length >= relayedStrangersMax) return false
    join()
    for (const { stream } of own) this.#watch(stream, source)
    return true
  }

  /** Streams by which others have themselves connected: each stays open for as long as its connection. */
  #relayed(): { peer: string; stream: Stream }[] {
    const connections: Connection[] = this.#components.connectionManager.getConnections()
    return connections.flatMap(({ remotePeer, streams }) =>
      streams
        .filter((s) => s.protocol === RELAY_V2_HOP_CODEC && s.direction === 'inbound' && s.status === 'open')
        .map((stream) => ({ peer: remotePeer.toString(), stream })),
    )
  }

  /** [R6] Cuts a stranger's connection when it lasts too long or says too much; one who was admitted stays. */
  #watch(stream: Stream, peer: string): void {
    if (this.#watched.has(stream)) return
    this.#watched.add(stream)
    let bytes = 0
    const cutUnlessMember = (words: string) => {
      if (!this.#rules.relaysFor(peer)) stream.abort(new NodeError('STREAM_CLOSED', words))
    }
    countBytes(stream, (count) => {
      bytes += count
      if (bytes > relayedStrangerBytesMax)
        cutUnlessMember('A stranger may not say or hear so much through a relay')
    })
    const end = setTimeout(
      () => cutUnlessMember('A stranger may not stay so long on a relay'),
      relayedStrangerMs,
    )
    end.unref()
    stream.addEventListener('close', () => clearTimeout(end))
  }
}

/**
 * Hears how many bytes go through, both ways: who has a place serves a stranger no more than the stranger may say. Not by the event of a message: while anybody listens to that, what comes before the two
 * ends are joined counts as heard and is lost. The method is the one that every muxer of libp2p hands its data to.
 */
function countBytes(stream: Stream, counted: (bytes: number) => void): void {
  const muxed = stream as Stream & { onData(data: { byteLength: number }): void }
  const onData = muxed.onData.bind(stream)
  muxed.onData = (data) => {
    counted(data.byteLength)
    onData(data)
  }
  const send = stream.send.bind(stream)
  stream.send = (data) => {
    counted(data.byteLength)
    return send(data)
  }
}
