/**
 * Direct streams with back-pressure both ways. libp2p 3 gives events instead of a readable: left alone, a slow reader
 * piles up what arrives and a fast writer what it sends. Here a reader that falls behind pauses the stream, and a
 * writer waits for the `drain` event (its promise form resolves only once per stream; dataset-fetch.md D23).
 */
import type { Stream } from '@libp2p/interface'
import { NodeError } from '../base/errors.ts'
import { streamChunkBytes, streamIdleMaxMs, streamWindowBytesMax } from '../base/limits.ts'

/** One direct stream to one proven peer. */
export interface ByteStream {
  /** Peer id of the other side. */
  readonly peer: string
  /** The next chunk, or undefined once the other side has sent all. @throws NodeError STREAM_CLOSED when cut. */
  read(): Promise<Uint8Array | undefined>
  /** Resolves when there is room for more. @throws NodeError STREAM_CLOSED when cut. */
  write(bytes: Uint8Array): Promise<void>
  /** Says that all has been sent; reading goes on. */
  closeWrite(): Promise<void>
  /** Ends both directions at once; the other side sees a cut, never an end. */
  abort(error: Error): void
}

/** Above this many unread bytes the stream is paused, below half of it resumed. */
const READ_AHEAD_BYTES = 4 * streamChunkBytes

export class Libp2pByteStream implements ByteStream {
  readonly peer: string
  readonly #stream: Stream
  #chunks: Uint8Array[] = []
  #unread = 0
  #resuming = false
  #ended = false
  #failure: NodeError | undefined
  #wake: (() => void) | undefined

  constructor(stream: Stream, peer: string) {
    this.peer = peer
    this.#stream = stream
    stream.inactivityTimeout = streamIdleMaxMs
    widenWindow(stream)
    stream.addEventListener('message', (event) => {
      const { data } = event
      // A list of what came: read piece by piece, it need not be copied into one.
      if (data instanceof Uint8Array) this.#received(data)
      else for (const piece of data) this.#received(piece)
    })
    stream.addEventListener('remoteCloseWrite', () => this.#endIfDrained())
    stream.addEventListener('end', () => this.#end())
    stream.addEventListener('close', (event) => {
      if (event.error !== undefined) this.#fail(event.error)
      else this.#end()
    })
    // Events that came before we listened do not come again.
    if (stream.status === 'aborted' || stream.status === 'reset')
      this.#fail(new Error('cut before it was read'))
    else if (stream.readableEnded) this.#end()
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#unread -= chunk.length
        if (this.#unread < READ_AHEAD_BYTES / 2 && this.#stream.readStatus === 'paused') this.#resume()
        return chunk
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += streamChunkBytes) {
      if (this.#failure !== undefined) throw this.#failure
      const chunk = bytes.subarray(from, from + streamChunkBytes)
      try {
        if (!this.#stream.send(chunk) && this.#stream.writableNeedsDrain) await this.#drained()
      } catch (cause) {
        throw cause instanceof NodeError ? cause : closed(this.peer, cause)
      }
    }
  }

  async closeWrite(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      await this.#stream.close({ signal: AbortSignal.timeout(streamIdleMaxMs) })
    } catch (cause) {
      throw closed(this.peer, cause)
    }
  }

  abort(error: Error): void {
    this.#fail(error)
    this.#stream.abort(error)
  }

  #received(bytes: Uint8Array): void {
    this.#chunks.push(bytes)
    this.#unread += bytes.length
    this.#pauseIfBehind()
    this.#wakeReader()
  }

  #pauseIfBehind(): void {
    if (this.#resuming || this.#unread < READ_AHEAD_BYTES) return
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  /**
   * Resuming hands over what came during the pause, and only then asks the other side for more. A pause in between
   * would be forgotten by yamux, which would go on asking until the buffer overflows: it has to wait for the end.
   */
  #resume(): void {
    this.#resuming = true
    try {
      this.#stream.resume()
    } finally {
      this.#resuming = false
    }
    this.#pauseIfBehind()
  }

  /** A stream that closed its sending side while nothing is unread inside libp2p emits no further event. */
  #endIfDrained(): void {
    if (this.#stream.readBufferLength === 0) this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#wakeReader()
  }

  #fail(cause: unknown): void {
    this.#failure ??= closed(this.peer, cause)
    this.#wakeReader()
  }

  #wakeReader(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        this.#stream.removeEventListener('drain', onDrain)
        this.#stream.removeEventListener('close', onClose)
        done()
      }
      const onDrain = () => settle(resolve)
      const onClose = () => settle(() => reject(this.#failure ?? closed(this.peer, undefined)))
      this.#stream.addEventListener('drain', onDrain)
      this.#stream.addEventListener('close', onClose)
    })
  }
}

/**
 * yamux begins with a window of 256 KiB and widens it only while both event loops answer within a few round trips, which
 * on a fast line and a busy machine they never do: such a stream keeps to a tenth of what the line could carry. Windows
 * are the receiver's to grant (yamux specification, "Flow control"), but there is no setting for it; the field is the
 * one that yamux widens by itself.
 */
function widenWindow(stream: Stream): void {
  const muxed = stream as Stream & { recvWindow?: unknown }
  if (typeof muxed.recvWindow === 'number')
    muxed.recvWindow = Math.max(muxed.recvWindow, streamWindowBytesMax)
}

function closed(peer: string, cause: unknown): NodeError {
  return new NodeError('STREAM_CLOSED', `The stream to ${peer} was cut`, { peer }, { cause })
}
