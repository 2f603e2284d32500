/** A gRPC call of many messages: watches, leases that are kept alive, a snapshot. */
import { constants, type ServerHttp2Stream } from 'node:http2'
import { messageOf } from '../../base/errors.ts'
import { EtcdError, refusals, STATUS, toStatus } from '../status.ts'
import { HeldByCall } from './call-scope.ts'
import { decode } from './codec.ts'
import type { DuplexEndpoint } from './endpoints.ts'
import { FrameReader, frameOf } from './frames.ts'
import { ANSWER, cancelled, statusHeaders, WELL_DONE, WITH_TRAILERS } from './grpc-headers.ts'
import { type GrpcCallParts, hangUp, refuseStream } from './grpc-unary.ts'
import type { CallContext, Duplex } from './service.ts'

export class GrpcDuplex implements Duplex {
  readonly #stream: ServerHttp2Stream
  readonly #endpoint: DuplexEndpoint
  readonly #parts: GrpcCallParts
  readonly #frames = new FrameReader()
  #onMessage: ((request: never) => void) | undefined
  #onEnd: (() => void) | undefined
  #onClose: (() => void) | undefined
  #onDrain: (() => void) | undefined
  /** The client has not taken what was written; until it has, no more is taken from it. */
  #blocked = false
  #clientDone = false
  #endTold = false
  /** No more is written. */
  #over = false
  #closed = false
  readonly #held: HeldByCall
  #trailers: Readonly<Record<string, string>> = WELL_DONE

  constructor(stream: ServerHttp2Stream, endpoint: DuplexEndpoint, parts: GrpcCallParts) {
    this.#stream = stream
    this.#endpoint = endpoint
    this.#parts = parts
    this.#held = new HeldByCall(parts.held)
  }

  get context(): CallContext {
    return this.#parts.scope
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
    const stream = this.#stream
    stream.on('close', () => this.#close())
    stream.on('wantTrailers', () => {
      stream.sendTrailers(this.#trailers)
      hangUp(stream)
    })
    this.#guarded(() => this.#endpoint.duplex(this))
    if (this.#over) return
    stream.on('drain', () => this.#drain())
    stream.on('data', (piece: Buffer) => {
      // What comes after the end is passed over.
      if (this.#over) return
      this.#frames.push(piece)
      this.#deliver()
      this.#count()
      if (this.#frames.length > 0 && this.#held.isFullFor(0)) this.#overfull()
    })
    stream.on('end', () => {
      this.#clientDone = true
      this.#deliver()
    })
  }

  write(response: object): boolean {
    const stream = this.#stream
    if (this.#over || stream.destroyed || stream.closed) return false
    const wrote = this.#guarded(() => {
      const frame = frameOf(this.#endpoint.response, response)
      if (this.#held.isFullFor(frame.length)) {
        this.#overfull()
        return
      }
      if (!stream.headersSent) stream.respond(ANSWER, WITH_TRAILERS)
      const room = stream.write(frame, this.#count)
      this.#count()
      if (room) return
      this.#blocked = true
      stream.pause()
    })
    return wrote && !this.#blocked && !this.#over
  }

  end(error?: EtcdError): void {
    if (this.#over) return
    this.#over = true
    this.#parts.ended(error?.code ?? STATUS.OK)
    const stream = this.#stream
    if (stream.destroyed || stream.closed) return
    if (error !== undefined) this.#trailers = statusHeaders(error)
    // What the client still says is passed over, so that its stream comes to an end.
    stream.resume()
    if (stream.headersSent) stream.end()
    else refuseStream(stream, error ?? new EtcdError(STATUS.OK, ''))
  }

  #drain(): void {
    if (!this.#blocked) return
    this.#blocked = false
    this.#guarded(() => this.#onDrain?.())
    this.#deliver()
    this.#count()
    if (!this.#blocked && !this.#stream.destroyed) this.#stream.resume()
  }

  /** Parts of messages that are not whole, and answers that the client has not taken. */
  readonly #count = () => {
    this.#held.set(this.#frames.length + this.#stream.writableLength)
  }

  /** Ends the call, and what it holds with it: a status would only stand in line behind that. */
  #overfull(): void {
    const stream = this.#stream
    if (this.#over) return
    if (!stream.headersSent) {
      this.end(refusals.tooManyRequests())
      return
    }
    this.#over = true
    this.#parts.ended(STATUS.RESOURCE_EXHAUSTED)
    // gRPC's clients take this for RESOURCE_EXHAUSTED (grpc: doc/PROTOCOL-HTTP2.md, Errors).
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  /** Hands on what has come as long as the client takes what is answered. */
  #deliver(): void {
    this.#guarded(() => {
      while (!this.#blocked && !this.#over) {
        const message = this.#frames.next()
        if (message === undefined) break
        this.#onMessage?.(this.#decoded(message) as never)
      }
    })
    if (!this.#clientDone || this.#endTold || this.#blocked || this.#over) return
    this.#endTold = true
    if (this.#frames.length > 0) this.end(new EtcdError(STATUS.INTERNAL, 'unexpected EOF'))
    else this.#guarded(() => this.#onEnd?.())
  }

  #decoded(message: Buffer): object {
    try {
      return decode(this.#endpoint.request, message)
    } catch (error) {
      const text = `grpc: failed to unmarshal the received message ${messageOf(error)}`
      throw new EtcdError(STATUS.INTERNAL, text)
    }
  }

  /** Ends the call with what `step` throws. @returns false then */
  #guarded(step: () => void): boolean {
    try {
      step()
      return true
    } catch (error) {
      this.end(toStatus(error, this.#parts.log))
      return false
    }
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    if (!this.#over) this.#parts.ended(STATUS.CANCELLED)
    this.#over = true
    this.#held.end()
    this.#parts.scope.cancel(cancelled())
    try {
      this.#onClose?.()
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, 'the end of a call of an etcd client failed')
    }
  }
}
