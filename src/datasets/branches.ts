import { TRUTH_BRANCH } from './git-directory.ts'

/** The branch on which a node writes what a step of its runs puts out. */
export function branchOf(step: string, node: string): string {
  return `${step}-${node}`
}

/**
 * The member that owns a branch `<step>-<node>`, or undefined when nobody does. Steps and nodes may hold dashes
 * themselves, so the longest name wins: with members `b` and `a-b`, the branch `x-a-b` is `a-b`'s. Pure.
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
