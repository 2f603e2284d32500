/** A call of many messages through the gateway: JSON objects in a row come, and one a line goes. */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { messageOf } from '../../base/errors.ts'
import { etcdJsonBytesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { EtcdError, refusals, STATUS, toStatus } from '../status.ts'
import type { CallEnded } from './call-counts.ts'
import type { CallScope, HeldByCall } from './call-scope.ts'
import type { DuplexEndpoint } from './endpoints.ts'
import { errorBody, errorLine, httpStatus } from './gateway-errors.ts'
import { cancelled, GRPC_TYPE } from './grpc-headers.ts'
import { fromJson, toJson } from './json.ts'
import { JsonSplitter } from './json-splitter.ts'
import { firstJsonValue } from './json-text.ts'
import type { CallContext, Duplex } from './service.ts'

export type HttpRequest = IncomingMessage | Http2ServerRequest
/** What is used of the answers of both versions of HTTP. */
export interface HttpAnswer {
  readonly headersSent: boolean
  readonly writableEnded: boolean
  readonly destroyed: boolean
  /** Bytes that were not sent yet. */
  readonly writableLength: number
  on(event: 'close' | 'drain', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  once(event: 'close', listener: () => void): unknown
  writeHead(status: number, headers: Record<string, string>): unknown
  write(text: string, sent: () => void): boolean
  end(text: string): unknown
  destroy(): unknown
}

export interface GatewayDuplexParts {
  readonly endpoint: DuplexEndpoint
  readonly scope: CallScope
  readonly held: HeldByCall
  readonly ended: CallEnded
  readonly log: Logger
}

/** What etcd's gateway says of the answer it hands on. */
export const ANSWER_HEADERS = { 'content-type': 'application/json', 'grpc-metadata-content-type': GRPC_TYPE }

export class GatewayDuplex implements Duplex {
  readonly context: CallContext
  readonly #request: HttpRequest
  readonly #answer: HttpAnswer
  readonly #endpoint: DuplexEndpoint
  readonly #scope: CallScope
  readonly #held: HeldByCall
  readonly #ended: CallEnded
  readonly #log: Logger
  readonly #splitter = new JsonSplitter()
  #onMessage: ((request: never) => void) | undefined
  #onEnd: (() => void) | undefined
  #onClose: (() => void) | undefined
  #onDrain: (() => void) | undefined
  #blocked = false
  #bodyEnded = false
  #endTold = false
  #messages = 0
  #over = false
  #closed = false

  constructor(request: HttpRequest, answer: HttpAnswer, parts: GatewayDuplexParts) {
    const { endpoint, scope, held, ended, log } = parts
    this.#request = request
    this.#answer = answer
    this.#endpoint = endpoint
    this.#scope = scope
    this.#held = held
    this.#ended = ended
    this.#log = log
    this.context = scope
  }

  onMessage(heard: (request: never) => void): void {
    this.#onMessage = heard
  }

  onEnd(heard: () => void): void {
    this.#onEnd = heard
  }

  onClose(heard: () => void): void {
    this.#onClose = heard
  }

  onDrain(heard: () => void): void {
    this.#onDrain = heard
  }

  serve(): void {
    this.#answer.on('close', () => this.#close())
    this.#guarded(() => this.#endpoint.duplex(this))
    if (this.#over) return
    this.#answer.on('drain', () => this.#drain())
    this.#request.on('data', (piece: Buffer) => {
      // What comes behind the one request of a call with many answers is passed over, as etcd does.
      if (this.#over || (!this.#endpoint.requestStream && this.#messages > 0)) return
      this.#splitter.push(piece)
      this.#deliver()
      this.#count()
      if (this.#splitter.length > 0 && this.#held.isFullFor(0)) this.#overfull()
    })
    this.#request.on('end', () => {
      this.#bodyEnded = true
      this.#deliver()
    })
  }

  write(response: object): boolean {
    if (this.#over || this.#closed) return false
    const wrote = this.#guarded(() => {
      const line = `{"result":${toJson(this.#endpoint.response, response)}}\n`
      if (this.#held.isFullFor(line.length)) {
        this.#overfull()
        return
      }
      if (!this.#answer.headersSent) this.#answer.writeHead(200, ANSWER_HEADERS)
      const room = this.#answer.write(line, this.#count)
      this.#count()
      if (room) return
      this.#blocked = true
      this.#request.pause()
    })
    return wrote && !this.#blocked && !this.#over
  }

  end(error?: EtcdError): void {
    if (this.#over) return
    this.#over = true
    this.#ended(error?.code ?? STATUS.OK)
    this.#request.resume()
    const answer = this.#answer
    if (this.#closed) return
    if (!answer.headersSent) {
      const status = error === undefined ? 200 : httpStatus(error)
      answer.writeHead(status, error === undefined ? ANSWER_HEADERS : { 'content-type': 'application/json' })
    }
    answer.end(error === undefined ? '' : errorLine(error))
  }

  #drain(): void {
    if (!this.#blocked) return
    this.#blocked = false
    this.#guarded(() => this.#onDrain?.())
    this.#deliver()
    this.#count()
    if (!this.#blocked) this.#request.resume()
  }

  /** Requests that are not whole, or not looked at yet, and answers that the client has not taken. */
  readonly #count = () => {
    this.#held.set(this.#splitter.length + this.#answer.writableLength)
  }

  /** Ends the call, and what it holds with it: a word would only stand in line behind that. */
  #overfull(): void {
    if (this.#over) return
    if (!this.#answer.headersSent) {
      this.end(refusals.tooManyRequests())
      return
    }
    this.#over = true
    this.#ended(STATUS.RESOURCE_EXHAUSTED)
    this.#answer.destroy()
  }

  #deliver(): void {
    while (!this.#blocked && !this.#over) {
      const text = this.#splitter.next() ?? (this.#bodyEnded ? this.#rest() : undefined)
      if (text === undefined) break
      this.#messages++
      this.#hear(text)
      if (!this.#endpoint.requestStream) break
    }
    if (this.#splitter.length > etcdJsonBytesMax) {
      this.#unreadable(new EtcdError(STATUS.RESOURCE_EXHAUSTED, 'etcdserver: request is too large'))
    }
    if (!this.#bodyEnded || this.#endTold || this.#blocked || this.#over) return
    this.#endTold = true
    this.#guarded(() => this.#onEnd?.())
  }

  /** Where a request is due, nothing stands for an empty one. */
  #rest(): string | undefined {
    return this.#splitter.rest() ?? (this.#endpoint.requestStream || this.#messages > 0 ? undefined : '{}')
  }

  #hear(text: string): void {
    let request: object
    try {
      request = fromJson(this.#endpoint.request, firstJsonValue(text) ?? null)
    } catch (error) {
      this.#unreadable(
        new EtcdError(
          this.#endpoint.requestStream ? STATUS.UNKNOWN : STATUS.INVALID_ARGUMENT,
          messageOf(error),
        ),
      )
      return
    }
    this.#guarded(() => this.#onMessage?.(request as never))
  }

  /** etcd ends a stream without a word at what it cannot read, if it has answered something before. */
  #unreadable(error: EtcdError): void {
    if (this.#over) return
    if (this.#answer.headersSent) {
      this.end()
      return
    }
    this.#over = true
    this.#ended(error.code)
    this.#request.resume()
    this.#answer.writeHead(httpStatus(error), { 'content-type': 'application/json' })
    this.#answer.end(errorBody(error))
  }

  #guarded(step: () => void): boolean {
    try {
      step()
      return true
    } catch (error) {
      this.end(toStatus(error, this.#log))
      return false
    }
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    if (!this.#over) this.#ended(STATUS.CANCELLED)
    this.#over = true
    this.#held.end()
    this.#scope.cancel(cancelled())
    try {
      this.#onClose?.()
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the end of a call of an etcd client failed')
    }
  }
}
