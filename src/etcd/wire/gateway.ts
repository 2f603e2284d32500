/**
 * etcd's JSON gateway: the same handlers for whoever speaks HTTP and JSON. Since a page in a browser can do that too, it
 * answers only to names that this node goes by, and to no page at all.
 */
import type { Socket } from 'node:net'
import { messageOf } from '../../base/errors.ts'
import {
  etcdBodyTimeoutMs,
  etcdHeldBytesMax,
  etcdJsonBytesMax,
  refusedBodyTimeoutMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { EtcdError, refusals, refuse, STATUS, toStatus } from '../status.ts'
import { type CallEnded, once } from './call-counts.ts'
import { answerDropped, CallScope, HeldByCall, HeldBytes } from './call-scope.ts'
import { encode } from './codec.ts'
import type { Endpoints, UnaryEndpoint } from './endpoints.ts'
import { MESSAGE_BYTES_MAX, tooLarge } from './frames.ts'
import { ANSWER_HEADERS, GatewayDuplex, type HttpAnswer, type HttpRequest } from './gateway-duplex.ts'
import { errorBody, httpStatus } from './gateway-errors.ts'
import { cancelled, deadlineExceeded, tokenOf } from './grpc-headers.ts'
import { fromJson, toJson } from './json.ts'
import { firstJsonValue } from './json-text.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const TEXT_TYPE = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }

export interface GatewayParts {
  readonly endpoints: Endpoints
  readonly authorize: (token: string | undefined, method: string) => EtcdError | undefined
  readonly hosts: (hostHeader: string) => boolean
  /** The version of the API that is spoken. */
  readonly version: string
  /** What all connections together hold. */
  readonly held: HeldBytes
  readonly ended: CallEnded
  readonly log: Logger
}

export class Gateway {
  readonly #parts: GatewayParts
  readonly #talks = new Set<GatewayDuplex>()
  /** What connections of HTTP/1.1 hold. */
  readonly #held = new WeakMap<Socket, HeldBytes>()

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /** @param held what the request's connection holds, where somebody else counts it too */
  serve(request: HttpRequest, answer: HttpAnswer, held?: HeldBytes): void {
    const { log } = this.#parts
    request.on('error', (error) => log.debug({ error: error.message }, 'a request of an etcd client broke'))
    answer.on('error', (error: Error) =>
      log.debug({ error: error.message }, 'an answer to an etcd client broke'),
    )
    try {
      this.#route(request, answer, held ?? this.#heldOf(request.socket))
    } catch (error) {
      this.#refuse(request, answer, toStatus(error, log))
    }
  }

  /** Ends the calls without end. */
  stop(): void {
    for (const talk of this.#talks) talk.end(refusals.stopped())
  }

  #heldOf(socket: Socket): HeldBytes {
    let held = this.#held.get(socket)
    if (held === undefined) {
      held = new HeldBytes(etcdHeldBytesMax, this.#parts.held)
      this.#held.set(socket, held)
    }
    return held
  }

  #route(request: HttpRequest, answer: HttpAnswer, held: HeldBytes): void {
    const stranger = this.#stranger(request)
    if (stranger !== undefined) {
      this.#refuse(request, answer, stranger)
      return
    }
    const [path = ''] = (request.url ?? '').split('?')
    const plain = this.#plain(path)
    const endpoint = this.#parts.endpoints.findGateway(path)
    const { method } = request
    if (plain !== undefined && (method === 'GET' || method === 'HEAD'))
      end(answer, 200, plain.type, plain.body)
    else if (plain === undefined && endpoint === undefined) {
      readOn(request)
      end(answer, 404, TEXT_TYPE, path.startsWith('/v3/') ? 'Not Found\n' : '404 page not found\n')
    } else if (method !== 'POST' || endpoint === undefined) {
      readOn(request)
      end(answer, 405, TEXT_TYPE, 'Method Not Allowed\n')
    } else this.#call(request, answer, endpoint, new HeldByCall(held))
  }

  /** Why whoever asks is not served: a page in a browser, or somebody who means another server. */
  #stranger({ headers }: HttpRequest): EtcdError | undefined {
    const host = headers.host ?? headers[':authority']
    if (typeof host !== 'string' || !this.#parts.hosts(host)) {
      return refuse(
        STATUS.PERMISSION_DENIED,
        `this node does not answer to the name ${JSON.stringify(host ?? '')}`,
      )
    }
    if (headers.origin === undefined) return undefined
    return refuse(STATUS.PERMISSION_DENIED, 'web pages may not use the etcd surface')
  }

  #plain(path: string): { type: Record<string, string>; body: string } | undefined {
    if (path === '/health')
      return { type: { 'content-type': 'text/plain; charset=utf-8' }, body: '{"health":"true"}' }
    if (path !== '/version') return undefined
    const version = JSON.stringify(this.#parts.version)
    return { type: JSON_TYPE, body: `{"etcdserver":${version},"etcdcluster":"3.4.0"}` }
  }

  #call(
    request: HttpRequest,
    answer: HttpAnswer,
    endpoint: Exclude<ReturnType<Endpoints['findGateway']>, undefined>,
    held: HeldByCall,
  ): void {
    const { authorize, ended, log } = this.#parts
    const token = tokenOf(request.headers)
    const refusal = endpoint instanceof EtcdError ? endpoint : authorize(token, endpoint.path)
    if (endpoint instanceof EtcdError || refusal !== undefined) {
      this.#refuse(request, answer, refusal as EtcdError)
      return
    }
    const { remoteAddress = '', remotePort = 0 } = request.socket
    const scope = new CallScope(token, `${remoteAddress}:${remotePort}`)
    if ('unary' in endpoint) {
      void this.#unary(request, answer, endpoint, { scope, held })
      return
    }
    const talk = new GatewayDuplex(request, answer, { endpoint, scope, held, ended, log })
    this.#talks.add(talk)
    answer.once('close', () => this.#talks.delete(talk))
    talk.serve()
  }

  async #unary(
    request: HttpRequest,
    answer: HttpAnswer,
    endpoint: UnaryEndpoint,
    { scope, held }: { scope: CallScope; held: HeldByCall },
  ): Promise<void> {
    const ended = once(this.#parts.ended)
    answer.once('close', () => {
      ended(STATUS.CANCELLED)
      scope.cancel(cancelled())
      held.end()
    })
    try {
      const text = await this.#body(request, held)
      const response = await endpoint.unary(messageIn(endpoint, text) as never, scope)
      if (held.isFullFor(0)) throw answerDropped()
      const told = toJson(endpoint.response, response)
      if (held.isFullFor(told.length)) throw answerDropped()
      held.set(told.length)
      ended(STATUS.OK)
      end(answer, 200, ANSWER_HEADERS, told)
    } catch (error) {
      this.#refuse(request, answer, toStatus(error, this.#parts.log), ended)
    }
  }

  /** @throws EtcdError: too large, too slow, gone */
  #body(request: HttpRequest, held: HeldByCall): Promise<string> {
    const pieces: Buffer[] = []
    let length = 0
    return new Promise((resolve, reject) => {
      const settle = (error?: EtcdError) => {
        clearTimeout(timer)
        request.off('data', onData)
        if (error === undefined) resolve(Buffer.concat(pieces).toString('utf8'))
        else reject(error)
      }
      const onData = (piece: Buffer) => {
        pieces.push(piece)
        length += piece.length
        held.set(length)
        if (length > etcdJsonBytesMax) settle(tooLarge(length))
        else if (held.isFullFor(0)) settle(refusals.tooManyRequests())
      }
      const timer = setTimeout(() => settle(deadlineExceeded()), etcdBodyTimeoutMs)
      request.on('data', onData)
      request.once('end', () => settle())
      request.once('close', () => settle(cancelled()))
    })
  }

  #refuse(request: HttpRequest, answer: HttpAnswer, error: EtcdError, ended = this.#parts.ended): void {
    if (answer.headersSent || answer.writableEnded) return
    ended(error.code)
    end(answer, httpStatus(error), JSON_TYPE, errorBody(error))
    readOn(request)
  }
}

/** A sender who still writes comes to read the answer if it may write on, though not for ever. */
function readOn(request: HttpRequest): void {
  request.resume()
  if (request.complete) return
  const timer = setTimeout(() => request.socket.destroy(), refusedBodyTimeoutMs)
  const settle = () => clearTimeout(timer)
  request.once('end', settle)
  request.once('close', settle)
}

/** @throws EtcdError: no JSON, no message of that type, or too large */
function messageIn(endpoint: UnaryEndpoint, text: string): object {
  let message: object
  try {
    message = fromJson(endpoint.request, firstJsonValue(text) ?? null)
  } catch (error) {
    throw new EtcdError(STATUS.INVALID_ARGUMENT, messageOf(error))
  }
  // Base64 is a third longer: only of a long text can the message be too long.
  if (text.length > MESSAGE_BYTES_MAX) {
    const { length } = encode(endpoint.request, message)
    if (length > MESSAGE_BYTES_MAX) throw tooLarge(length)
  }
  return message
}

function end(answer: HttpAnswer, status: number, headers: Record<string, string>, body: string): void {
  if (answer.writableEnded || answer.destroyed) return
  answer.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  answer.end(body)
}
