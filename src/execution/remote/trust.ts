/**
 * Which tools may read what does not leave this node: per dataset, by the digest of their image. It is this node's own
 * word, told to nobody, and kept beside the id of the dataset, so that another one of the same name inherits nothing.
 */
import type { Clock } from '../../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import { trustedToolsMax } from '../../base/limits.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'

export type TrustedLayout = NonNullable<PipelineStep['layout']>

export interface TrustEntry {
  /** `sha256:…` of the image. */
  readonly digest: string
  /** What it was called when it was trusted, for people. */
  readonly tool?: string
  /** The output passes through this tool before anything of it leaves. */
  readonly filter?: { readonly tool: string; readonly digest: string }
  /** Whether whoever asks may read what the tool printed. */
  readonly logs: boolean
  /** Whether whoever asks may choose command, variables and further inputs of the tool. */
  readonly parameters: boolean
  /** Where the tool and its filter find their files; absent: where the image says, and nothing else. */
  readonly layout?: TrustedLayout
  readonly timeMs: number
}

type TrustRow = TrustEntry & { readonly dataset: string; readonly datasetId: string }

const DIGEST = /(sha256:[0-9a-f]{64})$/

/** `sha256:…` of a digest however an engine writes it, such as `name@sha256:…`; undefined when it is none. Pure. */
export function bareDigest(text: string): string | undefined {
  return DIGEST.exec(text)?.[1]
}

export interface TrustBookParts {
  readonly database: Database
  readonly datasets: Pick<Datasets, 'find'>
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
}

export class TrustBook {
  readonly #parts: TrustBookParts
  readonly #table: Table<TrustRow>
  #rows: TrustRow[] = []

  constructor(parts: TrustBookParts) {
    this.#parts = parts
    this.#table = table(parts.database, 'trusted-tools')
  }

  async load(): Promise<void> {
    this.#rows = await this.#table.values().all()
  }

  /** The tools that a dataset trusts. */
  of(dataset: string): TrustEntry[] {
    const id = this.#parts.datasets.find(dataset)?.id
    return this.#rows
      .filter((row) => row.dataset === dataset && row.datasetId === id)
      .map(({ dataset: _name, datasetId: _id, ...entry }) => entry)
  }

  /** @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, INVALID_INPUT, TOO_LARGE */
  async trust(dataset: string, entry: Omit<TrustEntry, 'timeMs'>): Promise<TrustEntry> {
    const { id } = this.#ownDataset(dataset)
    const digests = [entry.digest, ...(entry.filter === undefined ? [] : [entry.filter.digest])]
    if (digests.some((digest) => bareDigest(digest) !== digest)) {
      throw new NodeError('INVALID_INPUT', 'A digest is written sha256: and 64 hexadecimal digits')
    }
    const others = this.of(dataset).filter(({ digest }) => digest !== entry.digest)
    if (others.length >= trustedToolsMax) {
      throw new NodeError('TOO_LARGE', `A dataset trusts at most ${trustedToolsMax} tools`, { dataset })
    }
    const trusted: TrustEntry = { ...entry, timeMs: this.#parts.clock.now() }
    const row: TrustRow = { ...trusted, dataset, datasetId: id }
    await this.#table.put(keyOf(row), row, DURABLE)
    this.#rows = [...this.#rows.filter((each) => keyOf(each) !== keyOf(row)), row]
    return trusted
  }

  /** @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, NOT_FOUND when it was not trusted. */
  async distrust(dataset: string, digest: string): Promise<void> {
    this.#ownDataset(dataset)
    const gone = this.#rows.filter((row) => row.dataset === dataset && row.digest === digest)
    if (gone.length === 0) {
      throw new NodeError('NOT_FOUND', `${dataset} does not trust ${digest}`, { dataset, digest })
    }
    await this.#table.batch(
      gone.map((row) => ({ type: 'del' as const, key: keyOf(row) })),
      DURABLE,
    )
    this.#rows = this.#rows.filter((row) => !gone.includes(row))
  }

  #ownDataset(name: string): { readonly id: string } {
    const { datasets, peer } = this.#parts
    const known = datasets.find(name)
    if (known === undefined) {
      throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`, { name })
    }
    if (known.policy === 'shared') {
      const message = `The dataset ${name} is shared: whoever may have it reads it with any tool, so there is none to trust`
      throw new NodeError('INVALID_INPUT', message, { name })
    }
    if (known.owner !== peer) {
      const message = `The data of ${name} are not here; the member that holds them says which tools may read them`
      throw new NodeError('FORBIDDEN', message, { name })
    }
    return known
  }
}

function keyOf({ dataset, datasetId, digest }: TrustRow): string {
  return `${dataset}/${datasetId}/${digest}`
}
