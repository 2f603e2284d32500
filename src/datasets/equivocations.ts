import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { equivocationsMax, equivocationsPerMemberMax } from '../base/limits.ts'
import { reopen } from '../identity/envelope.ts'
import { decodeJson } from '../registry/collection.ts'
import { compare } from '../registry/order.ts'
import { decodeRecord, hashOf, type SealedRecord } from '../registry/record.ts'
import { type HeadRecord, headHash, headSchema } from './heads.ts'

/** One of two heads that claim one place. */
export interface ProvenHead {
  readonly hash: string
  readonly head: HeadRecord
  /** Sealed by the author: whoever has both can show what it did. */
  readonly envelope: Uint8Array
}

/** Two heads of one author for one dataset with one sequence and different content. */
export interface Equivocation {
  /** Id of the dataset. */
  readonly dataset: string
  /** Peer id. */
  readonly author: string
  readonly sequence: number
  /** The first is the one that is followed: every node that has both follows the same. */
  readonly heads: readonly [ProvenHead, ProvenHead]
}

type Row = readonly [string, string]

/** A head as it was sealed, or undefined when the envelope holds none. */
export function sealedHead(envelope: Uint8Array): (ProvenHead & { record: SealedRecord }) | undefined {
  const payload = reopen(envelope)
  const record = { ...decodeRecord(payload), hash: hashOf(payload), envelope }
  if (record.value === null) return undefined
  const parsed = headSchema.safeParse(decodeJson(record.value))
  return parsed.success ? { hash: headHash(record.value), head: parsed.data, envelope, record } : undefined
}

/**
 * What two envelopes of one key and author prove, if anything. Of two heads in one place the one is followed that the
 * registry orders last ([M1]), so that it and whoever has both heads come to the same. Pure.
 */
export function contradiction(
  dataset: string,
  author: string,
  first: Uint8Array,
  second: Uint8Array,
): Equivocation | undefined {
  const [a, b] = [sealedHead(first), sealedHead(second)]
  if (a === undefined || b === undefined || a.hash === b.hash) return undefined
  if (a.record.author !== author || b.record.author !== author || a.record.key !== b.record.key)
    return undefined
  const sequence = a.head.sequence ?? 0
  const sameDataset = a.head.dataset === dataset && b.head.dataset === dataset
  if (sequence === 0 || b.head.sequence !== sequence || !sameDataset) return undefined
  const heads = compare(a.record, b.record) > 0 ? ([a, b] as const) : ([b, a] as const)
  return { dataset, author, sequence, heads: [proven(heads[0]), proven(heads[1])] }
}

/** Proofs that members have told different members different things; they outlive restarts. */
export class Equivocations {
  readonly #table: Table<Row>
  readonly #proofs = new Map<string, Equivocation>()

  constructor(database: Database) {
    this.#table = table(database, 'dataset-equivocations')
  }

  async load(): Promise<void> {
    for await (const [key, [first, second]] of this.#table.iterator()) {
      const [dataset = '', author = ''] = key.split('/')
      const proof = contradiction(dataset, author, fromBase64(first), fromBase64(second))
      if (proof !== undefined) this.#proofs.set(key, proof)
    }
  }

  /** Of one dataset, by its id. */
  list(dataset: string): Equivocation[] {
    return [...this.#proofs.values()].filter((proof) => proof.dataset === dataset)
  }

  /** @returns false when it is known already, or there are too many to keep more. */
  async add(proof: Equivocation): Promise<boolean> {
    const key = `${proof.dataset}/${proof.author}/${proof.sequence}/${proof.heads.map(({ hash }) => hash.slice(0, 16)).join('.')}`
    if (this.#proofs.has(key) || this.#proofs.size >= equivocationsMax) return false
    const known = [...this.#proofs.values()].filter(({ author }) => author === proof.author)
    if (known.length >= equivocationsPerMemberMax) return false
    this.#proofs.set(key, proof)
    const [first, second] = proof.heads
    await this.#table.put(key, [toBase64(first.envelope), toBase64(second.envelope)], DURABLE)
    return true
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}

function proven({ hash, head, envelope }: ProvenHead): ProvenHead {
  return { hash, head, envelope }
}
