/** One HTTP/2 connection of an etcd client: its calls, what they hold, and whether it lives. */
import {
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { etcdConnectionWindowBytes, etcdFirstBytesTimeoutMs, etcdHeldBytesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { EtcdError, refusals, STATUS, toStatus } from '../status.ts'
import type { CallEnded } from './call-counts.ts'
import { CallScope, HeldBytes } from './call-scope.ts'
import type { Endpoints } from './endpoints.ts'
import type { Gateway } from './gateway.ts'
import { GrpcDuplex } from './grpc-duplex.ts'
import { deadlineExceeded, isGrpc, single, timeoutMs, tokenOf, WITHOUT_BODY } from './grpc-headers.ts'
import { GrpcUnary, hangUp, refuseStream } from './grpc-unary.ts'

export interface GrpcSessionParts {
  readonly endpoints: Endpoints
  readonly authorize: (token: string | undefined, method: string) => EtcdError | undefined
  /** Takes what is no gRPC. */
  readonly gateway: Pick<Gateway, 'serve'>
  /** What all connections together hold. */
  readonly held: HeldBytes
  readonly ended: CallEnded
  readonly log: Logger
}

export class GrpcSession {
  readonly #session: ServerHttp2Session
  readonly #parts: GrpcSessionParts
  readonly #peer: string
  readonly #held: HeldBytes
  readonly #talks = new Set<GrpcDuplex>()
  #asked = false

  constructor(session: ServerHttp2Session, parts: GrpcSessionParts) {
    this.#session = session
    this.#parts = parts
    this.#held = new HeldBytes(etcdHeldBytesMax, parts.held)
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
    session.on('stream', (stream, headers, _, raw) => this.#serveStream(stream, headers, raw))
    session.setLocalWindowSize(etcdConnectionWindowBytes)
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

  #serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const { log } = this.#parts
    stream.on('error', (error) => log.debug({ error: error.message }, 'a call of an etcd client broke'))
    try {
      if (isGrpc(headers['content-type'])) this.#serveCall(stream, headers)
      else this.#serveOther(stream, headers, raw)
    } catch (error) {
      this.#refuse(stream, toStatus(error, log))
    }
  }

  #refuse(stream: ServerHttp2Stream, error: EtcdError): void {
    this.#parts.ended(error.code)
    refuseStream(stream, error)
  }

  #serveCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { endpoints, authorize, ended, log } = this.#parts
    const endpoint = endpoints.find(headers[':path'] ?? '')
    if (endpoint instanceof EtcdError) {
      this.#refuse(stream, endpoint)
      return
    }
    const token = tokenOf(headers)
    const timeout = timeoutMs(single(headers, 'grpc-timeout'))
    const refusal = this.#refusal(headers, timeout) ?? authorize(token, endpoint.path)
    if (refusal !== undefined) {
      this.#refuse(stream, refusal)
      return
    }
    const scope = new CallScope(token, this.#peer)
    const parts = { scope, held: this.#held, ended, log }
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

  /** gRPC knows no other type of content (grpc: doc/PROTOCOL-HTTP2.md); the JSON gateway does. */
  #serveOther(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    if (this.#parts.endpoints.find(headers[':path'] ?? '') instanceof EtcdError) {
      const request = new Http2ServerRequest(stream, headers, {}, raw)
      this.#parts.gateway.serve(request, new Http2ServerResponse(stream), this.#held)
      return
    }
    stream.respond({ ':status': 415 }, WITHOUT_BODY)
    stream.resume()
    hangUp(stream)
  }

  #refusal(headers: IncomingHttpHeaders, timeout: number | undefined): EtcdError | undefined {
    if (this.#held.isFull) return refusals.tooManyRequests()
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
}

function within(ms: number, stream: ServerHttp2Stream, late: () => void): void {
  const timer = setTimeout(late, ms)
  stream.once('close', () => clearTimeout(timer))
}
