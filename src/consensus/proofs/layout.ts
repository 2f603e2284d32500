/**
 * How certificates lie in a dataset's branch `certificates` (protocols/verification.md §2). The commit is made of its
 * content and of nothing else, so that nodes with the same certificates and the same roll have the same commit.
 */
import { certificatesMax, certificatesPerDirectory } from '../../base/limits-proofs.ts'
import type { NewCommit } from '../../datasets/git/repository.ts'
import { RESULT_AUTHOR } from '../result-commit.ts'
import type { Link } from './link.ts'

export const GENESIS_PATH = 'genesis'
const CERTIFICATE = /^certificates\/(0|[1-9][0-9]{0,3})\/([1-9][0-9]{0,5})\.json$/
const RECORD = /^roll\/([0-9a-f]{2})\/([0-9a-f]{64})$/

export type Place =
  | { readonly kind: 'genesis' }
  | { readonly kind: 'certificate'; readonly height: number }
  | { readonly kind: 'record'; readonly hash: string }

export function certificatePath(height: number): string {
  return `certificates/${Math.floor(height / certificatesPerDirectory)}/${height}.json`
}

export function recordPath(hash: string): string {
  return `roll/${hash.slice(0, 2)}/${hash}`
}

/** What lies at a path; undefined for what has no place there. */
export function placeAt(path: string): Place | undefined {
  if (path === GENESIS_PATH) return { kind: 'genesis' }
  const height = Number(CERTIFICATE.exec(path)?.[2] ?? Number.NaN)
  if (height <= certificatesMax && path === certificatePath(height)) return { kind: 'certificate', height }
  const hash = RECORD.exec(path)?.[2]
  return hash !== undefined && path === recordPath(hash) ? { kind: 'record', hash } : undefined
}

/** [B3] No parent: whoever has the same content has the same commit, whatever it had before. */
export function branchCommit(tree: string, tip: Pick<Link, 'height' | 'round' | 'openedMs'>): NewCommit {
  return {
    tree,
    parents: [],
    message: `Certificates of ${tip.round.dataset} up to height ${tip.height}\n`,
    author: RESULT_AUTHOR,
    timeMs: tip.openedMs - (tip.openedMs % 1_000),
  }
}
