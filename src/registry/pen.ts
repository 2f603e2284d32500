import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { recordBytesMax, versionFollowedMax } from '../base/limits.ts'
import { seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'
import {
  checkKey,
  decodeRecord,
  encodeRecord,
  hashOf,
  type RegistryRecord,
  type SealedRecord,
} from './record.ts'
import type { Arrange, State } from './state.ts'

export interface PenParts {
  readonly federation: string
  readonly identity: Identity
  readonly clock: Clock
  readonly state: Pick<State, 'claims'>
  readonly arrange: Arrange
}

/** Writes this node's own records: each one version above all that is known of its key, sealed with the node's key. */
export class Pen {
  readonly #parts: PenParts
  /** Versions given to records that are still on their way to the disk. */
  readonly #reserved = new Map<string, number>()

  constructor(parts: PenParts) {
    this.#parts = parts
  }

  /**
   * Seals a record and hands it to `commit`; until that has settled no other record of the key gets its version.
   *
   * @param value null writes a tombstone.
   * @throws NodeError INVALID_INPUT, TOO_LARGE, and what `commit` throws.
   */
  async write(
    key: string,
    content: { value: Uint8Array | null; expires: number | undefined },
    commit: (record: SealedRecord) => Promise<void>,
  ): Promise<SealedRecord> {
    checkKey(key)
    const record: RegistryRecord = { ...this.#draft(key, content.value), expires: content.expires }
    this.#reserved.set(key, record.version)
    try {
      const payload = encodeRecord(record)
      // What others would refuse to read must not be stored by us either.
      decodeRecord(payload)
      const envelope = await seal('record', payload, this.#parts.identity)
      if (envelope.length > recordBytesMax) {
        const message = `${key} takes ${envelope.length} bytes, a record at most ${recordBytesMax}; put large things into a dataset`
        throw new NodeError('TOO_LARGE', message, { key })
      }
      const sealed = { ...record, hash: hashOf(payload), envelope }
      await commit(sealed)
      return sealed
    } finally {
      if (this.#reserved.get(key) === record.version) this.#reserved.delete(key)
    }
  }

  /**
   * Members may claim one name at the same moment; who sees that it is taken is told so instead.
   *
   * @throws NodeError CONFLICT when what would be written stays hidden behind another member's claim.
   */
  refuseHidden(key: string, value: Uint8Array | null): void {
    const { identity, state, arrange } = this.#parts
    const others = state.claims(key).filter((claim) => claim.author !== identity.peerId)
    const ours = { ...this.#draft(key, value), hash: '', envelope: new Uint8Array() }
    const first = arrange([...others, ours])[0]
    if (first === undefined || first === ours || first.value === null) return
    const message = `${key} belongs to ${first.author}, who claimed the name first; choose another, or ask an operator`
    throw new NodeError('CONFLICT', message, { key, author: first.author })
  }

  #draft(key: string, value: Uint8Array | null): RegistryRecord {
    const { federation, identity, clock, state } = this.#parts
    const [claims, time, author] = [state.claims(key), clock.now(), identity.peerId]
    const own = claims.find((claim) => claim.author === author && claim.value !== null)
    const followed = claims.filter((claim) => claim.author === author || claim.version <= versionFollowedMax)
    const version = Math.max(this.#reserved.get(key) ?? 0, ...followed.map((claim) => claim.version)) + 1
    return { federation, key, value, version, time, since: own?.since ?? time, author }
  }
}
