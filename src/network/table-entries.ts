import { tableEntriesMax, tableEntriesPerPeerMax } from '../base/limits.ts'

/**
 * Who has which entries of the distributed table kept here. One peer cannot fill it: beyond its own share its oldest
 * entry goes, and when all is full one of whoever has most, so that the honest, who have few, stay.
 */
export class TableEntries {
  readonly #byOwner = new Map<string, Set<string>>()
  #size = 0

  /** Counts an entry. @returns those that have to go for it. */
  add(name: string): string[] {
    const owner = ownerOf(name)
    const own = this.#byOwner.get(owner) ?? new Set<string>()
    if (own.has(name)) return []
    const gone: string[] = []
    if (own.size >= tableEntriesPerPeerMax) gone.push(...first(own))
    else if (this.#size >= tableEntriesMax) gone.push(...first(this.#largest()))
    for (const one of gone) this.remove(one)
    own.add(name)
    this.#byOwner.set(owner, own)
    this.#size += 1
    return gone
  }

  remove(name: string): void {
    const owner = ownerOf(name)
    const own = this.#byOwner.get(owner)
    if (own?.delete(name) !== true) return
    this.#size -= 1
    if (own.size === 0) this.#byOwner.delete(owner)
  }

  #largest(): ReadonlySet<string> {
    let largest: ReadonlySet<string> = new Set()
    for (const own of this.#byOwner.values()) if (own.size > largest.size) largest = own
    return largest
  }
}

/** The provider, which is the last part of its key; what is no provider's entry has one owner together. */
function ownerOf(name: string): string {
  return /\/provider\/[^/]+\/([^/]+)$/.exec(name)?.[1] ?? ''
}

function first(names: ReadonlySet<string>): string[] {
  for (const name of names) return [name]
  return []
}
