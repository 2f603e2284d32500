import type { NewCommit } from '../datasets/git/repository.ts'
import type { Closing, Opening } from './records.ts'
import { resultCommit } from './result-commit.ts'
import type { RoundId } from './round-id.ts'
import { contestedCount, departures, type Tally } from './tally.ts'

/** The commit that a closing's ballots come to, once they are counted and `tree` holds the tally's files. */
export function resultOf(
  round: RoundId,
  opening: Opening,
  closing: Closing,
  tally: Tally,
  tree: string,
): NewCommit {
  const counted = Object.entries(closing.ballots).map(([peer, { commit }]) => {
    const found = tally.members.get(peer)
    return [peer, { commit, departures: found === undefined ? 0 : departures(found) }] as const
  })
  return resultCommit({ round, opening, counted: new Map(counted), tree, contested: contestedCount(tally) })
}
