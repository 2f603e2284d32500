/**
 * The only place that knows how libp2p is set up: which transports, muxers and discoveries carry what the rooms above
 * ask for.
 */
import { autoNAT } from '@libp2p/autonat'
import { dcutr } from '@libp2p/dcutr'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PeerInfo, ServiceMap } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { kadDHT, passthroughMapper, removePrivateAddressesMapper, type SingleKadDHT } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Ping, ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { uPnPNAT } from '@libp2p/upnp-nat'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../base/clock.ts'
import {
  addressDialTimeoutMs,
  connectionsMax,
  dialTimeoutMs,
  relaysKeptMax,
  streamReadBufferBytesMax,
  streamWindowBytesMax,
} from '../base/limits.ts'
import type { Identity } from '../identity/node-key.ts'
import { isLoopback, toldOf } from './addresses.ts'
import type { BoundedDatastore } from './bounded-datastore.ts'
import type { Conduct } from './conduct.ts'
import { roomFor } from './crowd.ts'
import { dialsBack } from './dial-back.ts'
import type { Gatekeeper } from './gatekeeper.ts'
import { gossipService } from './gossip.ts'
import { pskFile, serviceTag } from './network-key.ts'
import { OwnAddresses } from './own-addresses.ts'
import type { RelayClient } from './relay-client.ts'
import { RelayServer } from './relay-server.ts'
import type { NetworkSettings } from './settings.ts'
import { vigilant } from './vigilance.ts'
import { withoutWalks } from './without-walks.ts'

/** The one distributed table of all nodes; a private network has one of its own, by its key. */
export const TABLE_PROTOCOL = '/mao/kad/1.0.0'

type Services = ServiceMap & {
  ping: Ping
  pubsub: GossipSub
  relay: RelayServer
  ownAddresses: OwnAddresses
  dht: SingleKadDHT | undefined
}
export type Host = Libp2p<Services>

export interface HostParts {
  readonly identity: Identity
  readonly clock: Clock
  readonly datastore: BoundedDatastore
  readonly conduct: Conduct
  readonly gatekeeper: Gatekeeper
  /** The topics that are joined at the moment. */
  readonly topics: ReadonlySet<string>
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly mdns: boolean
  readonly settings: NetworkSettings
  readonly relayClient: RelayClient
  /** Hears of each sighting of a peer on the local network. */
  readonly found: (peer: PeerInfo) => void
  /** True while others are reached at private addresses too: nobody outside knows this node. */
  readonly keepsPrivate: () => boolean
  readonly agentVersion: string
  /** Key of a private network, 32 bytes: peers without it cannot even begin to speak with this host. */
  readonly networkKey?: Uint8Array
}

/** What there is of connections, as the rooms above see them. */
export function connectionsOf(host: Host): Connected[] {
  return host.getConnections().map(connected)
}

function connected({ remotePeer, remoteAddr, timeline, direction, streams }: Connection): Connected {
  return {
    peer: remotePeer.toString(),
    address: remoteAddr.toString(),
    sinceMs: timeline.open,
    outbound: direction === 'outbound',
    // Gossip and the table always have a stream open; what somebody waits for is ours.
    busy: streams.some(({ protocol }) => protocol.startsWith('/mao/') && protocol !== TABLE_PROTOCOL),
  }
}

export interface Connected {
  readonly peer: string
  readonly address: string
  readonly sinceMs: number
  readonly outbound: boolean
  readonly busy: boolean
}

/** Whether this node keeps places on relays. Pure. */
export function wantsRelays(parts: Pick<HostParts, 'settings' | 'listen' | 'announce'>): boolean {
  const { settings, listen, announce } = parts
  if (settings.relayed !== 'auto') return settings.relayed === 'always'
  return announce.length === 0 && !listen.every(isLoopback)
}

/** Whether this node asks the router to forward its port: never when nobody beyond this machine is to come. Pure. */
export function wantsUpnp(parts: Pick<HostParts, 'settings' | 'listen' | 'announce'>): boolean {
  const { settings, listen, announce } = parts
  return settings.upnp && announce.length === 0 && !listen.every(isLoopback)
}

/** A host that is not started yet. */
export function createHost(parts: HostParts): Promise<Host> {
  const { identity, clock, datastore, conduct, gatekeeper, topics, networkKey, settings } = parts
  const { listen, announce, agentVersion, relayClient } = parts
  const multicast = parts.mdns && !listen.every(isLoopback)
  const circuits = wantsRelays(parts) ? Array<string>(relaysKeptMax).fill('/p2p-circuit') : []
  let relay: RelayServer | undefined
  let manager: ConnectionManager | undefined
  const doors = {
    connects: (source: string, destination: string) => relay?.connects(source, destination) ?? false,
    hasRoom(peer: string, address: string) {
      const connections = (manager?.getConnections() ?? []).map(connected)
      const isMember = (one: string) => gatekeeper.relaysFor(one)
      const { admitted, ends } = roomFor({ peer, address, connections, isMember, nowMs: clock.now() })
      if (ends !== undefined) void manager?.closeConnections(peerIdFromString(ends))
      return admitted
    },
  }
  return createLibp2p<Services>({
    privateKey: identity.privateKey,
    nodeInfo: { userAgent: agentVersion },
    datastore,
    addresses: { listen: [...listen, ...circuits], announce: [...announce], announceFilter: toldOf },
    transports: [tcp(), relayClient.transport((peer) => gatekeeper.mayRelayUs(peer))],
    ...(networkKey === undefined ? {} : { connectionProtector: preSharedKey({ psk: pskFile(networkKey) }) }),
    connectionEncrypters: [noise()],
    // From the first byte on: a fast peer can fill the default bound before a stream's reader is attached.
    streamMuxers: [
      vigilant(
        yamux({
          streamOptions: {
            maxReadBufferLength: streamReadBufferBytesMax,
            maxStreamWindowSize: streamWindowBytesMax,
          },
        }),
      ),
    ],
    peerDiscovery: multicast
      ? [
          (components) => {
            const discovery = mdns({ serviceTag: serviceTag(networkKey) })(components)
            // libp2p tells of a peer once in its life, and not of those it knew before a restart: so it is heard here.
            discovery.addEventListener('peer', ({ detail }) => parts.found(detail))
            return discovery
          },
        ]
      : [],
    connectionManager: {
      maxConnections: connectionsMax,
      dialTimeout: dialTimeoutMs,
      addressDialTimeout: addressDialTimeoutMs,
      // A whole federation restarts at once after a power cut, often from behind one address.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: 50,
    },
    connectionGater: gatekeeper.gater(doors),
    // The muxers watch over their connections.
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipService({ conduct, clock, topics }),
      ownAddresses: (components) => new OwnAddresses(components.addressManager),
      relay: (components) => {
        manager = components.connectionManager
        relay = new RelayServer(components, gatekeeper)
        return relay
      },
      autonat: (components) => autoNAT()(dialsBack(withoutWalks(components))),
      dcutr: dcutr(),
      ...(wantsUpnp(parts) ? { upnp: uPnPNAT({ autoConfirmAddress: true }) } : undefined),
      dht: (components) => (settings.dht ? (table(parts)(components) as SingleKadDHT) : undefined),
    },
    start: false,
  })
}

function table({ listen, keepsPrivate }: HostParts): ReturnType<typeof kadDHT> {
  return kadDHT({
    protocol: TABLE_PROTOCOL,
    // As long as this node does not know whether others reach it; Reach decides then.
    clientMode: !listen.every(isLoopback),
    allowQueryWithZeroPeers: true,
    peerInfoMapper: (peer) => (keepsPrivate() ? passthroughMapper(peer) : removePrivateAddressesMapper(peer)),
  })
}
