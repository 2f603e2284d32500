/** When a repository is collected (dataset-upkeep.md Q5). Everything here is pure. */
import { createHash } from 'node:crypto'
import { gcLooseObjectsMax, gcPacksMax } from '../../base/limits.ts'
import type { RepositorySize } from '../git/repository.ts'

/** How much of the interval the turns of several datasets are spread over. */
const SPREAD = 0.1

export interface Turn {
  readonly nowMs: number
  /** When it was collected last, or seen first. */
  readonly lastMs: number
  readonly intervalMs: number
  /** This dataset's place among others, from 0 to below 1. */
  readonly place: number
}

/**
 * Whether the interval has passed. A clock that was set back by more than that counts as passed as well: what was
 * written down under the wrong time would else hold everything up until that time comes again.
 */
export function isDue({ nowMs, lastMs, intervalMs, place }: Turn): boolean {
  return Math.abs(nowMs - lastMs) >= intervalMs * (1 + SPREAD * place)
}

/** A place that a dataset keeps on one node, so that neither all datasets nor all nodes have their turn at once. */
export function placeOf(dataset: string, node: string): number {
  const digest = createHash('sha256').update(`${node}/${dataset}`).digest()
  return digest.readUInt32BE(0) / 2 ** 32
}

type Counts = Pick<RepositorySize, 'looseObjects' | 'packs'>

/** What a look into many loose objects or packs would cost every reader; what the last one could not pack does not count. */
export function wantsPacking(size: Counts, left: Counts = { looseObjects: 0, packs: 0 }): boolean {
  return size.looseObjects - left.looseObjects >= gcLooseObjectsMax || size.packs - left.packs >= gcPacksMax
}
