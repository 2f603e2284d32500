/**
 * The registry as etcd's clients know one (protocols/etcd.md): the v3 gRPC services on loopback. Whoever may open a
 * connection there writes as this node, as with a stock etcd; so it stands on loopback alone.
 */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import {
  type handleUnaryCall,
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  setLogVerbosity,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { etcdRequestBytesMax, etcdStopTimeoutMs, etcdStreamsPerConnectionMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withDeadline } from '../base/wait.ts'
import type { Members } from '../federation/members.ts'
import type { Registry } from '../registry/registry.ts'
import type { Change } from '../registry/watchers.ts'
import { KeyValues } from './key-values.ts'
import { served, unserved } from './messages.ts'
import { ShownKeys } from './shown-keys.ts'
import { refuse, toStatus } from './status.ts'
import type {
  MemberListResponse,
  ResponseHeader,
  StatusResponse,
  WatchRequest,
  WatchResponse,
} from './types.ts'
import { WatchStream } from './watch-stream.ts'

/** The version of the API that is spoken; the build behind it is not etcd's, and says so. */
const API_VERSION = '3.4.0+mao'
/** There are no terms without Raft; clients expect a number above zero. */
const TERM = '1'

export interface EtcdSurfaceParts {
  readonly registry: Pick<Registry, 'federation' | 'revision' | 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'list' | 'get' | 'self'>
  /** This node's peer id. */
  readonly self: string
  readonly host: string
  /** Zero takes any free port. */
  readonly port: number
  readonly log: Logger
}

export class EtcdSurface implements Startable {
  readonly #parts: EtcdSurfaceParts
  readonly #log: Logger
  readonly #shown = new ShownKeys()
  readonly #streams = new Set<WatchStream>()
  readonly #keyValues: KeyValues
  readonly #clusterId: string
  readonly #memberId: string
  #server: Server | undefined
  #unwatch: (() => void) | undefined
  #port = 0

  constructor(parts: EtcdSurfaceParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'etcd' })
    this.#clusterId = numberOf(parts.registry.federation)
    this.#memberId = numberOf(parts.self)
    const { registry, members } = parts
    this.#keyValues = new KeyValues({ registry, members, shown: this.#shown, header: () => this.#header() })
  }

  /** @throws NodeError INVALID_CONFIG (a host beyond loopback), PORT_IN_USE */
  async start(): Promise<void> {
    if (this.#server !== undefined) return
    const { registry, host, port } = this.#parts
    refuseBeyondLoopback(host)
    // The library would write to standard error what is thrown here anyway.
    setLogVerbosity(logVerbosity.NONE)
    const server = new Server({
      'grpc.max_receive_message_length': etcdRequestBytesMax,
      'grpc.max_concurrent_streams': etcdStreamsPerConnectionMax,
    })
    this.#serve(server)
    this.#port = await bind(server, host, port)
    this.#shown.reset(registry.list('/'))
    this.#unwatch = registry.watch('/', (change) => this.#tell(change))
    this.#server = server
    this.#log.info({ address: this.address() }, 'etcd clients are served')
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#unwatch?.()
    for (const stream of this.#streams) stream.end()
    if (server === undefined) return
    const ended = new Promise<void>((resolve, reject) => {
      server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)))
    })
    try {
      await withDeadline(ended, etcdStopTimeoutMs, 'Ending the calls of etcd clients')
    } catch (error) {
      // A client that keeps its connection open is cut off, as etcd does.
      this.#log.debug({ error: messageOf(error) }, 'connections of etcd clients were cut')
      server.forceShutdown()
    }
  }

  /** `host:port`, as clients take it for an endpoint. */
  address(): string {
    const { host } = this.#parts
    return `${isIP(host) === 6 ? `[${host}]` : host}:${this.#port}`
  }

  #serve(server: Server): void {
    const keyValues = this.#keyValues
    server.addService(served('KV'), {
      Range: this.#unary((request) => keyValues.range(request)),
      Put: this.#unary((request) => keyValues.put(request)),
      DeleteRange: this.#unary((request) => keyValues.deleteRange(request)),
    })
    server.addService(served('Watch'), {
      Watch: (call: ServerDuplexStream<WatchRequest, WatchResponse>) => this.#watch(call),
    })
    server.addService(served('Cluster'), { MemberList: this.#unary(() => this.#memberList()) })
    server.addService(served('Maintenance'), { Status: this.#unary(() => this.#status()) })
    const definitions = unserved()
    const answers: UntypedServiceImplementation = {}
    for (const [name, { responseStream }] of Object.entries(definitions)) {
      const refusal = refuse(
        status.UNIMPLEMENTED,
        `this node serves Range, Put, DeleteRange, Watch, MemberList and Status of etcd's API, not ${name}`,
      )
      answers[name] = responseStream
        ? (call: ServerDuplexStream<Buffer, Buffer>) => call.emit('error', refusal)
        : this.#unary(() => Promise.reject(refusal))
    }
    server.addService(definitions, answers)
  }

  #unary<Request, Response>(
    answer: (request: Request) => Response | Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return async (call, callback) => {
      try {
        callback(null, await answer(call.request))
      } catch (error) {
        callback(toStatus(error, this.#log))
      }
    }
  }

  #watch(call: ServerDuplexStream<WatchRequest, WatchResponse>): void {
    const stream = new WatchStream({
      call,
      header: () => this.#header(),
      revision: () => this.#parts.registry.revision,
      gone: () => this.#streams.delete(stream),
      log: this.#log,
    })
    this.#streams.add(stream)
    stream.serve()
  }

  #tell(change: Change): void {
    const event = this.#shown.follow(change)
    for (const stream of this.#streams) stream.tell(change.key, event, change.revision)
  }

  #memberList(): MemberListResponse {
    const { members, self } = this.#parts
    const list = members.list().map(({ peer, name }) => ({
      ID: numberOf(peer),
      name,
      peerURLs: [`p2p://${peer}`],
      // Only this node's surface can be reached: those of others stand on their own loopback.
      clientURLs: peer === self ? [`http://${this.address()}`] : [],
      isLearner: false,
    }))
    return { header: this.#header(), members: list }
  }

  #status(): StatusResponse {
    const { registry } = this.#parts
    const size = registry.list('/').reduce((sum, { key, value }) => sum + key.length + value.length, 0)
    const index = String(registry.revision)
    return {
      header: this.#header(),
      version: API_VERSION,
      dbSize: String(size),
      dbSizeInUse: String(size),
      // Every node answers for itself.
      leader: this.#memberId,
      raftIndex: index,
      raftTerm: TERM,
      raftAppliedIndex: index,
    }
  }

  #header(): ResponseHeader {
    const revision = String(this.#parts.registry.revision)
    return { cluster_id: this.#clusterId, member_id: this.#memberId, revision, raft_term: TERM }
  }
}

/** etcd's ids are 64-bit numbers: the first eight bytes of the SHA-256 of ours. */
function numberOf(id: string): string {
  return createHash('sha256').update(id).digest().readBigUInt64BE().toString()
}

function refuseBeyondLoopback(host: string): void {
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return
  const message = `The etcd surface has no token and no encryption, so it listens on loopback only, not on ${host}; reach it from elsewhere through a tunnel, such as ssh -L 2379:127.0.0.1:2379`
  throw new NodeError('INVALID_CONFIG', message, { host })
}

function bind(server: Server, host: string, port: number): Promise<number> {
  const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (cause, bound) => {
      if (cause === null) return resolve(bound)
      const message = `The etcd surface cannot listen on ${address}: ${messageOf(cause)}; stop what does, or set etcd.port`
      reject(new NodeError('PORT_IN_USE', message, { host, port }, { cause }))
    })
  })
}
