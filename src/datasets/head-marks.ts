import { bytesTable, type Database, DURABLE, type Table, table } from '../base/database.ts'
import { headMarksMax, headMarksPerMemberMax, resetsRememberedMax } from '../base/limits.ts'
import type { HeadRecord } from './heads.ts'

/** The latest head of one member in one dataset that this node has seen. */
export interface HeadMark {
  readonly sequence: number
  /** SHA-256 of its value, hex. */
  readonly hash: string
  /** Of each branch, the count of the last reset that was followed. */
  readonly resets: Readonly<Record<string, number>>
}

export type HeadVerdict =
  /** It is the latest word of its author, or was already. */
  | 'follow'
  /** It is about another dataset that had, or has, this name. */
  | 'other-dataset'
  /** A later one was here. */
  | 'replayed'
  /** Another one was here in its place. */
  | 'equivocal'

/**
 * Whether a head is to be followed by a node that has seen `mark` of its author (dataset-heads.md H3, H4, H5).
 * Registries keep the last head of an author alone, so a gap in the sequence means nothing. Pure.
 */
export function judgeHead(
  head: HeadRecord,
  hash: string,
  isOfDataset: boolean,
  mark: HeadMark | undefined,
): HeadVerdict {
  if (!isOfDataset) return 'other-dataset'
  const sequence = head.sequence ?? 0
  if (mark === undefined || sequence > mark.sequence) return 'follow'
  if (sequence < mark.sequence) return 'replayed'
  // Heads from before they were counted all claim one place; the registry alone says which of them is the last.
  return hash === mark.hash || sequence === 0 ? 'follow' : 'equivocal'
}

export interface HeadMarksParts {
  readonly database: Database
  /** Peer id of this node, whose own numbers are remembered in any case. */
  readonly self: string
  /** How many marks of one member are kept; `headMarksPerMemberMax` by default. */
  readonly perMemberMax?: number
}

/**
 * Remembers the latest head of every member in every dataset, whatever becomes of the registry: a head that is replayed
 * must not look new. What a mark takes in memory does not depend on what its author wrote.
 */
export class HeadMarks {
  readonly #table: Table<HeadMark>
  /**
   * The sealed original of each head that stands, half of a proof should another one claim its place: by
   * `<dataset>/<author>` as in the registry, which bounds how many there are. On the disk alone.
   */
  readonly #envelopes: Table<Uint8Array>
  readonly #marks = new Map<string, HeadMark>()
  /** How many marks each member has. */
  readonly #counts = new Map<string, number>()
  /** Keys of marks that have changed since they were written. */
  readonly #unwritten = new Set<string>()
  /** The write that is at work, and the one after it. */
  #atWork: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  readonly #self: string
  readonly #perMemberMax: number

  constructor({ database, self, perMemberMax = headMarksPerMemberMax }: HeadMarksParts) {
    this.#table = table(database, 'dataset-head-marks')
    this.#envelopes = bytesTable(database, 'dataset-head-envelopes')
    this.#self = self
    this.#perMemberMax = perMemberMax
  }

  /** @param isGone whether the head of `<dataset>/<author>` was taken back. */
  async load(isGone: (name: string) => boolean): Promise<void> {
    for (const kept of [this.#marks, this.#counts]) kept.clear()
    for await (const [key, { sequence, hash, resets }] of this.#table.iterator()) {
      this.#keep(key, { sequence, hash, resets })
    }
    for await (const name of this.#envelopes.keys()) if (isGone(name)) await this.dropEnvelope(name)
  }

  /** @param id of the dataset. */
  get(id: string, author: string): HeadMark | undefined {
    return this.#marks.get(keyOf(id, author))
  }

  /** Beyond the bounds, datasets and members that are new are not remembered. */
  async put(id: string, author: string, { sequence, hash, resets }: HeadMark): Promise<void> {
    const key = keyOf(id, author)
    if (!this.#marks.has(key) && author !== this.#self) {
      const ofAuthor = this.#counts.get(author) ?? 0
      if (this.#marks.size >= headMarksMax || ofAuthor >= this.#perMemberMax) return
    }
    const latest = Object.fromEntries(Object.entries(resets).slice(-resetsRememberedMax))
    const mark = { sequence, hash, resets: latest }
    this.#keep(key, mark)
    await this.#write([key])
  }

  /** The sealed head of `<dataset>/<author>` that was seen last. */
  envelope(name: string): Promise<Uint8Array | undefined> {
    return this.#envelopes.get(name)
  }

  async putEnvelope(name: string, envelope: Uint8Array): Promise<void> {
    await this.#envelopes.put(name, envelope)
  }

  /** Its author has taken the head back; the mark stays. */
  async dropEnvelope(name: string): Promise<void> {
    await this.#envelopes.del(name)
  }

  /** Forgets a dataset that is no more. */
  async forget(id: string): Promise<void> {
    const gone = [...this.#marks.keys()].filter((key) => key.startsWith(`${id}/`))
    for (const key of gone) {
      this.#marks.delete(key)
      this.#count(key, -1)
    }
    if (gone.length > 0) await this.#write(gone)
  }

  /**
   * [MUST] What was seen survives a crash, or a replayed head looks new after it (dataset-heads.md H3). What comes while
   * the disk is at work goes with the next write, so that a flood of heads costs one sync for many.
   */
  #write(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#unwritten.add(key)
    this.#next ??= this.#atWork.then(() => {
      this.#next = undefined
      const writing = this.#writeAll()
      this.#atWork = writing.catch(() => undefined)
      return writing
    })
    return this.#next
  }

  async #writeAll(): Promise<void> {
    const keys = [...this.#unwritten]
    this.#unwritten.clear()
    const rows = keys.map((key) => {
      const value = this.#marks.get(key)
      return value === undefined ? ({ type: 'del', key } as const) : ({ type: 'put', key, value } as const)
    })
    try {
      await this.#table.batch(rows, DURABLE)
    } catch (error) {
      // They go with the next write.
      for (const key of keys) this.#unwritten.add(key)
      throw error
    }
  }

  #keep(key: string, mark: HeadMark): void {
    if (!this.#marks.has(key)) this.#count(key, 1)
    this.#marks.set(key, mark)
  }

  #count(key: string, by: 1 | -1): void {
    const author = key.slice(key.indexOf('/') + 1)
    this.#counts.set(author, (this.#counts.get(author) ?? 0) + by)
  }
}

function keyOf(id: string, author: string): string {
  return `${id}/${author}`
}
