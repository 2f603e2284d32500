/**
 * The one door through which a record enters, whether gossip, catch-up or our own `put` brings it. Each rule names the
 * clause of protocols/registry-gossip.md §4 that it keeps; cheap rules come first, the signature before all that
 * believes what it says.
 */
import { messageOf, NodeError } from '../base/errors.ts'
import { clockSkewMaxMs } from '../base/limits.ts'
import { type Opened, openAll } from '../identity/envelope.ts'
import { type Arrange, type Claims, merge } from './merge.ts'
import { decodeRecord, encodeRecord, hashOf, type SealedRecord } from './record.ts'
import { isForgotten } from './sweep.ts'
import type { KeyKind } from './transaction.ts'
import { ignore, mergeRefusal, type Refusal, reject, type Verdict } from './verdict.ts'

/** What decides who may write what; the federation and, for the ground truth, consensus supply it. */
export interface Policy {
  /** A refusal when the record may not be in the registry as we know it now. */
  admit(record: SealedRecord): Promise<Refusal | undefined>
  readonly arrange: Arrange
  /** Where a key is at home. */
  kindOf(key: string): KeyKind
  /** Whether the key is written by this node's own rooms alone, through none of the doors for clients. */
  isRoomsOwn?(key: string): boolean
  /** Whether of several claims to the key the one that was written last is shown. */
  isLastWord?(key: string): boolean
  /** How long a record of the key may live, ms; undefined for ever. */
  lifeMs(key: string): number | undefined
}

export interface Bench {
  readonly federation: string
  readonly held: Claims
  readonly policy: Policy
}

/**
 * Opens, checks and judges envelopes as of `nowMs`, their signatures side by side; one verdict each, in order. Never
 * throws: what cannot be read is rejected.
 */
export async function judgeAll(
  envelopes: readonly Uint8Array[],
  bench: Bench,
  nowMs: number,
): Promise<Verdict[]> {
  const opened = await openAll('record', envelopes)
  return Promise.all(
    opened.map(async (result, index) => {
      const record = read(result, envelopes[index] as Uint8Array)
      if ('action' in record) return record
      return (await examine(record, bench, nowMs)) ?? { action: 'accept', record }
    }),
  )
}

/** The rules after the signature; a refusal, or undefined when the record may enter. */
export async function examine(
  record: SealedRecord,
  bench: Bench,
  nowMs: number,
): Promise<Refusal | undefined> {
  // [REJECT FOREIGN_FEDERATION] A signature given in one federation says nothing in another.
  if (record.federation !== bench.federation) {
    return reject('FOREIGN_FEDERATION', `The record belongs to federation ${record.federation}`)
  }
  // [IGNORE FUTURE] A clock may be wrong, ours too: the record is taken when its time has come.
  if (record.time > nowMs + clockSkewMaxMs)
    return ignore('FUTURE', `Its time is ${record.time - nowMs} ms ahead`)
  // [REJECT INVALID_VALUE] Whoever claims a name after all others says so within the bound of all clocks.
  if (record.since > record.time + clockSkewMaxMs) {
    return reject(
      'INVALID_VALUE',
      `It was first claimed ${record.since - record.time} ms after it was written`,
    )
  }
  // [IGNORE EXPIRED] [F3] Everybody forgets expired records, old tombstones and what these bury; taking one back would
  // undo that.
  if (isForgotten(bench.held, record, bench.policy.arrange, nowMs)) {
    return ignore('EXPIRED', 'The record has expired, or was deleted long ago')
  }
  // [IGNORE DUPLICATE, STALE, CROWDED] A replay changes nothing, however old; and what is kept is bounded.
  const unmerged = mergeRefusal(merge(bench.held, record, bench.policy.arrange))
  // [M5] The loser of an equivocation is let through: it is kept as proof.
  if (unmerged !== undefined && unmerged.code !== 'EQUIVOCATION') return unmerged
  return bench.policy.admit(record)
}

function read(opened: Opened | NodeError, envelope: Uint8Array): SealedRecord | Refusal {
  // [REJECT BAD_ENVELOPE] Nobody honest passes on what does not open.
  if (opened instanceof NodeError) return reject('BAD_ENVELOPE', opened.message)
  try {
    const record = decodeRecord(opened.payload)
    // [REJECT AUTHOR_MISMATCH] The signer speaks for itself alone.
    if (record.author !== opened.author) {
      return reject('AUTHOR_MISMATCH', `Signed by ${opened.author} in the name of ${record.author}`)
    }
    // [REJECT MALFORMED] One record has one form, and so one hash.
    if (Buffer.compare(encodeRecord(record), opened.payload) !== 0) {
      return reject('MALFORMED', 'The payload is not in the one form of DAG-CBOR')
    }
    return { ...record, hash: hashOf(opened.payload), envelope }
  } catch (error) {
    // [REJECT MALFORMED] A signed payload that is no record was made so on purpose.
    return reject('MALFORMED', messageOf(error))
  }
}
