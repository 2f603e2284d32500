import { z } from 'zod'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { evidenceKeptMax, evidencePerMemberMax } from '../base/limits.ts'
import type { Equivocation } from './equivocation.ts'

const commit = z.string().nullable()
const rowSchema = z.object({
  round: z.string(),
  peer: z.string(),
  what: z.enum(['two-ballots', 'two-votes', 'two-confirmations']),
  said: z.tuple([commit, commit]),
  sealed: z.tuple([z.base64(), z.base64()]),
})

/** What members were found to have signed twice; it outlives restarts, and what its authors write later. */
export class Evidence {
  readonly #table: Table<unknown>
  readonly #known = new Map<string, Equivocation>()

  constructor(database: Database) {
    this.#table = table(database, 'consensus-evidence')
  }

  async load(): Promise<void> {
    for await (const [name, row] of this.#table.iterator()) {
      const parsed = rowSchema.safeParse(row)
      // What an older version wrote in another way is of no use to this one.
      if (!parsed.success) continue
      const [first, second] = parsed.data.sealed
      const sealed = [Buffer.from(first, 'base64'), Buffer.from(second, 'base64')] as const
      this.#known.set(name, { ...parsed.data, sealed })
    }
  }

  of(round: string): Equivocation[] {
    return [...this.#known.values()].filter((one) => one.round === round)
  }

  /** @returns false when as much is known of the member in this round, or there is too much to keep more. */
  async add(found: Equivocation): Promise<boolean> {
    const name = `${found.round} ${found.peer} ${found.what}`
    if (this.#known.has(name) || this.#known.size >= evidenceKeptMax) return false
    const against = [...this.#known.values()].filter(({ peer }) => peer === found.peer)
    if (against.length >= evidencePerMemberMax) return false
    this.#known.set(name, found)
    const sealed = found.sealed.map((bytes) => Buffer.from(bytes).toString('base64'))
    await this.#table.put(name, { ...found, sealed }, DURABLE)
    return true
  }
}
