/**
 * Keeps the cluster's copy complete and finite (protocols/strong-mode.md §6): what it lacks is offered to it, and each
 * member takes out what is its own and has outlived itself.
 */
import type { Clock } from '../base/clock.ts'
import { clusterUpkeepMax, tombstoneLifeMs } from '../base/limits.ts'
import { reopen } from '../identity/envelope.ts'
import { decodeRecord, isExpired, type RegistryRecord, type SealedRecord } from '../registry/record.ts'
import type { RecordIndex } from '../registry/record-index.ts'
import type { ClusterEndpoint } from './cluster-client.ts'
import type { ClusterInbox } from './cluster-inbox.ts'
import { type ClusterKeys, chunksOf, type Offer } from './cluster-keys.ts'

export interface ClusterUpkeepParts {
  readonly keys: ClusterKeys
  readonly inbox: Pick<ClusterInbox, 'own' | 'mended'>
  readonly index: Pick<RecordIndex, 'get' | 'within'>
  readonly clock: Clock
}

type Held = readonly [place: string, revision: number]

export class ClusterUpkeep {
  readonly #parts: ClusterUpkeepParts

  constructor(parts: ClusterUpkeepParts) {
    this.#parts = parts
  }

  /** [U4] Writes what the cluster lacks or has in an older form. Who wrote a place in between is left alone. */
  async offer(endpoint: ClusterEndpoint, offers: readonly Offer[]): Promise<void> {
    const now = this.#parts.clock.now()
    const wanted = offers.filter(({ record }) => !isExpired(record, now) && !this.#isBuried(record, now))
    for (const chunk of chunksOf(wanted, ({ record }) => record)) {
      await endpoint.txn(this.#parts.keys.offer(chunk))
    }
  }

  /** Puts back what the cluster has lost of this node's own, and takes out what this node's registry has forgotten. */
  async look(endpoint: ClusterEndpoint): Promise<void> {
    const { inbox, index } = this.#parts
    const lost: (Offer & { place: string })[] = []
    const forgotten: Held[] = []
    for (const [place, { revision, held, lost: isLost }] of inbox.own) {
      const record = index.get(place)
      if (record !== undefined && isLost) lost.push({ place, record, known: revision })
      if (record === undefined && held && revision > 0) forgotten.push([place, revision])
      if (lost.length + forgotten.length >= clusterUpkeepMax) break
    }
    await this.offer(endpoint, lost)
    for (const { place } of lost) inbox.mended(place)
    for (const [place, revision] of forgotten) await this.#forget(endpoint, place, revision)
  }

  /** [U5] Whether a tombstone that is not passed on any more covers the record, or is the record. */
  #isBuried({ key, version }: SealedRecord, nowMs: number): boolean {
    const claims = this.#parts.index.within({ from: `${key} `, to: `${key}!` })
    return claims.some(
      (claim) => claim.value === null && claim.time + tombstoneLifeMs < nowMs && claim.version >= version,
    )
  }

  /** [U1, U2] Takes out a record of this node's own, and with a tombstone what it has buried. */
  async #forget(endpoint: ClusterEndpoint, place: string, revision: number): Promise<void> {
    const { keys, index } = this.#parts
    const key = place.slice(0, place.indexOf(' '))
    const claims = await endpoint.range(keys.claims(key))
    const held = claims.kvs.map((kv) => ({
      place: keys.place(kv.key),
      revision: Number(kv.mod_revision),
      record: decoded(kv.value),
    }))
    const own = held.find((claim) => claim.place === place)
    if (own === undefined || own.revision !== revision) return
    const { record } = own
    const gone: Held[] = [[place, revision]]
    if (record?.value === null) {
      // Without its tombstone a buried claim would rise at the next reading. One that this node shows is not buried.
      const buried = held.filter(
        (claim) => claim.record !== undefined && claim.record.version <= record.version,
      )
      const others = buried.filter((claim) => claim.place !== place && index.get(claim.place) === undefined)
      gone.push(...others.map((claim): Held => [claim.place, claim.revision]))
    }
    await endpoint.txn(keys.forget(gone))
  }
}

/** What an envelope of the cluster says, its signature unchecked; undefined for rubbish. */
function decoded(envelope: Uint8Array): RegistryRecord | undefined {
  try {
    return decodeRecord(reopen(envelope))
  } catch {
    return undefined
  }
}
