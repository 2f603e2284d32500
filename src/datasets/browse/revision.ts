/**
 * Which commit people mean: the ground truth, a branch, a member that has one branch, a commit by its id or by the
 * beginning of one. An id is looked for among what the branches of the dataset reach and what members have announced,
 * never among all objects of the store, where others' leavings lie as well.
 */
import { NodeError } from '../../base/errors.ts'
import { prefixCommitsMax, revisionBranchesMax } from '../../base/limits.ts'
import { nearestName } from '../../base/nearest-name.ts'
import type { BranchView, DatasetView } from '../dataset-view.ts'
import { TRUTH_BRANCH } from '../git/git-directory.ts'
import { isOid } from '../git/git-objects.ts'
import type { Repository } from '../git/repository.ts'

const PREFIX = /^[0-9a-f]{7,39}$/

export interface Revision {
  /** What people call it: a branch, a member, or the beginning of an id. */
  readonly name: string
  readonly commit: string
  /** Whether the same words will always mean the same commit. */
  readonly fixed: boolean
  /** What has been announced for that branch and is not here yet. */
  readonly announced?: string
}

type Viewed = Pick<DatasetView, 'name' | 'policy' | 'livesAt' | 'truth' | 'followed' | 'replicas'> & {
  readonly branches: readonly Pick<BranchView, 'branch' | 'commit' | 'member'>[]
}
export type Commits = Pick<Repository, 'branches' | 'hasCommit' | 'isAncestor' | 'log'>

/**
 * @param words what was asked for; the ground truth when nothing was.
 * @throws NodeError NOT_FOUND for words that mean nothing here, COMMIT_NOT_FOUND, INVALID_INPUT where they mean
 * several commits, DATASET_WITHHELD where another member keeps the objects to itself.
 */
export async function resolveRevision(
  words: string | undefined,
  view: Viewed,
  repository: Commits,
): Promise<Revision> {
  const held = await repository.branches()
  if (words === undefined || words === TRUTH_BRANCH) return resolveTruth(view, held, repository)
  const byBranch = resolveBranch(words, view, held)
  if (byBranch !== undefined) return byBranch
  if (isOid(words)) return resolveId(words, view, held, repository)
  const byMember = resolveMember(words, view, held)
  if (byMember !== undefined) return byMember
  if (PREFIX.test(words)) return resolvePrefix(words, view, held, repository)
  throw unknown(words, view, held)
}

async function resolveTruth(
  view: Viewed,
  held: ReadonlyMap<string, string>,
  repository: Commits,
): Promise<Revision> {
  const name = TRUTH_BRANCH
  const { truth } = view
  const branch = held.get(name)
  if (truth !== undefined && (truth === branch || (await repository.hasCommit(truth)))) {
    return { name, commit: truth, fixed: false }
  }
  if (truth === undefined) {
    const others = namesOf(view, held)
    const way =
      others.length === 0 ? 'nobody has written to it' : `name a branch instead: ${others.join(', ')}`
    throw new NodeError('NOT_FOUND', `Nothing is agreed on in ${view.name} yet; ${way}`, { name: view.name })
  }
  throw missing('ground truth', truth, view)
}

function resolveBranch(words: string, view: Viewed, held: ReadonlyMap<string, string>): Revision | undefined {
  const announced = view.branches.find(({ branch }) => branch === words)
  const commit = held.get(words)
  if (commit === undefined) {
    if (announced === undefined) return undefined
    throw missing(`branch ${words}`, announced.commit, view)
  }
  const behind = announced !== undefined && announced.commit !== commit
  return { name: words, commit, fixed: false, ...(behind ? { announced: announced.commit } : {}) }
}

/** @throws NodeError when the member has none, or several, to choose from. */
function resolveMember(words: string, view: Viewed, held: ReadonlyMap<string, string>): Revision | undefined {
  const its = view.branches.filter(({ member }) => member === words)
  const here = its.filter(({ branch }) => held.has(branch))
  const [only] = here
  if (only !== undefined && here.length === 1) {
    const found = resolveBranch(only.branch, view, held)
    return found === undefined ? undefined : { ...found, name: words }
  }
  const [first] = its
  if (first === undefined) return undefined
  if (here.length === 0) throw missing(`branch ${first.branch}`, first.commit, view)
  const names = here.map(({ branch }) => branch)
  const message = `${words} has ${names.length} branches in ${view.name}; name one of them: ${names.join(', ')}`
  throw new NodeError('INVALID_INPUT', message, { name: view.name, branches: names })
}

async function resolveId(
  commit: string,
  view: Viewed,
  held: ReadonlyMap<string, string>,
  repository: Commits,
): Promise<Revision> {
  const told = isAnnounced(commit, view)
  const here = await repository.hasCommit(commit)
  if (here && (told || (await isReached(commit, held, repository)))) {
    return { name: commit.slice(0, 10), commit, fixed: true }
  }
  if (told) throw missing('commit', commit, view)
  const message = `No branch of ${view.name} that is here has the commit ${commit}`
  throw new NodeError('COMMIT_NOT_FOUND', message, { name: view.name, commit })
}

async function resolvePrefix(
  prefix: string,
  view: Viewed,
  held: ReadonlyMap<string, string>,
  repository: Commits,
): Promise<Revision> {
  const found = new Set<string>()
  const announced = [...view.branches.map(({ commit }) => commit), ...(view.truth ? [view.truth] : [])]
  for (const commit of announced) if (commit.startsWith(prefix)) found.add(commit)
  for (const tip of new Set([...held.values()].slice(0, revisionBranchesMax))) {
    for (const { oid } of await repository.log(tip, prefixCommitsMax)) {
      if (oid.startsWith(prefix)) found.add(oid)
    }
  }
  const [only, ...others] = [...found].sort()
  if (only === undefined) throw unknown(prefix, view, held)
  // Another commit may come to begin alike.
  if (others.length === 0) return { ...(await resolveId(only, view, held, repository)), fixed: false }
  const message = `${prefix} begins several commits of ${view.name}: ${[only, ...others].join(', ')}`
  throw new NodeError('INVALID_INPUT', message, { name: view.name, commits: [only, ...others] })
}

function isAnnounced(commit: string, view: Viewed): boolean {
  return view.truth === commit || view.branches.some((branch) => branch.commit === commit)
}

/** The ground truth first: most of what is asked for by id lies behind it. */
async function isReached(
  commit: string,
  held: ReadonlyMap<string, string>,
  repository: Commits,
): Promise<boolean> {
  const truth = held.get(TRUTH_BRANCH)
  const tips = new Set([...(truth === undefined ? [] : [truth]), ...held.values()])
  if (tips.has(commit)) return true
  for (const tip of [...tips].slice(0, revisionBranchesMax)) {
    if (await repository.isAncestor(commit, tip)) return true
  }
  return false
}

/** Where it is, and how it comes here. */
function missing(what: string, commit: string, view: Viewed): NodeError {
  const { name, policy, livesAt } = view
  if (policy !== 'shared') {
    const keeper = livesAt ?? 'another member'
    const message = `The data of ${name} stay with ${keeper} (${policy}): tools go there, and only results leave`
    return new NodeError('DATASET_WITHHELD', message, { name, policy, ...(livesAt ? { livesAt } : {}) })
  }
  const authors = view.branches.filter((branch) => branch.commit === commit).map(({ member }) => member)
  const holders = view.replicas.members.filter(({ current }) => current).map(({ member }) => member)
  const members = [...new Set([...authors, ...holders])].filter((member) => member !== '').sort()
  const who = members.length === 0 ? 'no member is known to hold it' : `${members.join(', ')} had it last`
  const verb = view.followed ? 'fetch' : 'follow'
  const message = `The ${what} of ${name}, ${commit}, is not here; ${who}: "maoctl dataset ${verb} ${name}" brings it`
  return new NodeError('COMMIT_NOT_FOUND', message, {
    name,
    commit,
    members,
  })
}

function unknown(words: string, view: Viewed, held: ReadonlyMap<string, string>): NodeError {
  const known = namesOf(view, held)
  const near = nearestName(words, known)
  const shown = JSON.stringify(words.slice(0, 100))
  const way =
    near !== undefined
      ? `did you mean "${near}"?`
      : known.length === 0
        ? 'it has none yet'
        : `it has ${known.join(', ')}`
  return new NodeError('NOT_FOUND', `${view.name} has no branch, member or commit ${shown}; ${way}`, {
    name: view.name,
    known,
  })
}

/** Branches, and the members that stand for one. */
function namesOf(view: Viewed, held: ReadonlyMap<string, string>): string[] {
  const branches = [...new Set([...held.keys(), ...view.branches.map(({ branch }) => branch)])]
  const members = view.branches.map(({ member }) => member).filter((member) => member !== '')
  return [...branches.sort(), ...[...new Set(members)].sort()].slice(0, revisionBranchesMax)
}
