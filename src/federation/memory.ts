import { z } from 'zod'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { type Genesis, openGenesis } from './genesis.ts'
import { type Petition, petitionSchema } from './petition.ts'

const KEY = 'joined'
const PETITION = 'petition'

const joinedSchema = z.object({
  genesis: z.base64(),
  contacts: z.array(z.string()),
  networkKey: z.base64().optional(),
})
type Joined = z.infer<typeof joinedSchema>

export interface Remembered {
  readonly genesis: Genesis
  /** Addresses by which the federation was first reached, until presences tell better ones. */
  readonly contacts: readonly string[]
  /** What the network of a private federation asks for, 32 bytes. */
  readonly networkKey?: Uint8Array
}

/** Remembers durably which federation this node is in, or wants to be in. */
export class FederationMemory {
  readonly #table: Table<Joined>
  readonly #petitions: Table<Petition>

  constructor(database: Database) {
    this.#table = table<Joined>(database, 'federation')
    this.#petitions = table<Petition>(database, 'petition')
  }

  /** Undefined on a node that is in no federation yet. */
  async recall(): Promise<Remembered | undefined> {
    const stored = await this.#table.get(KEY)
    if (stored === undefined) return undefined
    const { genesis, contacts, networkKey } = joinedSchema.parse(stored)
    return {
      ...{ genesis: await openGenesis(Buffer.from(genesis, 'base64')), contacts },
      ...(networkKey === undefined ? {} : { networkKey: new Uint8Array(Buffer.from(networkKey, 'base64')) }),
    }
  }

  async remember(remembered: Remembered): Promise<void> {
    const { contacts, networkKey } = remembered
    const genesis = Buffer.from(remembered.genesis.envelope).toString('base64')
    const key = networkKey === undefined ? {} : { networkKey: Buffer.from(networkKey).toString('base64') }
    await this.#table.put(KEY, { genesis, contacts: [...contacts], ...key }, DURABLE)
  }

  /** Undoes `remember`, on leaving and for a federation whose rooms would not start. */
  async forget(): Promise<void> {
    await this.#table.del(KEY, DURABLE)
  }

  /** The request that this node has made, while it is remembered. */
  async recallPetition(): Promise<Petition | undefined> {
    const stored = await this.#petitions.get(PETITION)
    return stored === undefined ? undefined : petitionSchema.parse(stored)
  }

  async rememberPetition(petition: Petition | undefined): Promise<void> {
    if (petition === undefined) await this.#petitions.del(PETITION, DURABLE)
    else await this.#petitions.put(PETITION, petition, DURABLE)
  }
}
