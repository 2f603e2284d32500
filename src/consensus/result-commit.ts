import type { NewCommit } from '../datasets/git/repository.ts'
import type { Opening } from './records.ts'
import { formatRoundId, type RoundId } from './round-id.ts'

/** Author and committer of every result: no member's name, since every voter has to write the same commit. */
export const RESULT_AUTHOR = { name: 'MAO consensus', email: 'consensus@mao.invalid' } as const

export interface Result {
  readonly round: RoundId
  readonly opening: Pick<Opening, 'method' | 'parent' | 'height'>
  /** The commit of each counted ballot by member, and in how many files and entries it departs from the result. */
  readonly counted: ReadonlyMap<string, { readonly commit: string; readonly departures: number }>
  /** The tree of the merged files. */
  readonly tree: string
  readonly contested: number
}

/**
 * The commit that a round's ballots result in (protocols/voting.md §6). Nothing in it comes from who computes it or
 * when, so every voter and every git backend arrives at one commit id.
 */
export function resultCommit({ round, opening, counted, tree, contested }: Result): NewCommit {
  const ballots = [...counted].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = [
    `Ground truth ${opening.height} of ${round.dataset}, step ${round.step}`,
    '',
    `Round: ${formatRoundId(round)}`,
    `Method: ${opening.method.name}`,
    `Contested: ${contested}`,
    ...ballots.map(([member, { commit, departures }]) => {
      return `Ballot: ${member} ${commit} ${departures === 0 ? 'agrees' : `differs ${departures}`}`
    }),
  ]
  return {
    tree,
    parents: opening.parent === null ? [] : [opening.parent],
    message: `${lines.join('\n')}\n`,
    author: RESULT_AUTHOR,
    timeMs: round.slot - (round.slot % 1_000),
  }
}
