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

  /** Views into the part. */
  spoken(group: number): Spoken[] {
    const found: Spoken[] = []
    for (
      let entry = (this.#heads[group] as number) + 1;
      entry !== 0;
      entry = this.#next[entry - 1] as number
    ) {
      found.push(this.#spoken(this.#places[entry - 1] as number))
    }
    return found
  }

  #spoken(at: number): Spoken {
    const view = this.#view
    const start = at + HEAD_BYTES + view.getUint32(at + 12, true)
    const end = start + view.getUint32(at + 16, true)
    const value = view.getUint32(at + 20, true)
    const written = this.#bytes.subarray(start, end)
    return {
      version: view.getUint32(at, true),
      ordinal: view.getUint32(at + 4, true),
      ending: view.getUint32(at + 8, true) as Ending,
      written,
      value: value === SAME ? written : this.#bytes.subarray(end, end + value),
    }
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
