/** A gRPC call of one request and one answer: the quick path, on which most calls come. */
import type { ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { EtcdError, refusals, STATUS, toStatus } from '../status.ts'
import type { CallEnded } from './call-counts.ts'
import { answerDropped, type CallScope, type HeldBytes } from './call-scope.ts'
import { decode } from './codec.ts'
import type { UnaryEndpoint } from './endpoints.ts'
import { FrameReader, frameOf } from './frames.ts'
import { ANSWER, cancelled, statusHeaders, WELL_DONE, WITH_TRAILERS, WITHOUT_BODY } from './grpc-headers.ts'

export interface GrpcCallParts {
  readonly scope: CallScope
  readonly held: HeldBytes
  readonly ended: CallEnded
  readonly log: Logger
}

export class GrpcUnary {
  readonly #stream: ServerHttp2Stream
  readonly #endpoint: UnaryEndpoint
  readonly #parts: GrpcCallParts
  readonly #frames = new FrameReader()
  #asked = false
  #over = false
  #held = 0

  constructor(stream: ServerHttp2Stream, endpoint: UnaryEndpoint, parts: GrpcCallParts) {
    this.#stream = stream
    this.#endpoint = endpoint
    this.#parts = parts
  }

  serve(): void {
    const stream = this.#stream
    stream.on('data', (piece: Buffer) => this.#take(piece))
    stream.on('end', () => this.#ended())
    stream.on('close', () => this.#close())
    stream.on('wantTrailers', () => this.#finish())
  }

  /** Answers with that status; what the handler says later is dropped. */
  refuse(error: EtcdError): void {
    if (this.#over) return
    this.#over = true
    this.#parts.ended(error.code)
    this.#parts.scope.cancel(error)
    refuseStream(this.#stream, error)
  }

  #take(piece: Buffer): void {
    // One message is a request; what comes behind it is nobody's.
    if (this.#asked || this.#over) return
    this.#frames.push(piece)
    let message: Buffer | undefined
    try {
      message = this.#frames.next()
    } catch (error) {
      this.refuse(toStatus(error, this.#parts.log))
      return
    }
    if (message === undefined) {
      this.#hold(piece.length)
      return
    }
    this.#asked = true
    // Before anything is done: an answer that nobody takes would be held too.
    if (this.#parts.held.isFull) this.refuse(refusals.tooManyRequests())
    else this.#answer(message)
  }

  #answer(message: Buffer): void {
    const { request, unary } = this.#endpoint
    let decoded: object
    try {
      decoded = decode(request, message)
    } catch (error) {
      const text = `grpc: error unmarshalling request: ${messageOf(error)}`
      this.refuse(new EtcdError(STATUS.INTERNAL, text))
      return
    }
    try {
      const answer = unary(decoded as never, this.#parts.scope)
      if (answer instanceof Promise)
        answer.then((response) => this.#send(response)).catch((e) => this.#fail(e))
      else this.#send(answer)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (!this.#over) this.refuse(toStatus(error, this.#parts.log))
  }

  #send(response: object): void {
    const stream = this.#stream
    if (this.#over || stream.destroyed || stream.closed) return
    // Answers that were not ready before others filled what there is.
    if (this.#parts.held.isFull) {
      this.refuse(answerDropped())
      return
    }
    const frame = frameOf(this.#endpoint.response, response)
    if (this.#parts.held.isFullFor(frame.length)) {
      this.refuse(answerDropped())
      return
    }
    this.#over = true
    this.#parts.ended(STATUS.OK)
    this.#hold(frame.length)
    stream.respond(ANSWER, WITH_TRAILERS)
    stream.end(frame)
  }

  #finish(): void {
    this.#stream.sendTrailers(WELL_DONE)
    hangUp(this.#stream)
  }

  #ended(): void {
    if (this.#asked) return
    const text = this.#frames.length === 0 ? 'EOF' : 'unexpected EOF'
    this.refuse(new EtcdError(STATUS.UNKNOWN, text))
  }

  #hold(bytes: number): void {
    this.#held += bytes
    this.#parts.held.add(bytes)
    if (this.#parts.held.isFull && !this.#over) this.refuse(refusals.tooManyRequests())
  }

  #close(): void {
    this.#parts.held.remove(this.#held)
    this.#held = 0
    if (this.#over) return
    this.#over = true
    this.#parts.ended(STATUS.CANCELLED)
    this.#parts.scope.cancel(cancelled())
  }
}

/** An answer that is a status alone. */
export function refuseStream(stream: ServerHttp2Stream, error: EtcdError): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return
  stream.respond({ ...ANSWER, ...statusHeaders(error) }, WITHOUT_BODY)
  // Somebody has to take what is on its way, for the stream to come to its end.
  stream.resume()
  hangUp(stream)
}

/** Tells a client that still sends that nobody listens, once it has been sent its answer. */
export function hangUp(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.destroyed && !stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
}
