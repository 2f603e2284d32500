import { messageOf } from '../base/errors.ts'
import type { Policy } from '../registry/judge.ts'
import type { SealedRecord } from '../registry/record.ts'
import { ignore, type Refusal } from '../registry/verdict.ts'
import { admit, arrange, type Roster } from './keyspace.ts'

/** Says why the value of a proven key does not prove itself, or undefined when it does. */
export type Proof = (record: SealedRecord) => Promise<string | undefined>

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

  readonly arrange = (claims: readonly SealedRecord[]): SealedRecord[] => arrange(claims, this.#roster)

  async admit(record: SealedRecord): Promise<Refusal | undefined> {
    const refusal = admit(record, this.#roster)
    if (refusal !== undefined || record.value === null) return refusal ?? this.#tombstone(record)
    for (const [prefix, proof] of this.#proofs) {
      if (!record.key.startsWith(prefix)) continue
      try {
        const reason = await proof(record)
        // [IGNORE NOT_PROVEN] What the proof rests on (members, rounds) may not have reached us yet.
        if (reason !== undefined) return ignore('NOT_PROVEN', reason)
      } catch (error) {
        return ignore('NOT_PROVEN', messageOf(error))
      }
    }
    return undefined
  }

  /** What is proven cannot be deleted: no member's word outweighs a certificate. */
  #tombstone(record: SealedRecord): Refusal | undefined {
    const proven = [...this.#proofs.keys()].some((prefix) => record.key.startsWith(prefix))
    return proven
      ? ignore('NOT_ALLOWED', `${record.key} moves by certificates and is never deleted`)
      : undefined
  }
}
