import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Members } from '../../federation/members.ts'
import type { DatasetRecord } from '../dataset-record.ts'
import type { KnownDatasets } from '../known-datasets.ts'
import type { Upstream } from './upstream-address.ts'
import type { Agreement } from './upstream-memory.ts'

export interface NamedUpstreamsParts {
  readonly members: Pick<Members, 'get'>
  readonly known: Pick<KnownDatasets, 'need' | 'write'>
}

/** The records of datasets, as far as they are about upstreams. */
export class NamedUpstreams {
  readonly #parts: NamedUpstreamsParts

  constructor(parts: NamedUpstreamsParts) {
    this.#parts = parts
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  record(dataset: string): DatasetRecord {
    return this.#parts.known.need(dataset).record
  }

  /** @throws NodeError DATASET_NOT_FOUND, NOT_FOUND when the record names no upstream. */
  upstream(dataset: string): Upstream {
    const { upstream } = this.record(dataset)
    if (upstream !== undefined) return upstream
    const message = `The dataset ${dataset} names no upstream; "maoctl dataset upstream set ${dataset} URL" does`
    throw new NodeError('NOT_FOUND', message, { dataset })
  }

  /** What agreeing to the upstream that is named now agrees to. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  agreement(dataset: string): Agreement {
    const { url, branch } = this.upstream(dataset)
    return { url, branch, id: this.#parts.known.need(dataset).id }
  }

  /** Peer id of the member whose record it is; this node, where the dataset never leaves it. */
  author(dataset: string): string {
    return this.#parts.known.need(dataset).author
  }

  authorName(dataset: string): string {
    const author = this.author(dataset)
    return this.#parts.members.get(author)?.name ?? author
  }

  /** By who may write the record (upstreams.md X5). @throws NodeError FORBIDDEN when it is another member's. */
  async write(dataset: string, record: DatasetRecord): Promise<void> {
    try {
      await this.#parts.known.write(dataset, record)
    } catch (cause) {
      if (!isNodeError(cause, 'CONFLICT')) throw cause
      const owner = this.authorName(dataset)
      const message = `The record of ${dataset} is ${owner}'s: only that member or an operator names its upstream`
      throw new NodeError('FORBIDDEN', message, { dataset, owner }, { cause })
    }
  }
}
