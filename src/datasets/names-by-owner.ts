/** The names of each owner's datasets in their order, of which the first `max` count. Pure but for what it remembers. */
export class NamesByOwner {
  readonly #max: number
  readonly #names = new Map<string, string[]>()

  constructor(max: number) {
    this.#max = max
  }

  /** @returns names that have changed sides with it. */
  add(owner: string, name: string): string[] {
    const names = this.#names.get(owner) ?? []
    this.#names.set(owner, names)
    const at = placeIn(names, name)
    if (names[at] === name) return []
    names.splice(at, 0, name)
    return at < this.#max ? names.slice(this.#max, this.#max + 1) : []
  }

  /** @returns names that have changed sides with it. */
  remove(owner: string, name: string): string[] {
    const names = this.#names.get(owner) ?? []
    const at = placeIn(names, name)
    if (names[at] !== name) return []
    names.splice(at, 1)
    if (names.length === 0) this.#names.delete(owner)
    return at < this.#max ? names.slice(this.#max - 1, this.#max) : []
  }

  /** Whether a name comes after the first `max` of its owner. */
  isBeyond(owner: string, name: string): boolean {
    const names = this.#names.get(owner) ?? []
    return names.length >= this.#max && placeIn(names, name) >= this.#max
  }

  clear(): void {
    this.#names.clear()
  }
}

/** Where a name stands, or would. */
function placeIn(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle] as string) < name) low = middle + 1
    else high = middle
  }
  return low
}
