import { EMPTY_BYTES } from './schema.ts'

/**
 * Bytes that come in pieces, in one run of memory. What came as one piece is not copied; of others each byte is copied
 * about twice, however small the pieces are.
 */
export class GatheredBytes {
  #bytes: Buffer = EMPTY_BYTES
  #length = 0
  /** Whether `#bytes` was made here, and may have room behind `#length`. */
  #ours = false

  get length(): number {
    return this.#length
  }

  /** A view of what is there. */
  get bytes(): Buffer {
    return this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length)
  }

  /** `most` is how many are expected at the most: room for more than that is made only when they come. */
  push(piece: Buffer, most: number): void {
    if (this.#length === 0) {
      this.#bytes = piece
      this.#length = piece.length
      this.#ours = false
      return
    }
    const length = this.#length + piece.length
    if (!this.#ours || this.#bytes.length < length) {
      // Room for all that is announced would be a gift to whoever announces much and sends little.
      const room = most < length ? 2 * length : Math.min(most, 2 * length)
      const larger = Buffer.allocUnsafeSlow(room)
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
      this.#ours = true
    }
    piece.copy(this.#bytes, this.#length)
    this.#length = length
  }

  /** Takes the first so many away: a view. */
  take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = length === this.#length ? EMPTY_BYTES : this.#bytes.subarray(length, this.#length)
    this.#length -= length
    this.#ours = false
    return taken
  }
}
