import type { Members } from '../federation/members.ts'
import type { Item } from '../registry/collection.ts'
import { ownerOfBranch } from './branches.ts'
import { type DatasetRecord, idOf } from './dataset-record.ts'
import { CERTIFICATES_BRANCH, TRUTH_BRANCH } from './git/git-directory.ts'
import { foreignBranches, type HeadRecord } from './heads.ts'
import type { FetchFailureView, HeldUp, RefusalView } from './held-up.ts'
import type { ContestedClaim } from './name-claims.ts'
import type { Policy } from './policies.ts'

export interface BranchView {
  readonly branch: string
  readonly commit: string
  /** Name of the member that owns the branch. */
  readonly member: string
  /** False for a branch that is only here. */
  readonly announced: boolean
  /** Whether this node holds the commit on that branch. */
  readonly present: boolean
  /** Where the branch is here, when that is elsewhere. */
  readonly held?: string
}

/** What a member says that it holds of a dataset. */
export interface ReplicaView {
  /** Name of the member. */
  readonly member: string
  /** Whether it held all that was announced when it said so. */
  readonly complete: boolean
  /** Whether it holds what is announced now. */
  readonly current: boolean
  /** On its disk. */
  readonly bytes: number
}

export interface ReplicasView {
  /** How many copies are asked for beside the owner's; without a word, as many as there are members. */
  readonly wanted?: number
  /** How many members beside the owner hold all of it, at least as it was a while ago. */
  readonly actual: number
  /** How many of these are up to date. */
  readonly current: number
  readonly members: readonly ReplicaView[]
}

/** Two heads of one member in one place of its sequence: it has told different members different things. */
export interface EquivocationView {
  /** Name of the member. */
  readonly member: string
  readonly sequence: number
  /** Where the two say that the branches are; the first is the one that all nodes follow. */
  readonly heads: readonly { readonly hash: string; readonly branches: Readonly<Record<string, string>> }[]
}

/** A member has rewritten one of its branches and says why. */
export interface ResetView {
  /** Name of the member. */
  readonly member: string
  readonly branch: string
  /** How often the branch was reset so far. */
  readonly count: number
  readonly from: string
  readonly to: string
  readonly reason: string
}

/** A head that is not followed. */
export interface IgnoredHeadView {
  /** Name of the member. */
  readonly member: string
  /** `other-dataset`: about another dataset of this name; `replayed`: older than one that was here already. */
  readonly reason: 'other-dataset' | 'replayed'
  /** Id of the dataset that the head is about. */
  readonly dataset: string
  readonly sequence: number
}

/** Another member's claim to the name, which does not say what the dataset is. */
export interface ContestedView {
  /** Name of the member. */
  readonly member: string
  /** Id of the dataset that it claims. */
  readonly id: string
  /** `another`: a dataset of its own; `not-theirs`: somebody else's; `not-proven`: none. */
  readonly reason: ContestedClaim['reason']
}

export interface DatasetView {
  readonly name: string
  /** Tells datasets of one name apart. */
  readonly id: string
  readonly description: string
  readonly policy: Policy
  readonly createdBy: string
  /** Name of the member where the objects are, unless they are shared. */
  readonly livesAt?: string
  /** The agreed commit, or what the dataset was founded with; it need not be here. */
  readonly truth?: string
  /** Whether this node copies what members announce. */
  readonly followed: boolean
  /** Why, or why not. */
  readonly why: string
  /** Whether all that was announced is here. */
  readonly replicated: boolean
  readonly replicas: ReplicasView
  /** As far as anybody has said. */
  readonly size?: { readonly bytes: number; readonly files?: number }
  readonly branches: readonly BranchView[]
  /** Heads that could not be fetched so far, and why. */
  readonly failures: readonly FetchFailureView[]
  /** Branches that are announced and not followed, and why. */
  readonly refusals: readonly RefusalView[]
  readonly resets: readonly ResetView[]
  readonly equivocations: readonly EquivocationView[]
  readonly ignored: readonly IgnoredHeadView[]
  readonly contested: readonly ContestedView[]
  readonly upstream?: { readonly url: string; readonly branch: string }
}

export interface Seen {
  readonly record: DatasetRecord
  /** What counts here, which may be stricter than what the record says. */
  readonly policy: Policy
  /** Name of the member that founded it, or whose promise its policy is. */
  readonly owner: string
  readonly followed: boolean
  readonly why: string
  readonly truth: string | undefined
  /** This node is where the objects of a dataset are that does not share them. */
  readonly isHome: boolean
  /** The heads that are followed, each under `<dataset>/<peer>`. */
  readonly heads: readonly Item<HeadRecord>[]
  /** Heads that are not followed. */
  readonly ignored: readonly IgnoredHeadView[]
  readonly heldUp: HeldUp
  readonly contested: readonly ContestedView[]
  readonly replicas: ReplicasView
  readonly equivocations: readonly EquivocationView[]
  /** Where the branches are that this node holds. */
  readonly held: ReadonlyMap<string, string>
  readonly members: Pick<Members, 'get' | 'list' | 'isMember'>
}

/** One dataset as people see it: what was announced, beside what is here. */
export function viewOf(name: string, seen: Seen): DatasetView {
  const { record, policy, owner, truth, heads, replicas } = seen
  const branches = branchesOf(name, seen)
  const size = sizeOf(heads, replicas)
  return {
    name,
    id: idOf(name, record),
    description: record.description,
    policy,
    createdBy: record.createdBy,
    ...(policy === 'shared' ? {} : { livesAt: owner }),
    ...(truth === undefined ? {} : { truth }),
    followed: seen.followed,
    why: seen.why,
    replicated: isReplicated(branches, seen),
    replicas,
    ...(size === undefined ? {} : { size }),
    branches,
    ...stillHeldUp(branches, seen),
    resets: resetsOf(name, heads, seen),
    equivocations: seen.equivocations,
    ignored: seen.ignored,
    contested: seen.contested,
    ...(record.upstream === undefined ? {} : { upstream: record.upstream }),
  }
}

function isReplicated(branches: readonly BranchView[], { policy, isHome, record }: Seen): boolean {
  // What nobody gives away is nobody's to copy, and claims no copy.
  if (policy !== 'shared' && !isHome) return false
  // Where there is a beginning, the head that announces it may be on its way.
  if (branches.length === 0 && record.initial !== undefined) return false
  return branches.every((branch) => branch.present)
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
      const here = held.get(branch)
      const present = here === commit
      const elsewhere = here === undefined || present ? {} : { held: here }
      views.set(branch, { branch, commit, member, announced: true, present, ...elsewhere })
    }
  }
  for (const [branch, commit] of held) {
    if (branch === TRUTH_BRANCH || branch === CERTIFICATES_BRANCH || views.has(branch)) continue
    const member = ownerOfBranch(branch, names) ?? ''
    views.set(branch, { branch, commit, member, announced: false, present: true })
  }
  return [...views.values()].sort((a, b) => (a.branch < b.branch ? -1 : 1))
}

/** What came meanwhile some other way holds nobody up. */
function stillHeldUp(branches: readonly BranchView[], { heldUp, held }: Seen): HeldUp {
  const missing = new Set(branches.filter(({ present }) => !present).map(({ member }) => member))
  return {
    failures: heldUp.failures.filter(({ member }) => missing.has(member)),
    refusals: heldUp.refusals.filter(
      ({ branch, announced, reason }) => reason === 'not-owner' || held.get(branch) !== announced,
    ),
  }
}

function resetsOf(name: string, heads: readonly Item<HeadRecord>[], { members }: Seen): ResetView[] {
  return heads.flatMap(({ name: key, value }) => {
    const peer = key.slice(name.length + 1)
    const member = members.get(peer)?.name ?? peer
    return Object.entries(value.resets ?? {}).map(([branch, reset]) => ({ member, branch, ...reset }))
  })
}

function sizeOf(heads: readonly Item<HeadRecord>[], replicas: ReplicasView): DatasetView['size'] {
  const told = heads.map(({ value }) => value.size).filter((size) => size !== undefined)
  const largest = told.sort((a, b) => b.bytes - a.bytes)[0]
  if (largest !== undefined) return largest
  const bytes = Math.max(0, ...replicas.members.filter(({ complete }) => complete).map((one) => one.bytes))
  return bytes === 0 ? undefined : { bytes }
}
