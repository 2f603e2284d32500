import { type Database, type Table, table } from '../base/database.ts'
import { headMarksMax } from '../base/limits.ts'
import type { HeadRecord } from './heads.ts'

/** The latest head of one member in one dataset that this node has seen. */
export interface HeadMark {
  readonly sequence: number
  /** SHA-256 of its value, hex. */
  readonly hash: string
  /** The sealed original, base64: half of a proof, should another head claim its place. */
  readonly envelope: string
  readonly branches: Readonly<Record<string, string>>
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
 * Whether a head is to be followed by a node that has seen `mark` of its author (dataset-heads.md H3 to H5). Registries
 * keep the last head of an author alone, so a gap in the sequence means nothing. Pure.
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

/**
 * Remembers the latest head of every member in every dataset, whatever becomes of the registry: a head that is replayed
 * must not look new.
 */
export class HeadMarks {
  readonly #table: Table<HeadMark>
  readonly #marks = new Map<string, HeadMark>()

  constructor(database: Database) {
    this.#table = table(database, 'dataset-head-marks')
  }

  async load(): Promise<void> {
    for await (const [key, mark] of this.#table.iterator()) this.#marks.set(key, mark)
  }

  /** @param id of the dataset. */
  get(id: string, author: string): HeadMark | undefined {
    return this.#marks.get(keyOf(id, author))
  }

  /** Beyond the bound, datasets and members that are new are not remembered. */
  async put(id: string, author: string, mark: HeadMark): Promise<void> {
    const key = keyOf(id, author)
    if (!this.#marks.has(key) && this.#marks.size >= headMarksMax) return
    this.#marks.set(key, mark)
    await this.#table.put(key, mark)
  }

  /** Forgets a dataset that is no more. */
  async forget(id: string): Promise<void> {
    const gone = [...this.#marks.keys()].filter((key) => key.startsWith(`${id}/`))
    for (const key of gone) this.#marks.delete(key)
    await this.#table.batch(gone.map((key) => ({ type: 'del' as const, key })))
  }
}

function keyOf(id: string, author: string): string {
  return `${id}/${author}`
}
