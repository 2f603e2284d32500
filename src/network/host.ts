/**
 * The only place that knows how libp2p is set up: which transports, muxers and discoveries carry what the rooms above
 * ask for.
 */
import { bootstrap } from '@libp2p/bootstrap'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Libp2p, ServiceMap } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../base/clock.ts'
import {
  connectionsMax,
  dialTimeoutMs,
  streamReadBufferBytesMax,
  streamWindowBytesMax,
} from '../base/limits.ts'
import type { Identity } from '../identity/node-key.ts'
import { isLoopback } from './addresses.ts'
import type { Conduct } from './conduct.ts'
import type { Gatekeeper } from './gatekeeper.ts'
import { gossipService } from './gossip.ts'
import { pskFile, serviceTag } from './network-key.ts'

type Services = ServiceMap & { pubsub: GossipSub }
export type Host = Libp2p<Services>

export interface HostParts {
  readonly identity: Identity
  readonly clock: Clock
  readonly datastore: LevelDatastore
  readonly conduct: Conduct
  readonly gatekeeper: Gatekeeper
  /** The topics that are joined at the moment. */
  readonly topics: ReadonlySet<string>
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  readonly agentVersion: string
  /** Key of a private network, 32 bytes: peers without it cannot even begin to speak with this host. */
  readonly networkKey?: Uint8Array
}

/** A host that is not started yet. */
export function createHost(parts: HostParts): Promise<Host> {
  const { identity, clock, datastore, conduct, gatekeeper, topics, networkKey } = parts
  const { listen, announce, bootstrap: list, agentVersion } = parts
  const multicast = parts.mdns && !listen.every(isLoopback)
  return createLibp2p<Services>({
    privateKey: identity.privateKey,
    nodeInfo: { userAgent: agentVersion },
    datastore,
    addresses: { listen: [...listen], announce: [...announce] },
    transports: [tcp()],
    ...(networkKey === undefined ? {} : { connectionProtector: preSharedKey({ psk: pskFile(networkKey) }) }),
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
      ...(multicast ? [mdns({ serviceTag: serviceTag(networkKey) })] : []),
    ],
    connectionManager: {
      maxConnections: connectionsMax,
      dialTimeout: dialTimeoutMs,
      // A whole federation restarts at once after a power cut, often from behind one address.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: 50,
    },
    connectionGater: gatekeeper.gater(),
    connectionMonitor: { pingInterval: 5_000, pingTimeout: { minTimeout: 2_000, maxTimeout: 5_000 } },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipService({ conduct, clock, topics }),
    },
    start: false,
  })
}
