/** What a member answers an audit with: its newest head of its own branches (protocols/audit.md [A4]). */
import { branchOf, isReservedStep, ownerOfBranch } from '../../datasets/branches.ts'
import type { Repository } from '../../datasets/git/repository.ts'
import type { AuditHead } from './audit-records.ts'

/** A branch of a member's own as its head announces it. */
export interface OwnBranch {
  readonly branch: string
  readonly commit: string
}

/** The same with what its commit says. */
export type DatedBranch = AuditHead & { readonly timeMs: number }

/**
 * The branches of a head that are their author's own word: those that end in its name, of the step alone when one is
 * named, and none that it keeps for other members. Pure.
 */
export function ownBranches(
  branches: Readonly<Record<string, string>>,
  { name, names, step }: { readonly name: string; readonly names: readonly string[]; readonly step?: string },
): OwnBranch[] {
  return Object.entries(branches)
    .filter(([branch]) => {
      if (step !== undefined) return branch === branchOf(step, name)
      return ownerOfBranch(branch, names) === name && !isReservedStep(branch)
    })
    .map(([branch, commit]) => ({ branch, commit }))
}

/** The one with the latest commit; of commits of one second, that of the branch whose name comes first. Pure. */
export function newestOf(branches: readonly DatedBranch[]): AuditHead | null {
  const [first] = [...branches].sort((a, b) => b.timeMs - a.timeMs || (a.branch < b.branch ? -1 : 1))
  return first === undefined ? null : { branch: first.branch, commit: first.commit, tree: first.tree }
}

/** Reads the commits; what is announced and not here any more, nobody could be given. */
export async function datedBranches(
  repository: Pick<Repository, 'hasCommit' | 'readCommit'>,
  branches: readonly OwnBranch[],
): Promise<DatedBranch[]> {
  const dated: DatedBranch[] = []
  for (const { branch, commit } of branches) {
    if (!(await repository.hasCommit(commit))) continue
    const { tree, timeMs } = await repository.readCommit(commit)
    dated.push({ branch, commit, tree, timeMs })
  }
  return dated
}
