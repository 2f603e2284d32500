/**
 * The only place that knows how libp2p is set up. Rooms above ask for gossip, for direct streams and for who is
 * connected; which transports, muxers and discoveries carry that is decided here.
 */
import { join } from 'node:path'
import { bootstrap } from '@libp2p/bootstrap'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PeerId, ServiceMap } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  connectionsMax,
  dialTimeoutMs,
  streamReadBufferBytesMax,
  streamsPerPeerMax,
  streamWindowBytesMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Identity } from '../identity/node-key.ts'
import { type ByteStream, Libp2pByteStream } from './byte-stream.ts'
import { Conduct } from './conduct.ts'
import { type Gossip, gossipService, PubsubGossip } from './gossip.ts'
import { GossipWatch } from './gossip-watch.ts'

/** What rooms ask of the network for direct streams. */
export interface Streams {
  readonly peerId: string
  /** Serves a protocol; when `serve` fails the stream is cut. @returns how to stop serving. */
  handle(protocol: string, serve: (stream: ByteStream) => Promise<void>): Promise<() => Promise<void>>
  /** @throws NodeError PEER_UNREACHABLE */
  open(peer: string, protocol: string, signal?: AbortSignal): Promise<ByteStream>
  connectedPeers(): string[]
}

export interface NetworkParts {
  readonly identity: Identity
  readonly clock: Clock
  readonly log: Logger
  /** Where known peers and their addresses are remembered. */
  readonly directory: string
  /** Multiaddresses. */
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly bootstrap: readonly string[]
  /** Ignored on a node that listens on loopback alone: multicast would leave the machine. */
  readonly mdns: boolean
  readonly agentVersion: string
}

type Services = ServiceMap & { pubsub: GossipSub }

export class Network implements Streams, Startable {
  readonly #parts: NetworkParts
  readonly #log: Logger
  readonly #conduct = new Conduct()
  #libp2p: Libp2p<Services> | undefined
  #datastore: LevelDatastore | undefined
  #gossip: Gossip | undefined
  readonly #topics = new Set<string>()
  #watch: GossipWatch | undefined
  readonly #onConnect = new Set<(peer: string) => void>()

  constructor(parts: NetworkParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'network' })
  }

  get peerId(): string {
    return this.#parts.identity.peerId
  }

  get gossip(): Gossip {
    if (this.#gossip === undefined) throw new NodeError('INTERNAL', 'The network has not been started')
    return this.#gossip
  }

  /** @throws NodeError PORT_IN_USE, INVALID_CONFIG (an address that cannot be listened on). */
  async start(): Promise<void> {
    if (this.#libp2p !== undefined) return
    const { clock } = this.#parts
    const datastore = new LevelDatastore(join(this.#parts.directory, 'peers'))
    await datastore.open()
    let libp2p: Libp2p<Services> | undefined
    try {
      libp2p = await this.#create(datastore)
      await libp2p.start()
    } catch (cause) {
      await libp2p?.stop()
      await datastore.close()
      throw listenFailure(this.#parts.listen, cause)
    }
    this.#datastore = datastore
    this.#libp2p = libp2p
    const { pubsub } = libp2p.services
    const [conduct, topics, log] = [this.#conduct, this.#topics, this.#log]
    const hangUp = (peer: string) => this.#hangUpSoon(peer)
    this.#gossip = new PubsubGossip({ pubsub, conduct, clock, topics, hangUp, log })
    const gossiping = () => pubsub.getPeers().map(String)
    const watch = new GossipWatch({ libp2p, gossiping, hangUp, log })
    this.#watch = watch
    await watch.start()
    libp2p.addEventListener('peer:connect', (event) => this.#connected(event.detail))
    libp2p.addEventListener('peer:disconnect', (event) => {
      watch.disconnected(event.detail.toString())
      conduct.forget(event.detail.toString(), clock.now())
    })
    // libp2p 3 does not dial what it discovers.
    libp2p.addEventListener('peer:discovery', (event) => this.#dialFound(event.detail.id))
  }

  async stop(): Promise<void> {
    const [libp2p, datastore] = [this.#libp2p, this.#datastore]
    this.#libp2p = undefined
    this.#datastore = undefined
    this.#gossip = undefined
    await this.#watch?.stop()
    await libp2p?.stop()
    await datastore?.close()
  }

  /** The addresses by which others may reach this node, its peer id included. */
  addresses(): string[] {
    return this.#running().getMultiaddrs().map(String)
  }

  connectedPeers(): string[] {
    return this.#libp2p?.getPeers().map(String) ?? []
  }

  /** Every connection with the address of its other end and the time, ms, since when it stands. */
  connections(): { peer: string; address: string; sinceMs: number }[] {
    const connections = this.#libp2p?.getConnections() ?? []
    return connections.map(({ remotePeer, remoteAddr, timeline }) => {
      return { peer: remotePeer.toString(), address: remoteAddr.toString(), sinceMs: timeline.open }
    })
  }

  /** Hears of each peer that becomes connected. @returns how to stop hearing. */
  onConnect(connected: (peer: string) => void): () => void {
    this.#onConnect.add(connected)
    return () => this.#onConnect.delete(connected)
  }

  /**
   * Connects to the peer at one of `addresses`, which must end in its `/p2p/…` id.
   *
   * @returns its proven peer id. @throws NodeError PEER_UNREACHABLE
   */
  async dial(addresses: readonly string[], signal?: AbortSignal): Promise<string> {
    try {
      const targets = addresses.map(parseAddress)
      const deadline = AbortSignal.timeout(dialTimeoutMs)
      const connection = await this.#running().dial(targets, {
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      })
      return connection.remotePeer.toString()
    } catch (cause) {
      if (cause instanceof NodeError) throw cause
      const message = `Nobody answers at ${addresses.join(', ')}: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { addresses }, { cause })
    }
  }

  async handle(protocol: string, serve: (stream: ByteStream) => Promise<void>): Promise<() => Promise<void>> {
    const libp2p = this.#running()
    const handler = async (
      stream: Parameters<Parameters<Libp2p['handle']>[1]>[0],
      connection: Connection,
    ) => {
      const bytes = new Libp2pByteStream(stream, connection.remotePeer.toString())
      try {
        await serve(bytes)
      } catch (error) {
        this.#log.debug({ protocol, peer: bytes.peer, error: messageOf(error) }, 'a stream was cut')
        bytes.abort(error instanceof Error ? error : new Error(String(error)))
      }
    }
    await libp2p.handle(protocol, handler, {
      maxInboundStreams: streamsPerPeerMax,
      runOnLimitedConnection: true,
    })
    return () => libp2p.unhandle(protocol)
  }

  async open(peer: string, protocol: string, signal?: AbortSignal): Promise<ByteStream> {
    try {
      const deadline = AbortSignal.timeout(dialTimeoutMs)
      const stream = await this.#running().dialProtocol(peerIdFromString(peer), protocol, {
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        runOnLimitedConnection: true,
      })
      return new Libp2pByteStream(stream, peer)
    } catch (cause) {
      if (cause instanceof NodeError) throw cause
      const message = `${peer} does not answer on ${protocol}: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { peer, protocol }, { cause })
    }
  }

  /** Ends the connection to a peer, if there is one. */
  async hangUp(peer: string): Promise<void> {
    await this.#libp2p?.hangUp(peerIdFromString(peer))
  }

  #hangUpSoon(peer: string): void {
    this.hangUp(peer).catch((error: unknown) => {
      this.#log.debug({ peer, error: messageOf(error) }, 'a connection did not end well')
    })
  }

  #create(datastore: LevelDatastore): Promise<Libp2p<Services>> {
    const { identity, clock, listen, announce, bootstrap: list, agentVersion } = this.#parts
    const multicast = this.#parts.mdns && !listen.every(isLoopback)
    return createLibp2p<Services>({
      privateKey: identity.privateKey,
      nodeInfo: { userAgent: agentVersion },
      datastore,
      addresses: { listen: [...listen], announce: [...announce] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      // From the first byte on: a fast peer can fill the default bound before a stream's reader is attached.
      streamMuxers: [
        yamux({
          streamOptions: {
            maxReadBufferLength: streamReadBufferBytesMax,
            maxStreamWindowSize: streamWindowBytesMax,
          },
        }),
      ],
      peerDiscovery: [
        ...(list.length > 0 ? [bootstrap({ list: [...list], tagName: 'keep-alive-boot' })] : []),
        ...(multicast ? [mdns({ serviceTag: '_mao-node._udp.local' })] : []),
      ],
      connectionManager: {
        maxConnections: connectionsMax,
        dialTimeout: dialTimeoutMs,
        // A whole federation restarts at once after a power cut, often from behind one address.
        inboundConnectionThreshold: 50,
        maxIncomingPendingConnections: 50,
      },
      connectionGater: {
        // Inbound, who it is is proven only then.
        denyInboundEncryptedConnection: (peer) => this.#conduct.isBarred(peer.toString(), clock.now()),
        denyDialPeer: (peer) => this.#conduct.isBarred(peer.toString(), clock.now()),
      },
      connectionMonitor: { pingInterval: 5_000, pingTimeout: { minTimeout: 2_000, maxTimeout: 5_000 } },
      services: {
        identify: identify(),
        ping: ping(),
        pubsub: gossipService({ conduct: this.#conduct, clock, topics: this.#topics }),
      },
      start: false,
    })
  }

  #connected(peer: PeerId): void {
    for (const connected of this.#onConnect) connected(peer.toString())
  }

  #dialFound(peer: PeerId): void {
    if (this.connectedPeers().includes(peer.toString())) return
    // An event may still come while the network stops, and what a listener throws would end the process.
    this.#libp2p
      ?.dial(peer, { signal: AbortSignal.timeout(dialTimeoutMs) })
      // The first sighting may carry no address yet; the discovery reports again and the supervisor retries.
      .catch((error: unknown) => {
        this.#log.debug(
          { peer: peer.toString(), error: messageOf(error) },
          'a peer found is not reachable yet',
        )
      })
  }

  #running(): Libp2p<Services> {
    if (this.#libp2p === undefined) throw new NodeError('INTERNAL', 'The network is not running')
    return this.#libp2p
  }
}

/** True for a multiaddress that only this machine can reach. */
export function isLoopback(address: string): boolean {
  return /^\/(?:ip4\/127\.|ip6\/::1\/|dns4?\/localhost\/)/.test(address)
}

function parseAddress(address: string): Multiaddr {
  try {
    return multiaddr(address)
  } catch (cause) {
    const message = `"${address}" is no multiaddress; one looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…`
    throw new NodeError('INVALID_INPUT', message, { address }, { cause })
  }
}

function listenFailure(listen: readonly string[], cause: unknown): NodeError {
  const text = messageOf(cause)
  const addresses = listen.join(', ')
  if (text.includes('EADDRINUSE')) {
    const message = `Another program listens on ${addresses}; stop it, or choose another --listen address`
    return new NodeError('PORT_IN_USE', message, { listen }, { cause })
  }
  return new NodeError(
    'INVALID_CONFIG',
    `The node cannot listen on ${addresses}: ${text}`,
    { listen },
    { cause },
  )
}
