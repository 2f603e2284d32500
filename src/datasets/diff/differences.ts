import type { FileMode } from '../git/repository.ts'
import type { Comparison } from './file-comparison.ts'
import type { FileDifference } from './tree-diff.ts'

export interface DiffSide {
  /** What people call it. */
  readonly name: string
  readonly commit: string
}

export interface FileSide {
  readonly mode: FileMode
  readonly oid: string
  /** Bytes. */
  readonly size: number
}

export interface FileDiff {
  readonly path: string
  readonly change: FileDifference['change']
  /** Of a renamed file. */
  readonly previousPath?: string
  readonly from?: FileSide
  readonly to?: FileSide
  /** Of a changed file with other bytes. */
  readonly comparison?: Comparison
  /** Nothing was found but another way to write the same. */
  readonly sameContent?: true
}

/** A difference with the words for it. */
export interface ToldFileDiff extends FileDiff {
  readonly summary: string
}

export interface DatasetDiff {
  readonly from: DiffSide
  readonly to: DiffSide
  /** Files. */
  readonly counts: Readonly<Record<FileDifference['change'] | 'unchanged', number>>
  /** The first ones, sorted by path. */
  readonly files: readonly ToldFileDiff[]
  /** All of it as one sentence. */
  readonly summary: string
}
