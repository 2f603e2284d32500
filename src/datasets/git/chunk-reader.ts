import { NodeError } from '../../base/errors.ts'

/** Lines and counted bytes out of a stream of chunks that respects neither. */
export class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /**
   * The next line without its end, or undefined at the end of the stream.
   *
   * @throws NodeError TOO_LARGE above `bytesMax`, STREAM_CLOSED when the stream ends inside a line.
   */
  async line(bytesMax: number): Promise<string | undefined> {
    const before: Buffer[] = []
    let bytes = 0
    for (;;) {
      const end = this.#rest.indexOf(0x0a)
      const piece = end === -1 ? this.#rest : this.#rest.subarray(0, end)
      bytes += piece.length
      if (bytes > bytesMax) throw new NodeError('TOO_LARGE', `A line has at most ${bytesMax} bytes`)
      if (end !== -1) {
        this.#rest = this.#rest.subarray(end + 1)
        return before.length === 0
          ? piece.toString('utf8')
          : Buffer.concat([...before, piece]).toString('utf8')
      }
      // Put together once, at its end: a line may come byte by byte.
      if (piece.length > 0) before.push(piece)
      this.#rest = Buffer.alloc(0)
      const next = await this.#source.next()
      if (next.done === true) {
        if (bytes === 0) return undefined
        throw endedInside('a line')
      }
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
    }
  }

  /** Exactly `count` bytes in pieces; to be read to their end before anything else is. */
  async *pieces(count: number): AsyncGenerator<Buffer, void, undefined> {
    let left = count
    while (left > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next()
        if (next.done === true) throw endedInside('what was announced')
        this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
      }
      const piece = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      if (piece.length > 0) yield piece
    }
  }

  /** Exactly `count` bytes at once. */
  async bytes(count: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of this.pieces(count)) pieces.push(piece)
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  }

  /** Exactly `count` bytes if they are here already: nobody has to wait for what has come. */
  take(count: number): Buffer | undefined {
    if (this.#rest.length < count) return undefined
    const bytes = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return bytes
  }

  /** At least one of the next `count` bytes and at most all of them, as they come; none is copied. */
  async upTo(count: number): Promise<Buffer> {
    if (await this.atEnd()) throw endedInside('what was announced')
    const bytes = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(bytes.length)
    return bytes
  }

  /** Whether the stream has ended; waits until that is known. */
  async atEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) return true
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
    }
    return false
  }

  /** The next chunk as it comes, or undefined at the end. */
  async chunk(): Promise<Uint8Array | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest
      this.#rest = Buffer.alloc(0)
      return rest
    }
    const next = await this.#source.next()
    return next.done === true ? undefined : next.value
  }
}

function endedInside(what: string): NodeError {
  return new NodeError('STREAM_CLOSED', `The stream ended inside ${what}`)
}
