import type { Members } from '../federation/members.ts'
import type { Item } from '../registry/collection.ts'
import { ownerOfBranch } from './branches.ts'
import type { DatasetRecord } from './dataset-record.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import { foreignBranches, type HeadRecord } from './heads.ts'

export interface BranchView {
  readonly branch: string
  readonly commit: string
  /** Name of the member that owns the branch. */
  readonly member: string
  /** False for a branch that is only here. */
  readonly announced: boolean
  /** Whether this node holds the commit on that branch. */
  readonly present: boolean
}

export interface DatasetView {
  readonly name: string
  readonly description: string
  readonly policy: DatasetRecord['policy']
  readonly createdBy: string
  /** The agreed commit, or what the dataset was founded with. */
  readonly truth?: string
  /** Whether all that was announced is here. */
  readonly replicated: boolean
  readonly branches: readonly BranchView[]
}

export interface Seen {
  readonly record: DatasetRecord
  /** The heads of this dataset, each under `<dataset>/<peer>`. */
  readonly heads: readonly Item<HeadRecord>[]
  /** Where the branches are that this node holds. */
  readonly held: ReadonlyMap<string, string>
  readonly members: Pick<Members, 'get' | 'list' | 'isMember'>
}

/** One dataset as people see it: what was announced, beside what is here. */
export function viewOf(name: string, { record, heads, held, members }: Seen): DatasetView {
  const branches = branchesOf(name, { record, heads, held, members })
  const truth = held.get(TRUTH_BRANCH) ?? record.initial
  const { description, policy, createdBy } = record
  return {
    name,
    description,
    policy,
    createdBy,
    ...(truth === undefined ? {} : { truth }),
    replicated: branches.every((branch) => branch.present),
    branches,
  }
}

function branchesOf(name: string, { heads, held, members }: Seen): BranchView[] {
  const names = members.list().map((member) => member.name)
  const views = new Map<string, BranchView>()
  for (const { name: key, value } of heads) {
    const peer = key.slice(name.length + 1)
    const member = members.get(peer)?.name ?? peer
    const foreign = members.isMember(peer) ? foreignBranches(value, member, names) : []
    for (const [branch, commit] of Object.entries(value.branches)) {
      // What is another's to move is followed nowhere, so it does not count as missing.
      if (foreign.includes(branch)) continue
      views.set(branch, { branch, commit, member, announced: true, present: held.get(branch) === commit })
    }
  }
  for (const [branch, commit] of held) {
    if (branch === TRUTH_BRANCH || views.has(branch)) continue
    const member = ownerOfBranch(branch, names) ?? ''
    views.set(branch, { branch, commit, member, announced: false, present: true })
  }
  return [...views.values()].sort((a, b) => (a.branch < b.branch ? -1 : 1))
}
