import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nameSchema } from '../../src/base/names.ts'
import { openingOf, refuseOpening } from '../../src/consensus/opening.ts'
import {
  type Claim,
  type Closing,
  closingOf,
  closingSchema,
  type Opening,
  openingSchema,
  type Signed,
} from '../../src/consensus/records.ts'
import { explain, projectRound, type RoundRecords } from '../../src/consensus/round.ts'
import { compareRounds, formatRoundId, parseRoundId, roundOfKey } from '../../src/consensus/round-id.ts'
import { type ScheduledRun, scheduledOutputs } from '../../src/consensus/scheduled-outputs.ts'
import { PLAIN_TERMS } from '../../src/consensus/terms.ts'
import { roundView } from '../../src/consensus/views.ts'
import type { SeenConfirmation, SeenVote } from '../../src/consensus/votes.ts'
import { names, openingBy, SLOT, signed } from '../support/voting.ts'

const peers = names(3)
const [alice, bob, carol] = peers as [string, string, string]
const members = peers.map((peer) => ({ peer, since: 0 }))
const id = { dataset: 'data', step: 'collect', slot: SLOT }
const opening = claim(openingBy(peers), alice)
const { cutoffMs, votesUntilMs } = opening.value
const ballot = { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }
const result = 'c'.repeat(40)
const closing = claim(closingFor(opening, peers), alice)
const nothing = { members }

function claim<T>(record: Signed<T>, author: string): Claim<T> {
  return { ...record, author, seenMs: SLOT }
}

function closingFor({ hash }: Signed<Opening>, counted: readonly string[]): Signed<Closing> {
  return signed(closingSchema, closingOf(hash, new Map(counted.map((peer) => [peer, ballot]))))
}

function vote(peer: string, changes: Partial<SeenVote> = {}): SeenVote {
  return {
    peer,
    closing: closing.hash,
    commit: result,
    view: SLOT,
    timeMs: cutoffMs,
    seenMs: cutoffMs,
    sealed: new Uint8Array(),
    ...changes,
  }
}

function confirmation(peer: string, changes: Partial<SeenConfirmation> = {}): SeenConfirmation {
  return { ...vote(peer), commit: result, ...changes }
}

function round(changes: Partial<RoundRecords> = {}): RoundRecords {
  return { id, openings: [opening], closings: [], ballots: [], votes: [], confirmations: [], ...changes }
}

function cast(...by: string[]) {
  return by.map((peer) => ({ ...ballot, peer, timeMs: SLOT, seenMs: SLOT, readyMs: SLOT }))
}

test('a round id has one spelling, and only names and a slot make one', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'z', '0', '.', '-', '_'), minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(name, name, fc.nat(), (dataset, step, slot) => {
      fc.pre(nameSchema.safeParse(dataset).success && nameSchema.safeParse(step).success)
      assert.deepEqual(parseRoundId(formatRoundId({ dataset, step, slot })), { dataset, step, slot })
    }),
  )
  for (const text of [
    'data/collect',
    'data/collect/01',
    'data/collect/-1',
    'data/collect/1e3',
    '../x/1',
    'a/b/1/c',
    // What others had made at a host is nobody's result of a step.
    'data/for.da83a70c97f3d30b.collect/1',
    '',
  ]) {
    assert.equal(parseRoundId(text), undefined, text)
  }
  assert.equal(roundOfKey('/votes/data/collect/5/peer01'), 'data/collect/5')
  assert.equal(roundOfKey('/rounds/data/collect/5/opening'), 'data/collect/5')
  assert.equal(roundOfKey('/heads/data/collect/5/peer01'), undefined)
  assert.ok(compareRounds({ ...id, slot: 9 }, { ...id, slot: 10 }) < 0)
})

test('a round is open, closed by ballots of a quorum, prepared by its votes, and decided by its confirmations', () => {
  assert.equal(projectRound(round({ openings: [] }), nothing, SLOT), undefined)
  assert.equal(projectRound(round(), nothing, SLOT)?.state, 'open')
  const two = claim(closingFor(opening, [alice, bob]), alice)
  assert.equal(
    projectRound(round({ closings: [two] }), nothing, SLOT)?.state,
    'open',
    'two of three close nothing',
  )
  assert.equal(projectRound(round({ closings: [closing] }), nothing, SLOT)?.state, 'closed')
  const votes = [vote(carol), vote(alice), vote(bob)]
  const of = (changes: Partial<RoundRecords>, facts = nothing, now = votesUntilMs + 1) =>
    projectRound(round({ closings: [closing], ...changes }), facts, now)
  assert.equal(
    of({ votes: votes.slice(1) }, nothing, SLOT)?.prepared,
    undefined,
    'two of three prepare nothing',
  )
  const prepared = of({ votes })
  assert.deepEqual(
    [prepared?.state, prepared?.prepared?.commit, prepared?.prepared?.view],
    ['closed', result, SLOT],
    'what has a quorum of votes has no end until it is certified',
  )
  const said = [confirmation(alice), confirmation(bob)]
  assert.equal(of({ votes, confirmations: said })?.state, 'closed', 'two of three decide nothing')
  const mixed = [...said, confirmation(carol, { view: SLOT + 60_000 })]
  assert.equal(of({ votes, confirmations: mixed })?.state, 'closed', 'nor do those of several views')
  const status = of({ confirmations: [...mixed, confirmation(carol)] })
  assert.equal(status?.state, 'decided', 'also where the votes themselves are not here')
  assert.equal(status?.commit, result)
  assert.deepEqual(status?.signers, peers)
  const [, ...left] = members
  assert.equal(
    of({ votes: [vote(alice), vote(bob), vote(carol)] }, { members: left })?.reason,
    'too-few-votes',
  )
})

test('of several views with a quorum the latest counts', () => {
  const later = SLOT + 60_000
  const votes = peers.flatMap((peer) => [vote(peer), vote(peer, { view: later, timeMs: votesUntilMs + 1 })])
  const prepared = (some: SeenVote[]) =>
    projectRound(round({ closings: [closing], votes: some }), nothing, votesUntilMs)?.prepared?.view
  assert.equal(prepared(votes), later, 'votes that repeat a result are never late')
  assert.equal(prepared(votes.slice(1)), later)
  assert.equal(prepared(votes.slice(0, -1)), SLOT)
})

test('second votes, late votes, and votes of strangers count nothing', () => {
  const other = 'd'.repeat(40)
  const state = (votes: SeenVote[]) =>
    projectRound(round({ closings: [closing], votes }), nothing, votesUntilMs)
  assert.equal(state([vote(alice), vote(bob), vote(bob, { commit: other })])?.reason, 'too-few-votes')
  assert.equal(
    state([vote(alice), vote(bob), vote(carol, { timeMs: votesUntilMs + 1 })])?.reason,
    'too-few-votes',
  )
  assert.equal(state([vote(alice), vote(bob), vote('mallory')])?.reason, 'too-few-votes')
  assert.equal(state([vote(alice), vote(bob), vote(carol, { commit: other })])?.reason, 'split')
})

test('a round that cannot be decided says why', () => {
  const reason = (records: RoundRecords, now: number, facts = {}) => {
    const status = projectRound(records, { ...nothing, ...facts }, now)
    return status?.state === 'undecided' ? status.reason : status?.state
  }
  const late = cutoffMs + 10_000
  assert.equal(reason(round({ ballots: cast(alice, bob) }), cutoffMs), 'open', 'a closing may be on its way')
  assert.equal(reason(round({ ballots: cast(alice, bob) }), late), 'too-few-ballots')
  assert.equal(
    reason(round({ ballots: cast(alice, bob, carol) }), late),
    'open',
    'a commit may be on its way',
  )
  assert.equal(reason(round({ ballots: cast(alice, bob, carol) }), votesUntilMs), 'not-closed')
  const ties = peers.map((peer) => vote(peer, { commit: null }))
  assert.equal(reason(round({ closings: [closing], votes: ties }), SLOT), 'no-majority')
  assert.equal(reason(round({ closings: [closing], votes: ties.slice(1) }), SLOT), 'closed')
  const truth = { truth: { round: 'data/assess/1', height: 1, commit: result, openedMs: 0 } }
  assert.equal(reason(round(), SLOT, truth), 'superseded')
  const own = { truth: { round: formatRoundId(id), height: 1, commit: result, openedMs: SLOT } }
  assert.equal(reason(round(), SLOT, own), 'decided', 'its certificate came before its confirmations')
  assert.match(
    explain('too-few-ballots', round({ ballots: cast(alice, bob) }), opening.value),
    /^2 of 3 .* 3 are needed$/,
  )
})

test('whoever claims the name of a round with a record that is out of order stops nobody', () => {
  const false1 = claim(openingBy([carol], { openedBy: carol }), carol)
  const status = projectRound(round({ openings: [false1, opening] }), nothing, SLOT)
  assert.equal(status?.opening.hash, opening.hash)
  assert.equal(status?.refusal, undefined)
  const alone = round({ openings: [false1] })
  assert.match(projectRound(alone, nothing, SLOT)?.refusal ?? '', /left out/)
  const view = roundView(alone, nothing, SLOT, (peer) => peer)
  assert.deepEqual([view?.state, view?.reason], ['undecided', 'refused'])
})

test('an opening is taken part in only with all members, in its own name, and within bounds', () => {
  const why = (changes: Partial<Opening>, author = alice) =>
    refuseOpening(
      claim(openingBy(changes.electorate ?? peers, changes), author),
      id,
      members,
      PLAIN_TERMS,
      SLOT,
    )
  assert.equal(why({}), undefined)
  assert.match(why({}, bob) ?? '', /in the name of another/)
  assert.match(why({ electorate: [alice, bob] }) ?? '', /left out/)
  assert.match(why({ electorate: [...peers, 'zz'] }) ?? '', /no member/)
  assert.match(why({ cutoffMs: SLOT - 3_600_000 }) ?? '', /out of bounds/)
  assert.match(why({ votesUntilMs: SLOT * 2 }) ?? '', /out of bounds/)
  const day = SLOT + 86_400_000
  assert.equal(why({ cutoffMs: day, votesUntilMs: day + 86_400_000 }), undefined)
  assert.match(why({ cutoffMs: day + 1, votesUntilMs: day + 60_001 }) ?? '', /out of bounds/)
  assert.match(why({ votesUntilMs: cutoffMs + 59_999 }) ?? '', /out of bounds/)
  assert.match(
    refuseOpening(opening, { ...id, slot: SLOT + 3_600_000 }, members, PLAIN_TERMS, SLOT) ?? '',
    /future/,
  )
  const newcomer = [...members, { peer: 'zz', since: SLOT + 1 }]
  assert.equal(
    refuseOpening(opening, id, newcomer, PLAIN_TERMS, SLOT),
    undefined,
    'who joins in mid-round does not count',
  )
})

test('an opening is made for all members, on the present truth, within bounds', () => {
  const parts = {
    self: alice,
    id,
    members,
    terms: PLAIN_TERMS,
    truth: { commit: result, height: 4, openedMs: 0, view: 0 },
    latestMs: 0,
    trigger: 'request' as const,
    now: SLOT,
  }
  const made = openingOf({ ...parts, windowMs: 10_000 })
  assert.deepEqual(openingSchema.parse(made), made)
  assert.equal(made.height, 5)
  assert.equal(made.cutoffMs, SLOT + 10_000)
  const ahead = openingOf({ ...parts, truth: { ...parts.truth, openedMs: SLOT + 99 }, windowMs: 10_000 })
  const after = openingOf({ ...parts, latestMs: SLOT + 49, windowMs: 10_000 })
  assert.equal(after.openedMs, SLOT + 50, 'and a round is younger than those before it')
  const late = openingOf({ ...parts, truth: { ...parts.truth, view: SLOT + 7 }, windowMs: 10_000 })
  assert.equal(late.openedMs, SLOT + 8, 'and than what was signed for its parent')
  assert.equal(ahead.openedMs, SLOT + 100, 'a truth is always older than what follows it')
  assert.throws(() => openingOf({ ...parts, windowMs: 1 }), { code: 'INVALID_INPUT' })
  const crowd = names(65).map((peer) => ({ peer, since: 0 }))
  assert.throws(() => openingOf({ ...parts, members: crowd, windowMs: 10_000 }), { code: 'TOO_LARGE' })
})

test('only the runs of schedules, this node’s own, are cast by themselves', () => {
  const run = (trigger: ScheduledRun['trigger'], more: Partial<ScheduledRun> = {}): ScheduledRun => {
    const steps = [{ name: 'collect', outputDataset: 'data', outputCommit: 'c'.repeat(40) }]
    return { pipeline: 'p', trigger, state: 'succeeded', steps, createdMs: 1, endedMs: 2, ...more }
  }
  const slots = (made: ScheduledRun) => scheduledOutputs(made).map(({ slot }) => slot)
  assert.deepEqual(slots(run({ kind: 'schedule', slot: SLOT })), [SLOT])
  assert.deepEqual(slots(run({ kind: 'repeat', slot: SLOT })), [SLOT])
  // It commits beside all branches, to be compared.
  assert.deepEqual(slots(run({ kind: 'rerun', slot: SLOT })), [])
  assert.deepEqual(slots(run({ kind: 'remote', slot: SLOT })), [])
  assert.deepEqual(slots(run({ kind: 'repeat', slot: SLOT }, { owner: 'peer01' })), [])
  assert.deepEqual(slots(run({ kind: 'schedule', slot: SLOT }, { owner: 'node' })), [SLOT])
})
