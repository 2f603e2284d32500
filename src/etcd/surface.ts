/**
 * The registry as etcd's clients know one (protocols/etcd.md): the v3 API over gRPC and as JSON, on one port. On loopback
 * whoever may open a connection writes as this node, as with a stock etcd; from elsewhere nobody does without the
 * node's token, over TLS.
 */
import { NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { etcdProgressIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { isLoopback } from '../base/loopback.ts'
import type { Members } from '../federation/members.ts'
import type { Registry } from '../registry/registry.ts'
import { Auth } from './auth.ts'
import { Cluster } from './cluster.ts'
import { checkExposure, isUnspecified } from './exposure.ts'
import { headersOf, numberOf } from './header.ts'
import { hostCheck } from './hosts.ts'
import { KeyValueService } from './key-value-service.ts'
import { LeaseService } from './lease-service.ts'
import { API_VERSION, Maintenance } from './maintenance.ts'
import { Operations } from './operations.ts'
import { sendSnapshot } from './snapshot.ts'
import { WatchService } from './watch-service.ts'
import { GrpcServer, type GrpcServerParts } from './wire/grpc-server.ts'

export interface EtcdSurfaceParts {
  readonly registry: Pick<Registry, 'federation' | 'get' | 'keyValues'>
  readonly members: Pick<Members, 'list' | 'get'>
  /** This node's peer id. */
  readonly self: string
  readonly host: string
  /** Zero takes any free port. */
  readonly port: number
  /** Needed beyond loopback. */
  readonly tls?: NonNullable<GrpcServerParts['tls']>
  /** Asks for the token on loopback too. */
  readonly requireToken?: boolean
  /** Whether a text is the node's token. */
  readonly authenticate?: (password: string) => boolean
  /** Further values of the Host header that the JSON gateway answers. */
  readonly allowedHosts?: readonly string[]
  /** Whether a cluster stands behind the shared keys, so that comparisons of them hold for all members. */
  readonly strong?: boolean
  /** How often quiet watches are told how far the node has come, where their clients ask for it. */
  readonly progressIntervalMs?: number
  readonly log: Logger
}

export class EtcdSurface implements Startable {
  readonly #parts: EtcdSurfaceParts
  readonly #log: Logger
  #running: { watches: WatchService; server: GrpcServer } | undefined

  constructor(parts: EtcdSurfaceParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'etcd' })
  }

  /** @throws NodeError INVALID_CONFIG (beyond loopback without TLS or token), PORT_IN_USE */
  async start(): Promise<void> {
    if (this.#running !== undefined) return
    this.#check()
    const { watches, server } = this.#build()
    await watches.start()
    try {
      await server.start()
    } catch (error) {
      await watches.stop()
      throw error
    }
    this.#running = { watches, server }
    this.#log.info({ address: this.address() }, 'etcd clients are served')
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    // Watches end first, so that their clients are told.
    await running?.watches.stop()
    await running?.server.stop()
  }

  /** `host:port`, as clients take it for an endpoint. */
  address(): string {
    if (this.#running === undefined) throw new NodeError('INTERNAL', 'The etcd surface was not started')
    return this.#running.server.address()
  }

  /** How many calls ended with which status since the start, by its name. */
  calls(): ReadonlyMap<string, number> {
    return this.#running?.server.calls ?? new Map()
  }

  /** @throws NodeError INVALID_CONFIG */
  #check(): void {
    const { host, tls, authenticate } = this.#parts
    checkExposure(host, tls !== undefined)
    if (!asksForToken(this.#parts) || authenticate !== undefined) return
    const message = 'The etcd surface is to ask for a token, but this node has none'
    throw new NodeError('INVALID_CONFIG', message, { host })
  }

  /** Where clients reach it; on every address of the machine, which of them a client can reach is not known here. */
  #urls(): readonly string[] {
    const { host, tls } = this.#parts
    return isUnspecified(host) ? [] : [`${tls === undefined ? 'http' : 'https'}://${this.address()}`]
  }

  #build(): { watches: WatchService; server: GrpcServer } {
    const { registry, members, self, host, port, tls, strong = false } = this.#parts
    const { authenticate, allowedHosts = [], progressIntervalMs = etcdProgressIntervalMs } = this.#parts
    const { keyValues } = registry
    const log = this.#log
    const member = numberOf(self)
    const header = headersOf(numberOf(registry.federation), member)
    const revision = () => keyValues.revision
    const auth = new Auth({
      authenticate: asksForToken(this.#parts) ? authenticate : undefined,
      header,
      revision,
    })
    const operations = new Operations({ registry, members })
    const watches = new WatchService({ keyValues, header, progressIntervalMs, log })
    const services = {
      KV: new KeyValueService({ keyValues, operations, header, strong }),
      Watch: watches,
      Lease: new LeaseService({ keyValues, header, log }),
      Cluster: new Cluster({ members, self, urls: () => this.#urls(), header, revision }),
      Maintenance: new Maintenance({
        ...{ keyValues, header, member },
        snapshot: (call) => sendSnapshot(call, { keyValues, log }),
      }),
      Auth: auth,
    }
    const authorize = (token: string | undefined, method: string) => auth.refusalOf(token, method)
    const hosts = hostCheck(host, allowedHosts)
    const where = { host, port, version: API_VERSION, ...(tls === undefined ? {} : { tls }) }
    return { watches, server: new GrpcServer({ services, ...where, authorize, hosts, log }) }
  }
}

function asksForToken({ host, requireToken = false }: EtcdSurfaceParts): boolean {
  return requireToken || !isLoopback(host)
}
