import { type KnownDatasets, placeOf } from './known-datasets.ts'

export interface CopiesParts {
  readonly known: KnownDatasets
  readonly disk: {
    has(place: string): Promise<boolean>
    /** Out of the way, where it is kept as `<name>~<id>`. */
    setAside(place: string, id: string): Promise<void>
  }
  /** Forgets what is remembered of a dataset that is no more. */
  readonly forget: (id: string) => Promise<void>
}

/** Sees to it that what lies in a dataset's place is that dataset's, before anybody opens it. */
export class Copies {
  readonly #parts: CopiesParts
  readonly #settling = new Map<string, Promise<void>>()

  constructor(parts: CopiesParts) {
    this.#parts = parts
  }

  placeOf(name: string): string {
    return placeOf(name, this.#parts.known.isLocal(name))
  }

  /** Resolves once what lies in the place of `name` belongs to the dataset that has the name now. */
  async ready(name: string): Promise<void> {
    if (this.#isSettled(name)) return
    const place = this.placeOf(name)
    const settling =
      this.#settling.get(place) ?? this.#settle(name).finally(() => this.#settling.delete(place))
    this.#settling.set(place, settling)
    await settling
  }

  /** Makes room for a dataset that is about to be founded. */
  async clear(place: string): Promise<void> {
    const { known, disk } = this.#parts
    const row = known.copy(place)
    if (await disk.has(place)) await disk.setAside(place, row?.id ?? place.slice(place.lastIndexOf('/') + 1))
    if (row !== undefined) await this.#forget(row.id, place)
  }

  /** Notes that a dataset is no more, so that its copy is never taken for that of another one. */
  async removed(place: string): Promise<void> {
    const row = this.#parts.known.copy(place)
    if (row === undefined || row.removed || row.founding) return
    await this.#parts.known.setCopy(place, { ...row, removed: true })
  }

  #isSettled(name: string): boolean {
    const known = this.#parts.known.get(name)
    // One that is being founded has been made room for.
    if (known === undefined) return true
    const row = this.#parts.known.copy(this.placeOf(name))
    if (row === undefined || row.removed || row.id !== known.id) return false
    return row.policy === known.policy && row.owner === known.promisedBy
  }

  async #settle(name: string): Promise<void> {
    const { known, disk } = this.#parts
    const shown = known.get(name)
    if (shown === undefined) return
    const place = this.placeOf(name)
    const kept = known.copy(place)
    // Copies from before datasets had ids are those of a dataset whose id is its name.
    const held = kept ?? ((await disk.has(place)) ? { id: name } : undefined)
    if (held !== undefined && !known.belongs(name, held)) {
      await disk.setAside(place, held.id)
      await this.#forget(held.id, place)
    }
    const { id, policy, promisedBy: owner } = shown
    await known.setCopy(place, { id, policy, owner })
  }

  async #forget(id: string, place: string): Promise<void> {
    await this.#parts.forget(id)
    await this.#parts.known.forgetCopy(place)
  }
}
