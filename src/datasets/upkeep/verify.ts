import { isNodeError, messageOf } from '../../base/errors.ts'
import type { DatasetView } from '../dataset-view.ts'
import { TRUTH_BRANCH } from '../git/git-directory.ts'
import type { Problem, Repository } from '../git/repository.ts'

export interface DatasetProblem {
  /**
   * `BEHIND`: what was announced or agreed is not here yet. The others: the copy is damaged, or holds what no dataset may.
   */
  readonly code: Problem['code'] | 'BEHIND'
  readonly message: string
  readonly oid?: string
  readonly branch?: string
  /** Name of the member whose word the copy does not fit. */
  readonly member?: string
}

export interface DatasetVerification {
  readonly dataset: string
  /** How many were read and hashed. */
  readonly objects: number
  /** Nothing is damaged; the copy may yet be behind. */
  readonly sound: boolean
  /** The first ones, where there are many. */
  readonly problems: readonly DatasetProblem[]
}

export interface VerifyParts {
  readonly repository: Pick<Repository, 'verify' | 'hasCommit' | 'listFiles' | 'branches'>
  readonly branches: DatasetView['branches']
  /** Where the branches are as far as this node remembers, at this moment. */
  readonly held: () => ReadonlyMap<string, string>
  readonly truth: string | undefined
}

/** Reads every object, and compares what is here with what was announced and agreed (dataset-upkeep.md Q8). */
export async function verifyDataset(
  dataset: string,
  { repository, branches, held, truth }: VerifyParts,
  signal: AbortSignal,
): Promise<DatasetVerification> {
  const before = await strayed(repository, held())
  const { objects, problems: damages } = await repository.verify(signal)
  signal.throwIfAborted()
  // A branch that is on its way is elsewhere for a moment; what is elsewhere at both ends stays there.
  const after = before.length === 0 ? [] : await strayed(repository, held())
  const refs = after.filter(({ message }) => before.some((one) => one.message === message))
  const inTruth = truth === undefined ? undefined : await problemOfTruth(repository, truth)
  const all = [...damages, ...refs, ...(inTruth === undefined ? [] : [inTruth]), ...behind(branches)]
  return { dataset, objects, sound: all.every(({ code }) => code === 'BEHIND'), problems: all }
}

/** The branches that are not on the disk where this node has put them. */
async function strayed(
  repository: Pick<Repository, 'branches'>,
  held: ReadonlyMap<string, string>,
): Promise<DatasetProblem[]> {
  const onDisk = await repository.branches()
  return [...held].flatMap(([branch, commit]) => {
    const there = onDisk.get(branch)
    if (there === commit) return []
    const message = `The branch ${branch} is ${there === undefined ? 'not on the disk' : `at ${there} on the disk`}, and was put at ${commit} by this node`
    return [{ code: there === undefined ? 'MISSING' : 'CORRUPT', branch, oid: commit, message }]
  })
}

/** The announced branches that are not here as announced. Pure. */
export function behind(branches: DatasetView['branches']): DatasetProblem[] {
  return branches
    .filter(({ announced, present }) => announced && !present)
    .map(({ branch, commit, member }) => {
      const message = `${member} has announced ${commit} on ${branch}, which this node does not hold there`
      return { code: 'BEHIND', branch, member, oid: commit, message }
    })
}

/** The agreed tree is what runs read: it has to be here as a whole, and to keep the rules on paths. */
async function problemOfTruth(
  repository: Pick<Repository, 'hasCommit' | 'listFiles'>,
  truth: string,
): Promise<DatasetProblem | undefined> {
  try {
    if (!(await repository.hasCommit(truth))) {
      const message = `The ground truth ${truth} is not here yet`
      return { code: 'BEHIND', branch: TRUTH_BRANCH, oid: truth, message }
    }
    await repository.listFiles(truth)
    return undefined
  } catch (error) {
    const code = isNodeError(error, 'PATH_UNSAFE') ? 'PATH_UNSAFE' : 'CORRUPT'
    return {
      code,
      oid: truth,
      message: `The ground truth ${truth} cannot be written out: ${messageOf(error)}`,
    }
  }
}
