/**
 * HalfSipHash-1-3 (Aumasson & Bernstein 2012, and their reference implementation): a hash of 32 bits for tables whose
 * keys strangers choose. Who does not know the key cannot write rows that all fall into one place.
 */
export class KeyedHash {
  readonly #low: number
  readonly #high: number

  /** @param key of which the first eight bytes are used. */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
    this.#low = view.getInt32(0, true)
    this.#high = view.getInt32(4, true)
  }

  /** Of the bytes from `start` up to and without `end`; 0 to 2^32 - 1. */
  of(bytes: Uint8Array, start: number, end: number): number {
    let [v0, v1, v2, v3] = [this.#low, this.#high, this.#low ^ 0x6c796765, this.#high ^ 0x74656462]
    const whole = end - ((end - start) & 3)
    let at = start
    // The last turn takes the bytes that are left and the length; those after it only mix.
    for (let turn = 0; ; ) {
      let word = 0
      if (at < whole) {
        word =
          byte(bytes, at) |
          (byte(bytes, at + 1) << 8) |
          (byte(bytes, at + 2) << 16) |
          (byte(bytes, at + 3) << 24)
        at += 4
      } else if (turn === 0) {
        word = (end - start) << 24
        for (let shift = 0; at < end; at += 1, shift += 8) word |= byte(bytes, at) << shift
        turn = 1
      } else {
        turn += 1
      }
      if (turn === 2) v2 ^= 0xff
      if (turn < 2) v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = (v1 << 5) | (v1 >>> 27)
      v1 ^= v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = (v3 << 8) | (v3 >>> 24)
      v3 ^= v2
      v0 = (v0 + v3) | 0
      v3 = (v3 << 7) | (v3 >>> 25)
      v3 ^= v0
      v2 = (v2 + v1) | 0
      v1 = (v1 << 13) | (v1 >>> 19)
      v1 ^= v2
      v2 = (v2 << 16) | (v2 >>> 16)
      if (turn < 2) v0 ^= word
      if (turn === 4) return (v1 ^ v3) >>> 0
    }
  }
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}
