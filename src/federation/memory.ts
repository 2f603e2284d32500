import { z } from 'zod'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { type Genesis, openGenesis } from './genesis.ts'

const KEY = 'joined'

const joinedSchema = z.object({ genesis: z.base64(), contacts: z.array(z.string()) })
type Joined = z.infer<typeof joinedSchema>

export interface Remembered {
  readonly genesis: Genesis
  /** Addresses by which the federation was first reached, until presences tell better ones. */
  readonly contacts: readonly string[]
}

/** Remembers durably which federation this node is in. */
export class FederationMemory {
  readonly #table: Table<Joined>

  constructor(database: Database) {
    this.#table = table<Joined>(database, 'federation')
  }

  /** Undefined on a node that is in no federation yet. */
  async recall(): Promise<Remembered | undefined> {
    const stored = await this.#table.get(KEY)
    if (stored === undefined) return undefined
    const { genesis, contacts } = joinedSchema.parse(stored)
    return { genesis: await openGenesis(Buffer.from(genesis, 'base64')), contacts }
  }

  async remember(remembered: Remembered): Promise<void> {
    const genesis = Buffer.from(remembered.genesis.envelope).toString('base64')
    await this.#table.put(KEY, { genesis, contacts: [...remembered.contacts] }, DURABLE)
  }

  /** Undoes `remember`, for a federation whose rooms would not start. */
  async forget(): Promise<void> {
    await this.#table.del(KEY, DURABLE)
  }
}
