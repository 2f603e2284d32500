import { z } from 'zod'
import type { RoundView } from '../consensus/views.ts'

export const ownPartSchema = z
  .object({
    votes: z.boolean().describe('this node is in the electorate'),
    cast: z.boolean().describe('it has cast its ballot'),
    voted: z.boolean().describe('it has signed a result'),
    waitsFor: z.string().optional().describe('what is to come next in the round, as a sentence'),
  })
  .meta({ id: 'OwnPart' })
export type OwnPart = z.output<typeof ownPartSchema>

/** Members that are named before the rest is only counted. */
const NAMES_SHOWN = 3

/** What a node has done in a round, and what the round waits for at `now`. Pure. */
export function ownPartOf(round: RoundView, self: string, now: number): OwnPart {
  const votes = round.electorate.some(({ peer }) => peer === self)
  const cast = round.ballots.some(({ peer }) => peer === self)
  const voted = round.votes.some(({ peer }) => peer === self)
  const waitsFor = awaited(round, { votes, cast, voted }, self, now)
  return { votes, cast, voted, ...(waitsFor === undefined ? {} : { waitsFor }) }
}

function awaited(
  round: RoundView,
  own: Pick<OwnPart, 'votes' | 'cast' | 'voted'>,
  self: string,
  now: number,
): string | undefined {
  const { state, electorate, ballots, votes, cutoffMs, quorum } = round
  if (state === 'decided' || state === 'undecided') return undefined
  const others = electorate.filter(({ peer }) => peer !== self)
  if (state === 'closed') {
    if (own.votes && !own.voted) return 'the count of this node, which signs what the ballots come to'
    const missing = others.filter(({ peer }) => !votes.some((vote) => vote.peer === peer))
    return missing.length === 0
      ? 'the certificate'
      : `signatures of ${quorum}: ${listed(missing)} may still sign`
  }
  if (now >= cutoffMs) return 'the closing, which lists the ballots that count'
  if (own.votes && !own.cast) return OWN_BALLOT[round.trigger]
  const missing = others.filter(({ peer }) => !ballots.some((ballot) => ballot.peer === peer))
  return missing.length === 0
    ? 'the closing, which lists the ballots that count'
    : `a ballot of ${listed(missing)}`
}

const OWN_BALLOT: Readonly<Record<RoundView['trigger'], string>> = {
  request: 'this node’s own result of the step, which it casts as soon as there is one',
  schedule: 'this node’s scheduled run of that time, whose result it casts',
  hand: 'your choice: a person casts the ballot of this node',
}

function listed(members: readonly { readonly name: string }[]): string {
  const shown = members.slice(0, NAMES_SHOWN).map(({ name }) => name)
  const rest = members.length - shown.length
  return rest === 0 ? shown.join(', ') : `${shown.join(', ')} and ${rest} more`
}
