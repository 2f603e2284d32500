import type { NewCommit, Person } from '../../datasets/git/repository.ts'
import type { Chosen } from './choices.ts'

export interface BallotCommitParts {
  readonly round: string
  readonly step: string
  readonly tree: string
  /** Where the node's branch of such ballots is. */
  readonly parent: string | undefined
  readonly author: Person
  readonly chosen: readonly Chosen[]
  readonly timeMs: number
}

/**
 * The commit of a ballot that a person put together (protocols/hand-ballots.md H7): its message says of which round it
 * is, and where each part comes from. Pure.
 */
export function ballotCommit({
  round,
  step,
  tree,
  parent,
  author,
  chosen,
  timeMs,
}: BallotCommitParts): NewCommit {
  const message = [
    `Ballot by hand, step ${step}`,
    '',
    `Vote-Round: ${round}`,
    ...chosen.map(choiceLine),
  ].join('\n')
  return { tree, parents: parent === undefined ? [] : [parent], message: `${message}\n`, author, timeMs }
}

/** `Choice: <path> <member>`; `.` is the whole ballot, `<path>:<entry>` an entry, `-` in place of a member leaves it out. */
function choiceLine({ path, entry, member = '-' }: Chosen): string {
  const what = path === '' ? '.' : entry === undefined ? path : `${path}:${entry}`
  // Entries may be named anything; a trailer is one line.
  const isPlain = /^[^\s"\p{C}]+$/u.test(what)
  return `Choice: ${isPlain ? what : JSON.stringify(what)} ${member}`
}
