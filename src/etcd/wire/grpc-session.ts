/** One HTTP/2 connection of an etcd client: its calls, what they hold, and whether it lives. */
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { etcdFirstBytesTimeoutMs, etcdHeldBytesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { EtcdError, refusals, STATUS } from '../status.ts'
import { CallScope, HeldBytes } from './call-scope.ts'
import type { Endpoints } from './endpoints.ts'
import { GrpcDuplex } from './grpc-duplex.ts'
import { deadlineExceeded, isGrpc, single, timeoutMs, tokenOf } from './grpc-headers.ts'
import { GrpcUnary, refuseStream } from './grpc-unary.ts'

export interface GrpcSessionParts {
  readonly endpoints: Endpoints
  readonly authorize: (token: string | undefined, method: string) => EtcdError | undefined
  /** Takes what is no gRPC, but may be a request of the JSON gateway. */
  readonly other: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
  readonly log: Logger
}

export class GrpcSession {
  readonly #session: ServerHttp2Session
  readonly #parts: GrpcSessionParts
  readonly #peer: string
  readonly #held = new HeldBytes(etcdHeldBytesMax)
  readonly #talks = new Set<GrpcDuplex>()
  #asked = false

  constructor(session: ServerHttp2Session, parts: GrpcSessionParts) {
    this.#session = session
    this.#parts = parts
    const { remoteAddress = '', remotePort = 0 } = session.socket
    this.#peer = `${remoteAddress}:${remotePort}`
  }

  serve(): void {
    const session = this.#session
    const { log } = this.#parts
    // A client that never ends its preface would hold the connection for nothing.
    const silent = setTimeout(() => session.destroy(), etcdFirstBytesTimeoutMs)
    session.once('remoteSettings', () => clearTimeout(silent))
    session.once('close', () => clearTimeout(silent))
    session.on('error', (error) =>
      log.debug({ error: error.message }, 'a connection of an etcd client broke'),
    )
    session.on('stream', (stream, headers) => this.#serveStream(stream, headers))
  }

  /** Asks whether the client lives; one that has not answered since the last time is cut off. */
  ping(): void {
    const session = this.#session
    if (session.destroyed || session.closed) return
    if (this.#asked) {
      session.destroy()
      return
    }
    this.#asked = session.ping(() => {
      this.#asked = false
    })
  }

  /** Takes no more calls, ends those without end, and lets the others come to theirs. */
  stop(): void {
    for (const talk of this.#talks) talk.end(refusals.stopped())
    if (!this.#session.closed) this.#session.close()
  }

  destroy(): void {
    this.#session.destroy()
  }

  #serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { endpoints, authorize, other, log } = this.#parts
    stream.on('error', (error) => log.debug({ error: error.message }, 'a call of an etcd client broke'))
    if (!isGrpc(headers['content-type'])) {
      other(stream, headers)
      return
    }
    const endpoint = endpoints.find(headers[':path'] ?? '')
    if (endpoint instanceof EtcdError) {
      refuseStream(stream, endpoint)
      return
    }
    const token = tokenOf(headers)
    const timeout = timeoutMs(single(headers, 'grpc-timeout'))
    const refusal = refusalOf(headers, timeout) ?? authorize(token, endpoint.path)
    if (refusal !== undefined) {
      refuseStream(stream, refusal)
      return
    }
    const scope = new CallScope(token, this.#peer)
    const parts = { scope, held: this.#held, log }
    if ('unary' in endpoint) {
      const call = new GrpcUnary(stream, endpoint, parts)
      if (timeout !== undefined) within(timeout, stream, () => call.refuse(deadlineExceeded()))
      call.serve()
      return
    }
    const talk = new GrpcDuplex(stream, endpoint, parts)
    this.#talks.add(talk)
    stream.once('close', () => this.#talks.delete(talk))
    if (timeout !== undefined) within(timeout, stream, () => talk.end(deadlineExceeded()))
    talk.serve()
  }
}

function within(ms: number, stream: ServerHttp2Stream, late: () => void): void {
  const timer = setTimeout(late, ms)
  stream.once('close', () => clearTimeout(timer))
}

function refusalOf(headers: IncomingHttpHeaders, timeout: number | undefined): EtcdError | undefined {
  if (headers[':method'] !== 'POST') {
    return new EtcdError(STATUS.UNIMPLEMENTED, 'a call of gRPC is a POST')
  }
  const encoding = single(headers, 'grpc-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    const text = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`
    return new EtcdError(STATUS.UNIMPLEMENTED, text)
  }
  if (Number.isNaN(timeout)) return new EtcdError(STATUS.INTERNAL, 'malformed grpc-timeout')
  return undefined
}
