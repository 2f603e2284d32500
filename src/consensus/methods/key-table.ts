/** Names of entries, numbered in the order in which they come: a table with open addressing over one stretch of bytes. */
import type { KeyedHash } from './keyed-hash.ts'

const SLOTS_FIRST = 64
const BYTES_FIRST = 512

export class KeyTable {
  readonly #hash: KeyedHash
  /** Number of the key plus one, 0 where a slot is free; never more than half full. */
  #slots = new Uint32Array(SLOTS_FIRST)
  #hashes = new Uint32Array(SLOTS_FIRST / 2)
  /** Where each key begins; the next one's beginning is its end. */
  #starts = new Uint32Array(SLOTS_FIRST / 2 + 1)
  #bytes = new Uint8Array(BYTES_FIRST)
  size = 0

  constructor(hash: KeyedHash) {
    this.#hash = hash
  }

  /** The key's number; it is new when that is what `size` was before. */
  number(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.#hash.of(bytes, start, end)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot] as number
      if (found === 0) return this.#add(slot, hash, bytes, start, end)
      if (this.#hashes[found - 1] === hash && this.#equals(found - 1, bytes, start, end)) return found - 1
    }
  }

  /** The bytes of a key; a view, good until the next `number`. */
  key(number: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[number], this.#starts[number + 1])
  }

  #equals(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    let at = this.#starts[number] as number
    if ((this.#starts[number + 1] as number) - at !== end - start) return false
    for (let i = start; i < end; i += 1, at += 1) if (this.#bytes[at] !== bytes[i]) return false
    return true
  }

  #add(slot: number, hash: number, bytes: Uint8Array, start: number, end: number): number {
    const number = this.size
    const from = this.#starts[number] as number
    const to = from + end - start
    if (to > this.#bytes.length) this.#bytes = grown(this.#bytes, Math.max(to, 2 * this.#bytes.length))
    for (let i = start, at = from; i < end; i += 1, at += 1) this.#bytes[at] = bytes[i] as number
    this.#starts[number + 1] = to
    this.#hashes[number] = hash
    this.#slots[slot] = number + 1
    this.size += 1
    if (2 * this.size >= this.#slots.length) this.#widen()
    return number
  }

  #widen(): void {
    const slots = new Uint32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let number = 0; number < this.size; number += 1) {
      let slot = (this.#hashes[number] as number) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = number + 1
    }
    this.#slots = slots
    const hashes = new Uint32Array(slots.length / 2)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const starts = new Uint32Array(slots.length / 2 + 1)
    starts.set(this.#starts)
    this.#starts = starts
  }
}

function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const wider = new Uint8Array(size)
  wider.set(bytes)
  return wider
}
