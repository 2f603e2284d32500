import { messageOf } from '../base/errors.ts'
import type { Policy } from '../registry/judge.ts'
import type { SealedRecord } from '../registry/record.ts'
import { ignore, type Refusal } from '../registry/verdict.ts'
import { admit, arrange, isLastWord, isRoomsOwn, kindOf, type Roster, ruleOf } from './keyspace.ts'

/** How the values of a prefix of proven keys (keyspace.ts) stand for themselves. */
export interface Proof {
  /** Why the record's value does not prove itself, or undefined when it does. */
  readonly refuse: (record: SealedRecord) => Promise<string | undefined>
  /** The order of two proven values of one key; the last is shown. Pure. */
  readonly compare: (a: Uint8Array, b: Uint8Array) => number
}

/**
 * The registry's policy in a federation: the keyspace table, and for each prefix of proven keys a proof. The roster and
 * the proofs themselves read the registry, so they are given as soon as they exist; until then nothing is admitted.
 */
export class FederationPolicy implements Policy {
  #roster: Roster = { role: () => undefined, admittedMs: () => undefined }
  readonly #proofs = new Map<string, Proof>()

  use(roster: Roster): void {
    this.#roster = roster
  }

  prove(prefix: string, proof: Proof): void {
    this.#proofs.set(prefix, proof)
  }

  readonly arrange = (claims: readonly SealedRecord[]): SealedRecord[] => {
    const arranged = arrange(claims, this.#roster)
    const proof = arranged[0] && this.#proofOf(arranged[0].key)
    if (proof === undefined) return arranged
    // What a certificate proves does not depend on who brings it, nor on the version they give it.
    return arranged.sort((a, b) => (a.value && b.value ? proof.compare(b.value, a.value) : 0))
  }

  readonly kindOf = kindOf

  readonly isRoomsOwn = isRoomsOwn
  readonly isLastWord = isLastWord

  lifeMs(key: string): number | undefined {
    return ruleOf(key)?.lifeMs
  }

  async admit(record: SealedRecord): Promise<Refusal | undefined> {
    const refusal = admit(record, this.#roster)
    const proof = this.#proofOf(record.key)
    if (refusal !== undefined || proof === undefined) return refusal
    // What is proven cannot be deleted: no member's word outweighs a certificate.
    if (record.value === null) return ignore('NOT_ALLOWED', `${record.key} is proven and never deleted`)
    try {
      const reason = await proof.refuse(record)
      // [IGNORE NOT_PROVEN] What the proof rests on (members, rounds) may not have reached us yet.
      return reason === undefined ? undefined : ignore('NOT_PROVEN', reason)
    } catch (error) {
      return ignore('NOT_PROVEN', messageOf(error))
    }
  }

  #proofOf(key: string): Proof | undefined {
    for (const [prefix, proof] of this.#proofs) if (key.startsWith(prefix)) return proof
    return undefined
  }
}
