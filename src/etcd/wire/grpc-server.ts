/**
 * One port for all that etcd's clients speak: gRPC on HTTP/2, and on HTTP/1.1 the JSON gateway. HTTP/2 itself is
 * Node's; here stand the doors, the bounds, and the end.
 */
import { once } from 'node:events'
import { createServer as createHttp2Server, type ServerOptions } from 'node:http2'
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  etcdConnectionsMax,
  etcdFirstBytesTimeoutMs,
  etcdHeaderBytesMax,
  etcdHeadersMax,
  etcdHeldBytesMax,
  etcdHeldBytesOverallMax,
  etcdPingIntervalMs,
  etcdResetsBurst,
  etcdResetsPerSecond,
  etcdStopTimeoutMs,
  etcdStreamsPerConnectionMax,
  etcdStreamWindowBytes,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { withDeadline } from '../../base/wait.ts'
import type { EtcdError } from '../status.ts'
import { CallCounts } from './call-counts.ts'
import { HeldBytes } from './call-scope.ts'
import { Endpoints } from './endpoints.ts'
import { onFirstBytes } from './first-bytes.ts'
import { Gateway } from './gateway.ts'
import { GrpcSession } from './grpc-session.ts'
import { Http1 } from './http1.ts'
import type { Services } from './service.ts'

export interface GrpcServerParts {
  readonly services: Services
  readonly host: string
  /** Zero takes any free port. */
  readonly port: number
  /** Without it, nothing is encrypted. With `ca`, only clients that have a certificate of it are served. */
  readonly tls?: {
    readonly cert: Buffer | string
    readonly key: Buffer | string
    readonly ca?: Buffer | string
  }
  /** `method` as gRPC names it, such as `/etcdserverpb.KV/Range`. @returns why the call is refused, if it is */
  readonly authorize: (token: string | undefined, method: string) => EtcdError | undefined
  /** Whether a request of HTTP/1.1 with that Host header is meant for this node. */
  readonly hosts: (hostHeader: string) => boolean
  /** Of the API that is spoken, for `/version`. */
  readonly version?: string
  readonly log: Logger
}

type Rooms = Readonly<Record<'http1' | 'http2', (socket: Socket) => void>>

const BYTES_PER_MB = 1_000_000
const API_VERSION = '3.4.0'
const HTTP2_OPTIONS: ServerOptions = {
  settings: {
    maxConcurrentStreams: etcdStreamsPerConnectionMax,
    initialWindowSize: etcdStreamWindowBytes,
    maxHeaderListSize: etcdHeaderBytesMax,
  },
  maxHeaderListPairs: etcdHeadersMax,
  // Our own bound speaks first, and in words.
  maxSessionMemory: (2 * etcdHeldBytesMax) / BYTES_PER_MB,
  streamResetBurst: etcdResetsBurst,
  streamResetRate: etcdResetsPerSecond,
}

export class GrpcServer implements Startable {
  readonly #parts: GrpcServerParts
  readonly #log: Logger
  readonly #counts = new CallCounts()
  readonly #sessions = new Set<GrpcSession>()
  readonly #sockets = new Set<Socket>()
  /** Those that have not said yet what they speak. */
  readonly #silent = new Set<Socket>()
  #gateway: Gateway | undefined
  #http1: Http1 | undefined
  #door: Server | undefined
  #port = 0
  #pings: NodeJS.Timeout | undefined

  constructor(parts: GrpcServerParts) {
    this.#parts = parts
    this.#log = parts.log
  }

  /** @throws NodeError PORT_IN_USE, INVALID_CONFIG (the certificate, or an address that is none of this machine) */
  async start(): Promise<void> {
    if (this.#door !== undefined) return
    const door = this.#openDoor(this.#rooms())
    this.#port = await listen(door, this.#parts.host, this.#parts.port)
    this.#door = door
    this.#pings = setInterval(() => {
      for (const session of this.#sessions) session.ping()
    }, etcdPingIntervalMs)
    this.#pings.unref()
  }

  async stop(): Promise<void> {
    const door = this.#door
    this.#door = undefined
    clearInterval(this.#pings)
    if (door === undefined) return
    const closed = once(door, 'close')
    door.close()
    for (const session of this.#sessions) session.stop()
    this.#gateway?.stop()
    this.#http1?.stop()
    for (const socket of this.#silent) socket.destroy()
    try {
      await withDeadline(closed, etcdStopTimeoutMs, 'Ending the calls of etcd clients')
    } catch (error) {
      // A client that keeps its connection open is cut off, as etcd does.
      this.#log.debug({ error: messageOf(error) }, 'connections of etcd clients were cut')
      for (const session of this.#sessions) session.destroy()
      for (const socket of this.#sockets) socket.destroy()
      await closed
    }
  }

  /** `host:port`, as clients take it for an endpoint. */
  address(): string {
    const { host } = this.#parts
    return `${isIP(host) === 6 ? `[${host}]` : host}:${this.#port}`
  }

  /** How many calls ended with which status since the start, by its name; the map goes on counting. */
  get calls(): ReadonlyMap<string, number> {
    return this.#counts.byStatus
  }

  /** What takes a socket whose protocol is known. */
  #rooms(): Rooms {
    const { services, authorize, hosts, log, version = API_VERSION } = this.#parts
    const endpoints = new Endpoints(services)
    const held = new HeldBytes(etcdHeldBytesOverallMax)
    const { ended } = this.#counts
    const gateway = new Gateway({ endpoints, authorize, hosts, version, held, ended, log })
    this.#gateway = gateway
    const http1 = new Http1((request, answer) => gateway.serve(request, answer), log)
    this.#http1 = http1
    const http2 = createHttp2Server(HTTP2_OPTIONS)
    const parts = { endpoints, authorize, held, ended, log, gateway }
    http2.on('session', (session) => {
      const served = new GrpcSession(session, parts)
      this.#sessions.add(served)
      session.once('close', () => this.#sessions.delete(served))
      served.serve()
    })
    return {
      http1: (socket) => http1.accept(socket),
      http2: (socket) => {
        // No session can be made on a socket that is gone already.
        if (!socket.destroyed) http2.emit('connection', socket)
      },
    }
  }

  #openDoor(rooms: Rooms): Server {
    const { tls } = this.#parts
    const door = tls === undefined ? this.#plainDoor(rooms) : this.#tlsDoor(rooms, tls)
    door.maxConnections = etcdConnectionsMax
    door.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    return door
  }

  #plainDoor(rooms: Rooms): Server {
    return createServer({ noDelay: true }, (socket) => {
      socket.on('error', this.#wentAway)
      this.#silent.add(socket)
      socket.once('close', () => this.#silent.delete(socket))
      onFirstBytes(socket, etcdFirstBytesTimeoutMs, (protocol) => {
        this.#silent.delete(socket)
        rooms[protocol](socket)
      })
    })
  }

  #tlsDoor(rooms: Rooms, tls: NonNullable<GrpcServerParts['tls']>): Server {
    const mutual = tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }
    const bounds = { handshakeTimeout: etcdFirstBytesTimeoutMs, noDelay: true }
    try {
      const options = { ...tls, ...mutual, ...bounds, ALPNProtocols: ['h2', 'http/1.1'] }
      const door = createTlsServer(options, (socket: TLSSocket) => {
        socket.on('error', this.#wentAway)
        rooms[socket.alpnProtocol === 'h2' ? 'http2' : 'http1'](socket)
      })
      return door.on('tlsClientError', this.#wentAway)
    } catch (cause) {
      const text = `The certificate of the etcd surface cannot be used: ${messageOf(cause)}`
      throw new NodeError('INVALID_CONFIG', text, {}, { cause })
    }
  }

  readonly #wentAway = (error: Error) => {
    this.#log.debug({ error: error.message }, 'an etcd client went away')
  }
}

async function listen(door: Server, host: string, port: number): Promise<number> {
  try {
    door.listen({ host, port })
    await once(door, 'listening')
    return (door.address() as AddressInfo).port
  } catch (cause) {
    const told = `The etcd surface cannot listen on ${host}:${port}: ${messageOf(cause)}`
    if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') {
      throw new NodeError(
        'PORT_IN_USE',
        `${told}; stop what does, or set etcd.port`,
        { host, port },
        { cause },
      )
    }
    const message = `${told}; set etcd.host to an address of this machine, and etcd.port to one that this user may take`
    throw new NodeError('INVALID_CONFIG', message, { host, port }, { cause })
  }
}
