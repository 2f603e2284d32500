/** Whether the branch `ground-truth` is what its certificates say (protocols/verification.md §5, [T1] to [T3]). Pure. */
import type { CommitInfo } from '../../datasets/git/repository.ts'
import { RESULT_AUTHOR } from '../result-commit.ts'
import type { ChainFailure } from './chain.ts'
import { type Link, refusal } from './link.ts'

/**
 * @param truth where the branch is.
 * @param commits the branch's commits of the links, the newest first; undefined for one that is not here.
 */
export function checkHistory(
  links: readonly Link[],
  truth: string | undefined,
  commits: readonly (CommitInfo | undefined)[],
): ChainFailure | undefined {
  const last = links.at(-1)
  if (last === undefined) return undefined
  if (truth !== last.commit)
    return { height: last.height, ...refusal('T1', `the branch ground-truth is at ${truth ?? 'nothing'}`) }
  for (const [at, link] of [...links].reverse().entries()) {
    const broken = brokenCommit(link, commits[at])
    if (broken !== undefined) return { height: link.height, ...broken }
  }
  return undefined
}

function brokenCommit(link: Link, commit: CommitInfo | undefined) {
  const { height, round, roundName, parent } = link
  if (commit?.oid !== link.commit) return refusal('T2', `its commit ${link.commit} is not here`)
  const parents = parent === null ? [] : [parent]
  if (commit.parents.join() !== parents.join())
    return refusal('T2', `its commit follows ${commit.parents.join(', ') || 'nothing'}`)
  const [first, , second] = commit.message.split('\n')
  const title = `Ground truth ${height} of ${round.dataset}, step ${round.step}`
  if (first !== title || second !== `Round: ${roundName}`)
    return refusal('T3', 'the message of its commit names another round or height')
  const isOurs = commit.author.name === RESULT_AUTHOR.name && commit.author.email === RESULT_AUTHOR.email
  if (!isOurs || commit.timeMs !== round.slot - (round.slot % 1_000))
    return refusal('T3', 'its commit is not by the consensus, at the time of its round')
  return undefined
}
