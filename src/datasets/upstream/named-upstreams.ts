import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Members } from '../../federation/members.ts'
import type { Collection, Item } from '../../registry/collection.ts'
import type { SharedRecord } from '../dataset-record.ts'
import type { Upstream } from './upstream-address.ts'

export interface NamedUpstreamsParts {
  readonly members: Pick<Members, 'get'>
  readonly records: Pick<Collection<SharedRecord>, 'get' | 'put'>
}

/** The records of datasets, as far as they are about upstreams. */
export class NamedUpstreams {
  readonly #parts: NamedUpstreamsParts

  constructor(parts: NamedUpstreamsParts) {
    this.#parts = parts
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  item(dataset: string): Item<SharedRecord> {
    const item = this.#parts.records.get(dataset)
    if (item !== undefined) return item
    throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${dataset}`, { name: dataset })
  }

  /** @throws NodeError DATASET_NOT_FOUND, NOT_FOUND when the record names no upstream. */
  upstream(dataset: string): Upstream {
    const { upstream } = this.item(dataset).value
    if (upstream !== undefined) return upstream
    const message = `The dataset ${dataset} names no upstream; "maoctl dataset upstream set ${dataset} URL" does`
    throw new NodeError('NOT_FOUND', message, { dataset })
  }

  /** The member whose record it is. */
  author(dataset: string): string {
    const { author } = this.item(dataset).entry
    return this.#parts.members.get(author)?.name ?? author
  }

  /** @throws NodeError FORBIDDEN when the record is another member's. */
  async write(dataset: string, record: SharedRecord): Promise<void> {
    try {
      await this.#parts.records.put(dataset, record)
    } catch (cause) {
      if (!isNodeError(cause, 'CONFLICT')) throw cause
      const owner = this.author(dataset)
      const message = `The record of ${dataset} is ${owner}'s: only that member or an operator names its upstream`
      throw new NodeError('FORBIDDEN', message, { dataset, owner }, { cause })
    }
  }
}
