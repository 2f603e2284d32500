import { assembleCertificate } from '../../src/consensus/certificate.ts'
import type { Action, Situation } from '../../src/consensus/plan.ts'
import {
  type Ballot,
  type Claim,
  closingOf,
  closingSchema,
  type Opening,
  openingSchema,
} from '../../src/consensus/records.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  formatRoundId,
  openingKey,
  type RoundId,
  truthKey,
  voteKey,
} from '../../src/consensus/round-id.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { sealAs, signed } from './voting.ts'
import { DATASET, type VotingNode } from './voting-world.ts'

/**
 * Makes `node` a member that knows the protocol and breaks it. Each time it has a duty it may do the honest thing, or:
 * open the round for itself alone; cast one ballot to some and another to others; withhold a closing, leave ballots
 * out of it, invent some, or send two closings that each half of the members would sign; sign everything there is, late
 * or dated back; replay old certificates; certify a truth of its own with nobody's votes but its own.
 */
export function makeLiar(node: VotingNode, random: () => number): void {
  const { world, peer } = node
  const some = () => world.members.map((member) => member.peer).filter(() => random() < 0.5)
  const lie = (): Ballot => world.commit({ 'result.csv': `a lie ${random()}` }, peer)

  node.act = (action: Action, situation: Situation) => {
    const { records } = situation
    const round = formatRoundId(records.id)
    const roll = random()
    if (action.do === 'count' || action.do === 'refuse' || roll < 0.2) return node.perform(action, situation)
    if (action.do === 'open') {
      if (roll < 0.5) node.put(openingKey(round), encodeJson(alone(records.id)))
      else node.perform(action, situation)
    } else if (action.do === 'cast') {
      node.put(ballotKey(round, peer), encodeJson(lie()), { to: some() })
      if (roll < 0.6) node.put(ballotKey(round, peer), encodeJson(lie()), { to: some() })
    } else if (action.do === 'close') close(round, action, roll)
    else if (action.do === 'vote') sign(round, situation, action.commit)
    else if (action.do === 'certify') {
      const old = node.get(truthKey(DATASET))
      if (roll < 0.6) certifyAlone(records.id)
      else if (old !== undefined) node.put(truthKey(DATASET), old.value)
    }
  }

  function alone(id: RoundId): Opening {
    const cutoffMs = id.slot + 2_000
    const electorate = [peer]
    const times = { openedMs: id.slot, cutoffMs, votesUntilMs: cutoffMs + 60_000 }
    return {
      electorate,
      method: { name: 'identical' },
      quorum: { ballots: 1, votes: 1 },
      trigger: 'schedule',
      parent: null,
      height: 99,
      ...times,
      openedBy: peer,
    }
  }

  function close(round: string, { opening, ballots }: Extract<Action, { do: 'close' }>, roll: number): void {
    const write = (counted: ReadonlyMap<string, Ballot>, to: readonly string[]) =>
      node.put(closingKey(round), encodeJson(closingOf(opening.hash, counted)), { to })
    if (roll < 0.7) splitInTwo(round, opening, ballots, write)
    else if (roll < 0.8) write(new Map([...ballots].filter(() => random() < 0.8)), some())
    else if (roll < 0.9) write(new Map(world.members.map((member) => [member.peer, lie()])), some())
    // Else it says nothing at all.
  }

  /** Each half gets a ballot of this member, and a closing that counts it. */
  function splitInTwo(
    round: string,
    opening: Claim<Opening>,
    ballots: ReadonlyMap<string, Ballot>,
    write: (counted: ReadonlyMap<string, Ballot>, to: readonly string[]) => void,
  ): void {
    const others = world.members.map((member) => member.peer).filter((member) => member !== peer)
    const half = others.filter((_, i) => i % 2 === 0)
    for (const to of [half, others.filter((member) => !half.includes(member))]) {
      const ballot = lie()
      node.put(ballotKey(round, peer), encodeJson(ballot), { to, timeMs: opening.value.cutoffMs - 1 })
      write(new Map([...ballots, [peer, ballot]]), to)
    }
  }

  function sign(round: string, { records }: Situation, commit: string | null): void {
    const { cutoffMs, votesUntilMs } = records.openings[0]?.value ?? { cutoffMs: 0, votesUntilMs: 0 }
    for (const closing of records.closings) {
      for (const result of new Set([...records.votes.map((vote) => vote.commit), commit, lie().commit])) {
        const timeMs = random() < 0.7 ? cutoffMs : votesUntilMs + 1
        node.put(
          voteKey(round, peer),
          encodeJson({
            closing: closing.hash,
            commit: result,
            view: records.openings[0]?.value.openedMs ?? 0,
          }),
          {
            to: some(),
            timeMs,
          },
        )
      }
    }
  }

  function certifyAlone(round: RoundId): void {
    const opening = signed(openingSchema, alone(round))
    const { commit, tree } = lie()
    const closing = signed(closingSchema, closingOf(opening.hash, new Map([[peer, { commit, tree }]])))
    const key = confirmationKey(formatRoundId(round), peer)
    const view = opening.value.openedMs
    const sealed = sealAs(peer, key, encodeJson({ closing: closing.hash, commit, view }))
    const confirmations = new Map([[peer, sealed]])
    node.put(truthKey(DATASET), assembleCertificate({ round, opening, closing, commit, view, confirmations }))
  }
}
