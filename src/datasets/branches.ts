import { TRUTH_BRANCH } from './git/git-directory.ts'

/** The branch on which a node writes what a step of its runs puts out. */
export function branchOf(step: string, node: string): string {
  return `${step}-${node}`
}

/**
 * The member that owns a branch `<step>-<node>`, or undefined when nobody does. Members are admitted only under names
 * of which none ends in another one behind a dash, so one fits at most. In a federation that is older than this rule
 * the longest name wins: all branches of `a-b` end in `-b`, and it could write none if they were `b`'s. Pure.
 */
export function ownerOfBranch(branch: string, memberNames: Iterable<string>): string | undefined {
  // A step `ground` of a node `truth` would otherwise hand the agreed state to one member.
  if (branch === TRUTH_BRANCH) return undefined
  let owner: string | undefined
  for (const name of memberNames) {
    const fits = branch.length > name.length + 1 && branch.endsWith(`-${name}`)
    if (fits && name.length > (owner?.length ?? 0)) owner = name
  }
  return owner
}
