/** What an author's own branches have to keep to, and what its people are told. Everything here is pure. */
import { NodeError } from '../base/errors.ts'
import { branchesForMemberMax, branchesForOthersMax, branchesPerHeadMax } from '../base/limits.ts'
import { askedForBy } from './branches.ts'

/**
 * @param taken the branches that the author has, announced or not.
 * @param moved those that are to move.
 * @throws NodeError INVALID_INPUT when a head has no room for those that are new, QUOTA_EXCEEDED when it has none for what
 * other members have made here.
 */
export function checkFits(dataset: string, taken: Iterable<string>, moved: readonly string[]): void {
  const all = new Set(taken)
  const news = new Set(moved.filter((branch) => !all.has(branch)))
  checkOthers(dataset, new Set([...all, ...news]), news)
  if (news.size === 0 || all.size + news.size <= branchesPerHeadMax) return
  const [branch] = news
  const message = `A member has at most ${branchesPerHeadMax} branches of a dataset, and ${branch} would be one more; commit under a step that is there`
  throw new NodeError('INVALID_INPUT', message, { dataset, branch })
}

/**
 * A directory is the whole tree of its commit: on a branch that has moved since it was laid out, the commit would take
 * away what came meanwhile, or bring back what was taken away.
 *
 * @throws NodeError CONFLICT
 */
export function checkUnmoved(p: {
  dataset: string
  branch: string
  from: string | null | undefined
  tip: string | undefined
}): void {
  const { dataset, branch, from, tip } = p
  if (from === undefined || from === (tip ?? null)) return
  const message = `The branch ${branch} of ${dataset} has moved from ${from ?? 'nowhere'} to ${tip ?? 'nowhere'} meanwhile, by a push, an import or a reset; what was made on the old state is not put over it`
  throw new NodeError('CONFLICT', message, { dataset, branch, from, tip })
}

/** However many runs others have made here, a node's own results have room. */
function checkOthers(dataset: string, all: ReadonlySet<string>, news: ReadonlySet<string>): void {
  const others = [...all].map(askedForBy).filter((asker) => asker !== undefined)
  for (const branch of news) {
    const asker = askedForBy(branch)
    if (asker === undefined) continue
    const ofOne = others.filter((other) => other === asker).length > branchesForMemberMax
    if (!ofOne && others.length <= branchesForOthersMax) continue
    const bound = ofOne
      ? `${branchesForMemberMax} branches of a dataset for one member`
      : `${branchesForOthersMax} branches of a dataset for other members`
    const message = `A host keeps at most ${bound}, and ${branch} would be one more; let the run have a step that was run here before, or another output dataset`
    throw new NodeError('QUOTA_EXCEEDED', message, { dataset, branch })
  }
}

/** An own branch that cannot go on by itself. */
export interface Stuck {
  readonly dataset: string
  readonly branch: string
  /** Name of the author. */
  readonly member: string
  readonly announced: string
  readonly held: string | undefined
}

/** What was announced and what is held part ways. */
export function diverged(stuck: Stuck): NodeError {
  const { dataset, branch, announced, held } = stuck
  const way = `${wayOn(stuck)} keeps what is here, --to ${announced} what was announced`
  const message = `This node has announced ${announced} on ${branch}, but holds ${held}; neither follows the other: ${way}`
  return new NodeError('CONFLICT', message, { dataset, branch, announced, held })
}

/** What was announced is not here, and nobody could be asked for it. */
export function lost(stuck: Stuck, cause: NodeError): NodeError {
  const { dataset, branch, announced, held } = stuck
  const what = `This node has announced ${announced} on ${branch}, which is not here, and it could not be brought: ${cause.message}`
  const message = `${what}; wait for a member that has it, or give it up: ${wayOn(stuck)}`
  return new NodeError(cause.code, message, { dataset, branch, announced, held }, { cause })
}

/** What people type to have the branch go on from what is here. */
function wayOn({ dataset, branch, member, held }: Stuck): string {
  const step = branch.slice(0, -`-${member}`.length)
  return `"maoctl dataset reset ${dataset} --step ${step} --to ${held ?? 'COMMIT'} --reason WHY"`
}
