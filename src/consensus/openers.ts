import type { Voter } from './quorum.ts'
import { lineUp } from './rendezvous.ts'
import { formatRoundId, type RoundId } from './round-id.ts'
import { PLAIN_TERMS, type TermsOf } from './terms.ts'

/**
 * The members in the order in which they open a scheduled round (protocols/voting.md §8). Where only some of them work,
 * these come first, in the order in which they do: nobody else has a result that the round would be about.
 */
export function openersOf(p: {
  readonly id: RoundId
  readonly members: readonly Voter[]
  readonly parent: string | null
  readonly terms?: TermsOf | undefined
}): string[] {
  const { id, members, parent, terms = PLAIN_TERMS } = p
  const round = formatRoundId(id)
  const electorate = members.map(({ peer }) => peer).sort()
  const due = terms(id, { electorate, parent, trigger: 'schedule' })
  const proven = typeof due === 'string' ? [] : (due.quorum.proven ?? [])
  const first = lineUp(round, 'work', proven)
  const others = electorate.filter((peer) => !first.includes(peer))
  return [...first, ...lineUp(round, 'opening', others)]
}
