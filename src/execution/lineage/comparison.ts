import { rerunChangesMax } from '../../base/limits.ts'
import type { TreeFile } from '../../datasets/git/repository.ts'

/** How one step of a rerun came out against the first run's. */
export interface StepComparison {
  readonly step: string
  readonly dataset: string
  readonly before: { readonly commit: string; readonly tree: string }
  /** Absent where the rerun did not come so far. */
  readonly after?: { readonly commit: string; readonly tree: string }
  /** Whether the whole trees are the same, byte for byte. */
  readonly same: boolean
  /** Files that differ, sorted, at most `rerunChangesMax`. */
  readonly changes: readonly FileChange[]
  /** How many differ in all. */
  readonly changesTotal: number
}

export interface FileChange {
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
}

export interface RunComparison {
  /** The rerun. */
  readonly run: string
  /** The run that it did again. */
  readonly of: string
  readonly state: string
  readonly reason?: string
  /** Every step came out with the same tree. */
  readonly same: boolean
  readonly steps: readonly StepComparison[]
}

/** The files that differ between two trees. Pure. */
export function changesBetween(before: readonly TreeFile[], after: readonly TreeFile[]): FileChange[] {
  const old = new Map(before.map((file) => [file.path, file]))
  const fresh = new Map(after.map((file) => [file.path, file]))
  const changed = after.flatMap(({ path, oid, mode }): FileChange[] => {
    const was = old.get(path)
    if (was === undefined) return [{ path, change: 'added' }]
    return was.oid === oid && was.mode === mode ? [] : [{ path, change: 'changed' }]
  })
  const removed = before
    .filter(({ path }) => !fresh.has(path))
    .map(({ path }): FileChange => ({ path, change: 'removed' }))
  return [...changed, ...removed].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Pure. */
export function compareStep(p: {
  step: string
  dataset: string
  before: { commit: string; tree: string; files: readonly TreeFile[] }
  after: { commit: string; tree: string; files: readonly TreeFile[] } | undefined
}): StepComparison {
  const { step, dataset, before, after } = p
  const told = { step, dataset, before: { commit: before.commit, tree: before.tree } }
  if (after === undefined) return { ...told, same: false, changes: [], changesTotal: 0 }
  const changes = changesBetween(before.files, after.files)
  return {
    ...told,
    after: { commit: after.commit, tree: after.tree },
    same: before.tree === after.tree,
    changes: changes.slice(0, rerunChangesMax),
    changesTotal: changes.length,
  }
}
