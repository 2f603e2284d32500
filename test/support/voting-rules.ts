import type { Standing } from '../../src/consensus/locking.ts'
import type { Outcome } from '../../src/consensus/plan.ts'
import type { Closing, Opening } from '../../src/consensus/records.ts'
import { resultOf } from '../../src/consensus/result-of.ts'
import { compareRounds, type RoundId } from '../../src/consensus/round-id.ts'
import { tallyIdentical } from '../../src/consensus/tally.ts'
import { commitId, treeId } from './voting.ts'
import type { World } from './voting-world.ts'

/** Counts a closing over the commits of a world, and stores the result there. */
export function countIn(world: World, round: RoundId, opening: Opening, closing: Closing): Outcome {
  const files = (commit: string) => world.commits.get(commit) ?? []
  const { parent } = opening
  const ballots = Object.entries(closing.ballots)
  const cast = new Map(ballots.map(([peer, { commit }]) => [peer, files(commit)] as const))
  const tally = tallyIdentical(cast, parent === null ? [] : files(parent))
  if (!tally.decided) return { commit: null }
  const commit = commitId(resultOf(round, opening, closing, tally, treeId(tally.files)))
  world.commits.set(commit, tally.files)
  return { commit }
}

/** As if what was confirmed, or may be, in other rounds were no reason to wait. */
export function unlocked(standing: Standing, id: RoundId): Standing {
  const prepared = standing.prepared.filter(({ round }) => compareRounds(round, id) === 0)
  return { ...standing, lock: undefined, prepared }
}
