/** What this node's registry says, now, about who votes on a dataset: as much of a roll as is still there. */
import { DATASET_PREFIX } from '../../datasets/dataset-record.ts'
import { SUCCESSIONS } from '../../federation/successions.ts'
import type { Registry } from '../../registry/registry.ts'
import {
  GRANTS_PREFIX,
  MEMBERS_PREFIX,
  type RollContext,
  type RollRecord,
  readRollRecord,
} from './roll-records.ts'

export interface RegistryRollParts {
  readonly registry: Pick<Registry, 'list' | 'claims' | 'envelope'>
}

export interface SealedRollRecord {
  readonly record: RollRecord
  readonly envelope: Uint8Array
}

export class RegistryRoll {
  readonly #registry: RegistryRollParts['registry']
  /** What was read of an envelope; the registry holds each as long as it stands. */
  readonly #read = new WeakMap<Uint8Array, RollRecord | string>()

  constructor({ registry }: RegistryRollParts) {
    this.#registry = registry
  }

  /** @param id of the dataset that has the name: records of another one are none of its roll. */
  async of(context: RollContext, id: string): Promise<SealedRollRecord[]> {
    const { dataset } = context
    const prefixes = [MEMBERS_PREFIX, SUCCESSIONS, `${GRANTS_PREFIX}${dataset}/`]
    const keys = prefixes.flatMap((prefix) => this.#registry.list(prefix).map(({ key }) => key))
    const found: SealedRollRecord[] = []
    for (const key of new Set([...keys, DATASET_PREFIX + dataset])) {
      for (const { author } of this.#registry.claims(key)) {
        const envelope = this.#registry.envelope(key, author)
        const record = envelope && (await this.#open(envelope, context))
        if (record !== undefined && typeof record !== 'string' && isOf(record, dataset, id))
          found.push({ record, envelope: envelope as Uint8Array })
      }
    }
    return found
  }

  async #open(envelope: Uint8Array, context: RollContext): Promise<RollRecord | string> {
    const known = this.#read.get(envelope)
    if (known !== undefined) return known
    const read = await readRollRecord(envelope, context)
    this.#read.set(envelope, read)
    return read
  }
}

/** Whether a record is about the dataset of this id, or about none. */
export function isOf(record: RollRecord, dataset: string, id: string): boolean {
  if (record.kind === 'dataset') return (record.value.id ?? dataset) === id
  return record.kind !== 'grant' || record.value.dataset === id
}
