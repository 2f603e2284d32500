import { entriesShownMax, entryNameCharactersMax } from '../../base/limits-consensus.ts'
import { printable } from '../../base/strangers-words.ts'
import { compareBytes } from './entry.ts'
import type { EntryDifferences, EntryList } from './file-merge.ts'

const text = new TextDecoder()

/** Counts names of entries and keeps those that are first in the order of their bytes. */
export class FirstNames {
  #count = 0
  #first: Uint8Array[] = []

  /** @param name a view that may change afterwards. */
  add(name: Uint8Array): void {
    this.#count += 1
    const last = this.#first.at(-1)
    if (last !== undefined && this.#first.length === entriesShownMax && compareBytes(name, last) > 0) return
    const place = this.#first.findIndex((other) => compareBytes(name, other) < 0)
    this.#first.splice(place < 0 ? this.#first.length : place, 0, Uint8Array.from(name))
    if (this.#first.length > entriesShownMax) this.#first.pop()
  }

  get count(): number {
    return this.#count
  }

  list(): EntryList {
    return { count: this.#count, first: this.#first.map(shown) }
  }
}

/** Where one version departs from what was agreed. */
export class Departures {
  readonly missing = new FirstNames()
  readonly extra = new FirstNames()
  readonly different = new FirstNames()

  list(): EntryDifferences {
    return { missing: this.missing.list(), extra: this.extra.list(), different: this.different.list() }
  }
}

/** A stranger's name of an entry, short and steering nothing. */
export function shown(name: Uint8Array): string {
  // A character takes four bytes at most.
  const head = text.decode(name.subarray(0, 4 * entryNameCharactersMax))
  const characters = [...printable(head, '', ' ')]
  if (characters.length <= entryNameCharactersMax && name.length <= 4 * entryNameCharactersMax)
    return characters.join('')
  return `${characters.slice(0, entryNameCharactersMax - 1).join('')}…`
}
