/**
 * The network as the rooms above see it: gossip, direct streams, and who is connected. How libp2p is set up is host.ts's
 * to know. Underneath the host may be exchanged for another one (`rekey`); what others hold of this object stays good.
 */
import { join } from 'node:path'
import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { rekeysWaitingMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Identity } from '../identity/node-key.ts'
import { BoundedDatastore } from './bounded-datastore.ts'
import { type ByteStream, Libp2pByteStream } from './byte-stream.ts'
import { Conduct } from './conduct.ts'
import { type AddressesOf, Dialler, within } from './dialler.ts'
import { FoundPeers } from './found-peers.ts'
import { type Gate, Gatekeeper, OPEN_GATE } from './gatekeeper.ts'
import { type Gossip, PubsubGossip } from './gossip.ts'
import { GossipWatch } from './gossip-watch.ts'
import { connectionsOf, type Host } from './host.ts'
import { hearAddresses, startHost, stopHost } from './host-start.ts'
import { sameKey } from './network-key.ts'
import { Reach } from './reach.ts'
import { isOutside, type Reachability } from './reachability.ts'
import { RelayClient } from './relay-client.ts'
import { findProviders } from './rendezvous.ts'
import { type Serve, Served } from './served.ts'
import { type NetworkSettings, networkSettingsSchema } from './settings.ts'
import { missingOf, Supervisor, type Wanted, wantedFrom } from './supervisor.ts'

import { Ways } from './ways.ts'

export { isLoopback } from './addresses.ts'

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
  /** Key of a private network, 32 bytes. */
  readonly networkKey?: Uint8Array
  readonly settings?: NetworkSettings
}

export class Network implements Streams, Startable {
  readonly #parts: NetworkParts
  readonly #log: Logger
  readonly #conduct = new Conduct()
  readonly #gatekeeper: Gatekeeper
  readonly #topics = new Set<string>()
  readonly #onConnect = new Set<(peer: string) => void>()
  readonly #onAddresses = new Set<() => void>()
  readonly #changes = new SerialQueue(rekeysWaitingMax)
  readonly #settings: NetworkSettings
  readonly #boot: Supervisor
  readonly #served: Served
  readonly #found: FoundPeers
  readonly #ways: Ways
  readonly #dialler = new Dialler(() => this.#ready())
  #networkKey: Uint8Array | undefined
  #listen: readonly string[]
  #datastore: BoundedDatastore | undefined
  #host: Host | undefined
  #watch: GossipWatch | undefined
  #reach: Reach | undefined
  #gossip: PubsubGossip | undefined
  /** While the host is exchanged: others see the same addresses as before. */
  #addresses: readonly string[] = []

  constructor(parts: NetworkParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'network' })
    this.#ways = new Ways(parts.listen, parts.announce)
    this.#ways.name(parts.bootstrap)
    this.#gatekeeper = new Gatekeeper({ conduct: this.#conduct, clock: parts.clock, ways: this.#ways })
    this.#networkKey = parts.networkKey
    this.#listen = parts.listen
    this.#settings = parts.settings ?? networkSettingsSchema.parse({})
    this.#served = new Served(this.#log)
    this.#found = new FoundPeers({ network: this, log: this.#log })
    const boot = wantedFrom(parts.bootstrap)
    const wanted = () => missingOf(boot, this.connectedPeers())
    this.#boot = new Supervisor({ network: this, wanted, log: this.#log })
  }

  get peerId(): string {
    return this.#parts.identity.peerId
  }

  get gossip(): Gossip {
    if (this.#gossip === undefined) throw new NodeError('INTERNAL', 'The network has not been started')
    return this.#gossip
  }

  /** @throws NodeError PORT_IN_USE, INVALID_CONFIG (an address that cannot be listened on). */
  start(): Promise<void> {
    return this.#changes.run(async () => {
      if (this.#datastore !== undefined) return
      const datastore = new BoundedDatastore(join(this.#parts.directory, 'peers'), this.#log)
      await datastore.open()
      try {
        await this.#startHost(datastore)
      } catch (cause) {
        await datastore.close()
        throw cause
      }
      this.#datastore = datastore
      await this.#boot.start()
    })
  }

  /** Stops what runs, and what is just starting as soon as it has started. */
  async stop(): Promise<void> {
    await this.#changes.idle()
    // Not in turn: a round of it may wait for a change to end.
    await this.#boot.stop()
    await this.#changes.run(async () => {
      const datastore = this.#datastore
      this.#datastore = undefined
      try {
        await this.#stopHost()
      } finally {
        this.#gossip = undefined
        await datastore?.close()
      }
    })
  }

  /** The key of the private network that this node is in. */
  get networkKey(): Uint8Array | undefined {
    return this.#networkKey
  }

  /**
   * Moves to the private network of this key, or to the open one without. Every connection ends, since those who have
   * another key understand nothing any more; handlers, topics and listeners stay, and so do the addresses.
   *
   * @throws NodeError INVALID_INPUT (no 32 bytes), PORT_IN_USE; the network is then as it was before.
   */
  rekey(key: Uint8Array | undefined): Promise<void> {
    return this.#changes.run(async () => {
      const before = this.#networkKey
      const datastore = this.#datastore
      if (sameKey(before, key)) return
      this.#networkKey = key
      if (datastore === undefined) return
      try {
        await this.#stopHost()
        await this.#startHost(datastore)
      } catch (error) {
        this.#networkKey = before
        await this.#startHost(datastore)
        throw error
      }
    })
  }

  /** Says whom to refuse and whom to relay for from now on; without a word everybody is let in and nobody relayed for. */
  useGate(gate: Gate = OPEN_GATE): void {
    this.#gatekeeper.use(gate)
    this.regate()
  }

  /** To be called when the gate may answer otherwise than before: who is refused now is hung up on. */
  regate(): void {
    for (const peer of this.connectedPeers()) if (this.#gatekeeper.refuses(peer)) this.hangUpSoon(peer)
    this.#reach?.look()
  }

  /** Where to look for the addresses of a peer that is to be connected; what libp2p itself remembers is tried as well. */
  useAddresses(addressesOf: AddressesOf = () => []): void {
    this.#dialler.useAddresses(addressesOf)
  }

  /** Whether and how this node can be reached, in words too. */
  reachability(): Reachability {
    if (this.#reach === undefined) throw new NodeError('INTERNAL', 'The network is not running')
    return this.#reach.now()
  }

  /** The host for those in this room that need more of it. */
  get host(): Host | undefined {
    return this.#host
  }

  /** The addresses by which others may reach this node, its peer id included. */
  addresses(): string[] {
    if (this.#host === undefined && this.#datastore !== undefined) return [...this.#addresses]
    return this.#running().getMultiaddrs().map(String)
  }

  connectedPeers(): string[] {
    // libp2p's own list makes each id anew, whose text is then worked out each time.
    const connections = this.#host?.getConnections() ?? []
    return [...new Set(connections.map(({ remotePeer }) => remotePeer.toString()))]
  }

  /** Every connection with the address of its other end and the time, ms, since when it stands. */
  connections(): ReturnType<typeof connectionsOf> {
    return this.#host === undefined ? [] : connectionsOf(this.#host)
  }

  /** Hears of each peer that becomes connected. @returns how to stop hearing. */
  onConnect(connected: (peer: string) => void): () => void {
    this.#onConnect.add(connected)
    return () => this.#onConnect.delete(connected)
  }

  /** Hears when others are told other addresses of this node than before. @returns how to stop hearing. */
  onAddresses(changed: () => void): () => void {
    this.#onAddresses.add(changed)
    return () => this.#onAddresses.delete(changed)
  }

  /** Who says in the distributed table that it is of this federation. */
  async find(federation: string, signal?: AbortSignal): Promise<Wanted[]> {
    const found = await findProviders(await this.#ready(), federation, signal)
    return found.map(({ peer, addresses }) => ({ peer, addresses: this.dialled(addresses) }))
  }

  /**
   * Connects to the peer at one of `addresses`, which must end in its `/p2p/…` id; they are taken for the user's own word.
   *
   * @returns its proven peer id. @throws NodeError PEER_UNREACHABLE
   */
  dial(addresses: readonly string[], signal?: AbortSignal): Promise<string> {
    this.name(addresses)
    return this.#dialler.dial(addresses, signal)
  }

  /** Has these dialled whatever they are: the user named them. */
  name(addresses: readonly string[]): void {
    this.#ways.name(addresses)
  }

  /** Those of the addresses that others told which this node dials. */
  dialled(addresses: readonly string[]): string[] {
    return addresses.filter((address) => this.#ways.mayDial(address))
  }

  /** Connects to a peer at `addresses`, or else where it is remembered or found. @throws NodeError PEER_UNREACHABLE */
  reach(peer: string, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#dialler.reach(peer, addresses, signal)
  }

  async handle(protocol: string, serve: Serve): Promise<() => Promise<void>> {
    // A host that is being changed takes up the handlers there are, and none twice.
    await this.#changes.idle()
    await this.#served.add(this.#running(), protocol, serve)
    return () => this.#served.remove(this.#host, protocol, serve)
  }

  async open(peer: string, protocol: string, signal?: AbortSignal): Promise<ByteStream> {
    try {
      const until = within(signal)
      const connection = await this.#dialler.connection(peer, until)
      const stream = await connection.newStream(protocol, { signal: until, runOnLimitedConnection: true })
      return new Libp2pByteStream(stream, peer)
    } catch (cause) {
      if (cause instanceof NodeError) throw cause
      // libp2p rejects with an event when the other side ends the connection meanwhile.
      const why = cause instanceof Error ? cause.message : 'the connection ended'
      const message = `${peer} does not answer on ${protocol}: ${why}`
      throw new NodeError('PEER_UNREACHABLE', message, { peer, protocol }, { cause })
    }
  }

  /** Ends the connection to a peer, if there is one. */
  async hangUp(peer: string): Promise<void> {
    await this.#host?.hangUp(peerIdFromString(peer))
  }

  /** The same without waiting for it. */
  hangUpSoon(peer: string): void {
    this.hangUp(peer).catch((error: unknown) => {
      this.#log.debug({ peer, error: messageOf(error) }, 'a connection did not end well')
    })
  }

  /** Starts a host and gives it what the rooms have asked for; one that does not start leaves nothing behind. */
  async #startHost(datastore: BoundedDatastore): Promise<void> {
    try {
      await this.#beginHost(datastore)
    } catch (cause) {
      // [boundary] Why it does not start is what counts.
      await this.#stopHost().catch(() => undefined)
      throw cause
    }
  }

  async #beginHost(datastore: BoundedDatastore): Promise<void> {
    const { identity, clock, announce, mdns, agentVersion } = this.#parts
    const relayClient = new RelayClient(this.#log)
    const [conduct, gatekeeper, topics, log] = [this.#conduct, this.#gatekeeper, this.#topics, this.#log]
    const networkKey = this.#networkKey === undefined ? {} : { networkKey: this.#networkKey }
    const settings = this.#settings
    const asked = { listen: this.#listen, announce, mdns, agentVersion, settings, relayClient, ...networkKey }
    const found = (peer: PeerInfo) => this.#found.found(peer)
    const keepsPrivate = () => !isOutside(this.#reach?.now())
    const standing = { conduct, gatekeeper, topics, found, keepsPrivate }
    this.#found.wait()
    const { host, listen } = await startHost({ identity, clock, datastore, ...standing, ...asked })
    this.#listen = listen
    this.#host = host
    const { pubsub } = host.services
    const hangUp = (peer: string) => this.hangUpSoon(peer)
    if (this.#gossip === undefined)
      this.#gossip = new PubsubGossip({ pubsub, conduct, clock, topics, hangUp, log })
    else this.#gossip.attach(pubsub)
    const gossiping = () => pubsub.getPeers().map(String)
    const watch = new GossipWatch({ libp2p: host, gossiping, hangUp, log })
    this.#watch = watch
    await watch.start()
    await this.#served.attach(host)
    hearAddresses(host, () => {
      for (const changed of this.#onAddresses) changed()
    })
    host.addEventListener('peer:connect', (event) => this.#connected(event.detail))
    host.addEventListener('peer:disconnect', (event) => {
      watch.disconnected(event.detail.toString())
      conduct.forget(event.detail.toString(), clock.now())
    })
    this.#found.dialEarly()
    // Who connected before we listened is told of as well.
    for (const peer of host.getPeers()) this.#connected(peer)
    this.#reach = new Reach({
      host,
      listen: this.#listen,
      announce,
      settings,
      gatekeeper,
      relayClient,
      clock,
      log,
    })
    await this.#reach.start()
  }

  async #stopHost(): Promise<void> {
    const [host, reach, watch] = [this.#host, this.#reach, this.#watch]
    this.#addresses = host?.getMultiaddrs().map(String) ?? []
    this.#host = this.#reach = this.#watch = undefined
    this.#gossip?.detach()
    await watch?.stop()
    try {
      await reach?.stop()
    } finally {
      if (host !== undefined) await stopHost(host)
    }
  }

  #connected(peer: PeerId): void {
    for (const connected of this.#onConnect) connected(peer.toString())
  }

  /** The host, once a change of it that is under way has ended. */
  async #ready(): Promise<Host> {
    if (this.#host === undefined) await this.#changes.idle()
    return this.#running()
  }

  #running(): Host {
    if (this.#host === undefined) throw new NodeError('INTERNAL', 'The network is not running')
    return this.#host
  }
}
