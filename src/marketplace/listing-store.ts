import { bytesTable, type Database, DURABLE, type Table, table } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { reopen } from '../identity/envelope.ts'
import { provenFounder } from './founder.ts'
import { decodeListing, hashOf, placeOf, type SealedListing } from './listing.ts'

/**
 * The listings on the disk, as the envelopes that their authors sealed, so that they can be browsed offline; and since
 * when each is known here, which no author can say.
 */
export class ListingStore {
  readonly #table: Table<Uint8Array>
  readonly #heard: Table<number>

  constructor(database: Database) {
    this.#table = bytesTable(database, 'marketplace')
    this.#heard = table(database, 'marketplace-heard')
  }

  /** All listings. Signatures were checked before they were stored and are not checked again. */
  async load(): Promise<SealedListing[]> {
    const heard = new Map<string, number>()
    for await (const [place, heardMs] of this.#heard.iterator()) heard.set(place, heardMs)
    const loaded: SealedListing[] = []
    for await (const envelope of this.#table.values()) {
      const payload = reopen(envelope)
      const listing = decodeListing(payload)
      const founder = await provenFounder(listing)
      loaded.push({
        ...listing,
        // A crash can take the second of the two writes; the author's word is near enough then.
        heardMs: heard.get(placeOf(listing)) ?? listing.time,
        ...(founder === undefined ? {} : { founder }),
        ...{ hash: hashOf(payload), envelope },
      })
    }
    return loaded
  }

  /**
   * What is kept and what is no longer.
   *
   * @param durable for what this node wrote itself; what was heard comes again when a crash loses it.
   * @throws NodeError STORE_FAILED
   */
  async commit(
    saved: readonly SealedListing[],
    removed: readonly SealedListing[],
    durable: boolean,
  ): Promise<void> {
    const gone = removed.map((listing) => ({ type: 'del' as const, key: placeOf(listing) }))
    const put = <T>(value: (listing: SealedListing) => T) =>
      saved.map((listing) => ({ type: 'put' as const, key: placeOf(listing), value: value(listing) }))
    try {
      const options = durable ? DURABLE : {}
      await this.#table.batch([...gone, ...put(({ envelope }) => envelope)], options)
      await this.#heard.batch([...gone, ...put(({ heardMs }) => heardMs)], options)
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
