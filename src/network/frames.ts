import { NodeError } from '../base/errors.ts'
import { frameBytesMax } from '../base/limits.ts'
import type { ByteStream } from './byte-stream.ts'

const HEADER_BYTES = 4

/** Messages on a stream: each is preceded by its length, an unsigned 32-bit big-endian number of bytes. */
export class Frames {
  readonly #stream: ByteStream
  readonly #bytesMax: number
  #rest: Uint8Array = new Uint8Array(0)

  constructor(stream: ByteStream, bytesMax: number = frameBytesMax) {
    this.#stream = stream
    this.#bytesMax = bytesMax
  }

  /** @throws NodeError TOO_LARGE before anything is sent. */
  async write(message: Uint8Array): Promise<void> {
    this.#check(message.length)
    const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length)
    frame.writeUInt32BE(message.length, 0)
    frame.set(message, HEADER_BYTES)
    await this.#stream.write(frame)
  }

  /**
   * The next message, or undefined at the end. An announced length above the bound is refused before a byte of it is
   * kept, and the stream is reset: what follows cannot be told apart any more.
   *
   * @throws NodeError TOO_LARGE, or STREAM_CLOSED when the stream ends inside a message.
   */
  async read(): Promise<Uint8Array | undefined> {
    const header = await this.#take(HEADER_BYTES)
    if (header === undefined) return undefined
    const length = Buffer.from(header.buffer, header.byteOffset, HEADER_BYTES).readUInt32BE(0)
    try {
      this.#check(length)
    } catch (error) {
      this.#stream.abort(error as NodeError)
      throw error
    }
    const message = await this.#take(length)
    if (message === undefined && length > 0) throw this.#cut()
    return message ?? new Uint8Array(0)
  }

  async #take(count: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [this.#rest]
    let have = this.#rest.length
    while (have < count) {
      const chunk = await this.#stream.read()
      if (chunk === undefined) {
        if (have === 0) return undefined
        throw this.#cut()
      }
      parts.push(chunk)
      have += chunk.length
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts)
    this.#rest = all.subarray(count)
    return all.subarray(0, count)
  }

  #check(length: number): void {
    if (length <= this.#bytesMax) return
    throw new NodeError('TOO_LARGE', `A message has at most ${this.#bytesMax} bytes, this one ${length}`)
  }

  #cut(): NodeError {
    return new NodeError('STREAM_CLOSED', `The stream from ${this.#stream.peer} ended inside a message`)
  }
}
