/**
 * What no honest member does (protocols/voting.md, [E1]): sign two different things of which only one can be its word.
 * Both are sealed by their author, so whoever has them can show it. Pure.
 */
import type { RoundRecords, SeenBallot } from './round.ts'
import { formatRoundId } from './round-id.ts'
import { isFirst, type SeenConfirmation, type SeenVote } from './votes.ts'

export type Contradiction = 'two-ballots' | 'two-votes' | 'two-confirmations'

export interface Equivocation {
  readonly round: string
  /** Whose words they are. */
  readonly peer: string
  readonly what: Contradiction
  /** The commits that it named; null for "no majority". */
  readonly said: readonly [string | null, string | null]
  /** Both records as they were sealed. */
  readonly sealed: readonly [Uint8Array, Uint8Array]
}

/** What stands against members in the records of one round. */
export function equivocationsIn(
  records: Pick<RoundRecords, 'id' | 'openings' | 'closings' | 'ballots' | 'votes' | 'confirmations'>,
): Equivocation[] {
  const round = formatRoundId(records.id)
  const found: Equivocation[] = []
  const against = (what: Contradiction, a: Word, b: Word) => {
    if (a.sealed === undefined || b.sealed === undefined) return
    const { peer } = a
    found.push({ round, peer, what, said: [a.commit, b.commit], sealed: [a.sealed, b.sealed] })
  }
  for (const [a, b] of pairs(records.ballots)) if (!isSame(a, b)) against('two-ballots', a, b)
  for (const [a, b] of pairs(records.votes)) {
    const bothFirst = isFirstIn(records, a) && isFirstIn(records, b)
    if (!isSame(a, b) && (a.view === b.view || bothFirst)) against('two-votes', a, b)
  }
  for (const [a, b] of pairs(records.confirmations)) {
    if (!isSame(a, b) && a.view === b.view) against('two-confirmations', a, b)
  }
  return found
}

type Word = SeenBallot | SeenVote | SeenConfirmation

/** Every two words of one member. */
function* pairs<T extends Word>(words: readonly T[]): Iterable<[T, T]> {
  const byPeer = Map.groupBy(words, ({ peer }) => peer)
  for (const own of byPeer.values()) {
    for (const [i, a] of own.entries()) for (const b of own.slice(i + 1)) yield [a, b]
  }
}

function isSame(a: Word, b: Word): boolean {
  if ('tree' in a && 'tree' in b) return a.commit === b.commit && a.tree === b.tree
  return 'closing' in a && 'closing' in b && a.commit === b.commit && a.closing === b.closing
}

/** Of its author's own counting; where the opening is not known it is taken for none. */
function isFirstIn(
  { openings, closings }: Pick<RoundRecords, 'openings' | 'closings'>,
  vote: SeenVote,
): boolean {
  const opening = closings.find(({ hash }) => hash === vote.closing)?.value.opening
  const value = openings.find(({ hash }) => hash === opening)?.value
  return value !== undefined && isFirst(vote, value)
}
