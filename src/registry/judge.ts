/**
 * The one door through which a record enters, whether gossip, catch-up or our own `put` brings it. Each rule names the
 * clause of protocols/registry-gossip.md §4 that it keeps; cheap rules come first, the signature before all that
 * believes what it says.
 */
import { messageOf } from '../base/errors.ts'
import { clockSkewMaxMs } from '../base/limits.ts'
import { open } from '../identity/envelope.ts'
import { decodeRecord, hashOf, isExpired, type SealedRecord } from './record.ts'
import type { Arrange, State } from './state.ts'
import { ignore, type Refusal, reject, type Verdict } from './verdict.ts'

/** What decides who may write what; the federation and, for the ground truth, consensus supply it. */
export interface Policy {
  /** A refusal when the record may not be in the registry as we know it now. */
  admit(record: SealedRecord): Promise<Refusal | undefined>
  readonly arrange: Arrange
}

export interface Bench {
  readonly federation: string
  readonly state: Pick<State, 'judge'>
  readonly policy: Policy
}

/** Opens, checks and judges an envelope as of `nowMs`. Never throws: what cannot be read is rejected. */
export async function judge(envelope: Uint8Array, bench: Bench, nowMs: number): Promise<Verdict> {
  const opened = await read(envelope)
  if ('action' in opened) return opened
  return (await examine(opened, bench, nowMs)) ?? { action: 'accept', record: opened }
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
  // [IGNORE EXPIRED] Everybody forgets expired records; taking one back would undo that.
  if (isExpired(record, nowMs)) return ignore('EXPIRED', 'The record has expired')
  const merge = bench.state.judge(record, bench.policy.arrange)
  // [IGNORE DUPLICATE, STALE] A replay changes nothing, however old.
  if (merge.outcome === 'duplicate') return ignore('DUPLICATE', 'The record is known')
  if (merge.outcome === 'stale') return ignore('STALE', 'A later record of its author is known')
  // [IGNORE CROWDED] Beyond the bounds the least preferred claims, and more of one author, are not kept.
  if (merge.outcome === 'crowded')
    return ignore('CROWDED', 'Too many members claim this key, or its author keeps too much in the registry')
  return bench.policy.admit(record)
}

async function read(envelope: Uint8Array): Promise<SealedRecord | Refusal> {
  let opened: Awaited<ReturnType<typeof open>>
  try {
    opened = await open('record', envelope)
  } catch (error) {
    // [REJECT BAD_ENVELOPE] Nobody honest passes on what does not open.
    return reject('BAD_ENVELOPE', messageOf(error))
  }
  try {
    const record = decodeRecord(opened.payload)
    // [REJECT AUTHOR_MISMATCH] The signer speaks for itself alone.
    if (record.author !== opened.author) {
      return reject('AUTHOR_MISMATCH', `Signed by ${opened.author} in the name of ${record.author}`)
    }
    return { ...record, hash: hashOf(opened.payload), envelope }
  } catch (error) {
    // [REJECT MALFORMED] A signed payload that is no record was made so on purpose.
    return reject('MALFORMED', messageOf(error))
  }
}
