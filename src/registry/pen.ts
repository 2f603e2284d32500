import type { Clock } from '../base/clock.ts'
import { type ErrorCode, NodeError } from '../base/errors.ts'
import {
  clockSkewMaxMs,
  recordBytesMax,
  versionCountedMax,
  versionFloorsMax,
  versionFollowedMax,
} from '../base/limits.ts'
import { reopen, seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Draft, Shown } from './draft.ts'
import { examine, type Policy } from './judge.ts'
import type { Claims } from './merge.ts'
import {
  checkKey,
  decodeRecord,
  encodeRecord,
  hashOf,
  type RegistryRecord,
  type SealedRecord,
} from './record.ts'
import { mergeRefusal, type Refusal } from './verdict.ts'

export interface PenParts {
  readonly federation: string
  readonly identity: Identity
  readonly clock: Clock
  readonly policy: Policy
}

export interface Writing extends Shown {
  /** Null writes a tombstone. */
  readonly value: Uint8Array | null
  /** When the record ends by itself, ms since the epoch. */
  readonly expiresMs?: number | undefined
  /** Refuses what would stay hidden behind another member's claim to the name. */
  readonly shown?: boolean | undefined
}

/** Writes this node's own records: each one version above all that is known of its key, sealed with the node's key. */
export class Pen {
  readonly #parts: PenParts
  /** Versions of own records that were forgotten lately, the latest last. */
  readonly #floors = new Map<string, { readonly version: number; readonly untilMs: number }>()

  constructor(parts: PenParts) {
    this.#parts = parts
  }

  /**
   * Notes that a record of this node's own is forgotten, as when it has run out. Others forget it by their own clocks,
   * perhaps a little later: until then a new one must not seem to be older, or the very same version.
   */
  forgotten(record: SealedRecord): void {
    const untilMs = this.#parts.clock.now() + clockSkewMaxMs
    this.#floors.delete(record.key)
    this.#floors.set(record.key, { version: record.version, untilMs })
    for (const [key, floor] of this.#floors) {
      if (floor.untilMs > this.#parts.clock.now() && this.#floors.size <= versionFloorsMax) break
      this.#floors.delete(key)
    }
  }

  #floor(key: string): number {
    return this.#floors.get(key)?.version ?? 0
  }

  /**
   * Seals a record and merges it into a draft, as the judge would that of another member.
   *
   * @throws NodeError INVALID_INPUT, TOO_LARGE, CONFLICT (`shown`), FORBIDDEN, NOT_A_MEMBER, CERTIFICATE_INVALID
   */
  async write(draft: Draft, key: string, writing: Writing): Promise<SealedRecord> {
    checkKey(key)
    const { federation, policy, clock } = this.#parts
    if (writing.shown === true) this.#refuseHidden(draft, key, writing.value)
    const record = this.#seal(draft, key, writing)
    const refusal = await examine(record, { federation, held: draft, policy }, clock.now())
    if (refusal !== undefined) throw refused(key, refusal)
    const unmerged = mergeRefusal(draft.take(record, policy.arrange, writing))
    if (unmerged !== undefined) throw refused(key, unmerged)
    draft.write(record)
    return record
  }

  #seal(held: Claims, key: string, { value, expiresMs }: Writing): SealedRecord {
    const { identity, policy } = this.#parts
    const plain = this.#draft(held, key, value)
    const lifeMs = value === null ? undefined : policy.lifeMs(key)
    const latest = lifeMs === undefined ? expiresMs : Math.min(expiresMs ?? Infinity, plain.time + lifeMs)
    const record: RegistryRecord = { ...plain, expires: latest }
    const envelope = seal('record', encodeRecord(record), identity)
    if (envelope.length > recordBytesMax) {
      const message = `${key} takes ${envelope.length} bytes, a record at most ${recordBytesMax}; put large things into a dataset`
      throw new NodeError('TOO_LARGE', message, { key })
    }
    const payload = reopen(envelope)
    // Read back: what others would refuse to read must not be stored by us either.
    return { ...decodeRecord(payload), hash: hashOf(payload), envelope }
  }

  /** Members may claim one name at the same moment; who sees that it is taken is told so instead. */
  #refuseHidden(held: Claims, key: string, value: Uint8Array | null): void {
    const { identity, policy } = this.#parts
    const others = held.claims(key).filter((claim) => claim.author !== identity.peerId)
    const ours = { ...this.#draft(held, key, value), hash: '', envelope: new Uint8Array() }
    const first = policy.arrange([...others, ours])[0]
    if (first === undefined || first === ours || first.value === null) return
    const message =
      policy.isLastWord?.(key) === true
        ? `${first.author} has written ${key} by a clock that is ahead of this node's; try again in ten minutes`
        : `${key} belongs to ${first.author}, who claimed the name first; choose another, or ask an operator`
    throw new NodeError('CONFLICT', message, { key, author: first.author })
  }

  #draft(held: Claims, key: string, value: Uint8Array | null): RegistryRecord {
    const { federation, identity, clock, policy } = this.#parts
    const [claims, now, author] = [held.claims(key), clock.now(), identity.peerId]
    // [W4] Where the last word counts, who has heard the others' speaks after them, within the bound of all clocks.
    const heard = policy.isLastWord?.(key) === true ? claims.map((claim) => claim.time + 1) : []
    const time = Math.min(now + clockSkewMaxMs, Math.max(now, ...heard))
    const own = claims.find((claim) => claim.author === author && claim.value !== null)
    // A deletion goes above all that counts; what is put leaves room for those who come after.
    const reach = value === null ? versionCountedMax : versionFollowedMax
    const followed = claims.filter((claim) => claim.author === author || claim.version <= reach)
    const version = Math.max(this.#floor(key), ...followed.map((claim) => claim.version)) + 1
    // Who knows of a claim comes after it, whatever the two clocks say, within the bound of all clocks.
    const live = followed.filter((claim) => claim.value !== null)
    const after = Math.max(time, ...live.map((claim) => claim.since + 1))
    // So is a claim that was made by a clock which has been put right since.
    const since = Math.min(own?.since ?? after, time + clockSkewMaxMs)
    return { federation, key, value, version, time, since, author }
  }
}

const WRITE_ERRORS: Partial<Record<Refusal['code'], ErrorCode>> = {
  NOT_ALLOWED: 'FORBIDDEN',
  UNKNOWN_AUTHOR: 'NOT_A_MEMBER',
  NOT_PROVEN: 'CERTIFICATE_INVALID',
  CROWDED: 'CONFLICT',
  STALE: 'CONFLICT',
  DUPLICATE: 'CONFLICT',
}

function refused(key: string, refusal: Refusal): NodeError {
  const code = WRITE_ERRORS[refusal.code] ?? 'INVALID_INPUT'
  return new NodeError(code, `${key} was not written: ${refusal.reason}`, { key, verdict: refusal.code })
}
