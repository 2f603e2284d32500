import { bytesTable, type Database, DURABLE, type Table } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { reopen } from '../identity/envelope.ts'
import { decodeListing, hashOf, placeOf, type SealedListing } from './listing.ts'

/** The listings on the disk, as the envelopes that their authors sealed, so that they can be browsed offline. */
export class ListingStore {
  readonly #table: Table<Uint8Array>

  constructor(database: Database) {
    this.#table = bytesTable(database, 'marketplace')
  }

  /** All listings. Signatures were checked before they were stored and are not checked again. */
  async load(): Promise<SealedListing[]> {
    const loaded: SealedListing[] = []
    for await (const envelope of this.#table.values()) {
      const payload = reopen(envelope)
      loaded.push({ ...decodeListing(payload), hash: hashOf(payload), envelope })
    }
    return loaded
  }

  /**
   * One batch: what is kept and what is no longer.
   *
   * @param durable for what this node wrote itself; what was heard comes again when a crash loses it.
   * @throws NodeError STORE_FAILED
   */
  async commit(
    saved: readonly SealedListing[],
    removed: readonly SealedListing[],
    durable: boolean,
  ): Promise<void> {
    const operations = [
      ...removed.map((listing) => ({ type: 'del' as const, key: placeOf(listing) })),
      ...saved.map((listing) => ({
        type: 'put' as const,
        key: placeOf(listing),
        value: listing.envelope,
      })),
    ]
    try {
      await this.#table.batch(operations, durable ? DURABLE : {})
    } catch (cause) {
      throw new NodeError(
        'STORE_FAILED',
        `The marketplace cannot be written: ${messageOf(cause)}; free some space and try again`,
        {},
        { cause },
      )
    }
  }
}
