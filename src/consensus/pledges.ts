/**
 * What this node has confirmed, with the votes for it: kept before the confirmation is signed, so that a crash, or
 * members that replace their votes, leave it able to show the others what it is locked on.
 */
import { type Database, DURABLE, type Table, table } from '../base/database.ts'

export class Pledges {
  readonly #table: Table<string>
  readonly #values = new Map<string, Uint8Array>()

  constructor(database: Database) {
    this.#table = table(database, 'consensus-pledges')
  }

  async load(): Promise<void> {
    for await (const [round, text] of this.#table.iterator())
      this.#values.set(round, Buffer.from(text, 'base64'))
  }

  /** By round; the values are those of prepared.ts. */
  of(dataset: string): [round: string, value: Uint8Array][] {
    return [...this.#values].filter(([round]) => round.startsWith(`${dataset}/`))
  }

  get(round: string): Uint8Array | undefined {
    return this.#values.get(round)
  }

  /** Resolves when it is on the disk. */
  async keep(round: string, value: Uint8Array): Promise<void> {
    await this.#table.put(round, Buffer.from(value).toString('base64'), DURABLE)
    this.#values.set(round, value)
  }

  /** The round's height is decided. */
  async drop(round: string): Promise<void> {
    this.#values.delete(round)
    await this.#table.del(round)
  }
}
