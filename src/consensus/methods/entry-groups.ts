/** One part of all versions' entries (entry-parts.ts), grouped by their names. */
import type { Ending } from './entry.ts'
import { HEAD_BYTES, SAME } from './entry-parts.ts'
import { KeyTable } from './key-table.ts'
import type { KeyedHash } from './keyed-hash.ts'

/** What one version says under one name. */
export interface Spoken {
  readonly version: number
  /** Its place in its version, from 0. */
  readonly ordinal: number
  readonly ending: Ending
  /** As it was written. */
  readonly written: Uint8Array
  /** What it says (entry.ts). */
  readonly value: Uint8Array
}

export class EntryGroups {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #table: KeyTable
  /** Where each entry begins, and the next one of its group plus one. */
  readonly #places: Uint32Array
  readonly #next: Uint32Array
  /** The first entry of each group; versions come in the order in which they were read. */
  readonly #heads: Uint32Array

  constructor(bytes: Uint8Array, hash: KeyedHash) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#table = new KeyTable(hash)
    let count = 0
    for (let at = 0; at < bytes.length; count += 1) at = this.#end(at)
    this.#places = new Uint32Array(count)
    this.#next = new Uint32Array(count)
    this.#heads = new Uint32Array(count)
    const tails = new Uint32Array(count)
    for (let at = 0, entry = 0; at < bytes.length; entry += 1) {
      this.#places[entry] = at
      const known = this.#table.size
      const group = this.#table.number(
        bytes,
        at + HEAD_BYTES,
        at + HEAD_BYTES + this.#view.getUint32(at + 12, true),
      )
      if (group === known) this.#heads[group] = entry
      else this.#next[tails[group] as number] = entry + 1
      tails[group] = entry
      at = this.#end(at)
    }
  }

  get count(): number {
    return this.#table.size
  }

  key(group: number): Uint8Array {
    return this.#table.key(group)
  }

  /** Views into the part; what was written alike, as most is, has the same ones. */
  spoken(group: number): Spoken[] {
    const found: Spoken[] = []
    let last: { readonly at: number; readonly spoken: Spoken } | undefined
    for (
      let entry = (this.#heads[group] as number) + 1;
      entry !== 0;
      entry = this.#next[entry - 1] as number
    ) {
      const at = this.#places[entry - 1] as number
      const like = last !== undefined && this.#isLike(last.at, at) ? last.spoken : undefined
      last = { at, spoken: this.#spoken(at, like) }
      found.push(last.spoken)
    }
    return found
  }

  #spoken(at: number, like: Spoken | undefined): Spoken {
    const view = this.#view
    const [version, ordinal] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const ending = view.getUint32(at + 8, true) as Ending
    if (like !== undefined) return { version, ordinal, ending, written: like.written, value: like.value }
    const start = at + HEAD_BYTES + view.getUint32(at + 12, true)
    const end = start + view.getUint32(at + 16, true)
    const size = view.getUint32(at + 20, true)
    const written = this.#bytes.subarray(start, end)
    const value = size === SAME ? written : this.#bytes.subarray(end, end + size)
    return { version, ordinal, ending, written, value }
  }

  /** Whether two entries of one group were written with the same bytes, and so say the same. */
  #isLike(a: number, b: number): boolean {
    const view = this.#view
    const size = view.getUint32(a + 16, true)
    if (view.getUint32(b + 16, true) !== size) return false
    const bytes = this.#bytes
    // Their names are equal, and so are these lengths.
    const head = HEAD_BYTES + view.getUint32(a + 12, true)
    for (let i = a + head, j = b + head, end = i + size; i < end; i += 1, j += 1) {
      if (bytes[i] !== bytes[j]) return false
    }
    return true
  }

  #end(at: number): number {
    const view = this.#view
    const value = view.getUint32(at + 20, true)
    return (
      at +
      HEAD_BYTES +
      view.getUint32(at + 12, true) +
      view.getUint32(at + 16, true) +
      (value === SAME ? 0 : value)
    )
  }
}
