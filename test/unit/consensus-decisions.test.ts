import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeClosing } from '../../src/consensus/closings.ts'
import { holding, nextActions, rivalOf } from '../../src/consensus/decisions.ts'
import { UNBOUND } from '../../src/consensus/locking.ts'
import type { Action, Rival, Situation } from '../../src/consensus/plan.ts'
import {
  type Claim,
  type Closing,
  closingOf,
  closingSchema,
  type Signed,
} from '../../src/consensus/records.ts'
import { lineUp } from '../../src/consensus/rendezvous.ts'
import {
  closingPatienceMs,
  projectRound,
  type RoundRecords,
  type SeenBallot,
} from '../../src/consensus/round.ts'
import type { SeenConfirmation } from '../../src/consensus/votes.ts'
import { names, openingBy, SLOT, signed } from '../support/voting.ts'

const peers = names(4)
const [alice, bob, carol, dave] = peers as [string, string, string, string]
const members = peers.map((peer) => ({ peer, since: 0 }))
const id = { dataset: 'data', step: 'collect', slot: SLOT }
const round = `data/collect/${SLOT}`
const opening = claim(openingBy(peers), alice)
const { cutoffMs, votesUntilMs } = opening.value
const cast = { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }
const result = 'c'.repeat(40)

function claim<T>(record: Signed<T>, author: string, seenMs = SLOT): Claim<T> {
  return { ...record, author, seenMs }
}

function closingWith(counted: readonly string[], author = alice, seenMs = SLOT): Claim<Closing> {
  const ballots = new Map(counted.map((peer) => [peer, cast]))
  return claim(signed(closingSchema, closingOf(opening.hash, ballots)), author, seenMs)
}

function ballot(peer: string, changes: Partial<SeenBallot> = {}): SeenBallot {
  return { ...cast, peer, timeMs: SLOT, seenMs: SLOT, readyMs: SLOT, ...changes }
}

/** A vote, or a confirmation. */
function voteOf(peer: string, closing: Claim<Closing>): SeenConfirmation {
  const word = { closing: closing.hash, commit: result, view: SLOT }
  return { peer, ...word, timeMs: SLOT, seenMs: SLOT, sealed: new Uint8Array() }
}

function situation(records: Partial<RoundRecords> = {}, changes: Partial<Situation> = {}): Situation {
  return {
    records: { id, openings: [opening], closings: [], ballots: [], votes: [], confirmations: [], ...records },
    members,
    truth: { commit: null, height: 0, openedMs: 0, view: 0 },
    rivals: [],
    standing: UNBOUND,
    shownMs: -1,
    latestMs: 0,
    outcomes: new Map(),
    ...changes,
  }
}

function does(view: Situation, self: string, now: number): Action['do'][] {
  return nextActions(view, self, now).actions.map((action) => action.do)
}

test('a scheduled round is opened by the first in line, and by the next when that one is silent', () => {
  const wish = { sinceMs: SLOT, windowMs: 60_000 }
  const view = situation({ openings: [] }, { wish, candidate: cast })
  const line = lineUp(round, 'opening', peers)
  const openers = (now: number) => peers.filter((self) => does(view, self, now).includes('open'))
  assert.deepEqual(openers(SLOT), [line[0]])
  assert.deepEqual(openers(SLOT + 2_000).sort(), line.slice(0, 2).sort())
  assert.equal(nextActions(view, line[2] as string, SLOT).wakeMs, SLOT + 4_000, 'it looks again at its turn')
  assert.deepEqual(openers(SLOT + 60_000), [], 'nobody opens a round whose window is over')
  assert.ok(does(view, dave, SLOT).includes('cast'), 'ballots do not wait for the opening')
})

test('one round after the other: no round is opened beside one that is under way', () => {
  const wish = { sinceMs: SLOT, windowMs: 60_000 }
  const rival: Rival = {
    ...{ id: { ...id, step: 'assess' }, height: 1, votesUntilMs, state: 'open', voted: false },
    ...{ votedUntilMs: votesUntilMs, signable: false },
    ...{ openedBy: bob, quiet: false, refused: false, heldUntilMs: votesUntilMs },
  }
  const first = lineUp(round, 'opening', peers)[0] as string
  assert.deepEqual(does(situation({ openings: [] }, { wish, rivals: [rival] }), first, SLOT), [])
  const over: Rival = { ...rival, state: 'undecided', heldUntilMs: 0 }
  assert.deepEqual(does(situation({ openings: [] }, { wish, rivals: [over] }), first, SLOT), ['open'])
})

test('a ballot is cast once, before the cut-off, by a member that has something to cast', () => {
  assert.deepEqual(does(situation({}, { candidate: cast }), alice, SLOT), ['cast'])
  assert.deepEqual(does(situation({}, { candidate: cast }), alice, cutoffMs), [])
  assert.deepEqual(does(situation({}, { candidate: cast }), 'stranger', SLOT), [])
  assert.deepEqual(does(situation({ ballots: [ballot(alice)] }, { candidate: cast }), alice, SLOT), [])
  assert.deepEqual(does(situation(), alice, SLOT), [])
})

test('the opener closes when all ballots are in, or at the cut-off with more than two thirds', () => {
  const all = situation({ ballots: peers.map((peer) => ballot(peer)) })
  assert.deepEqual(does(all, alice, SLOT), ['close'])
  const three = situation({ ballots: [alice, bob, carol].map((peer) => ballot(peer)) })
  assert.deepEqual(does(three, alice, cutoffMs - 1), [])
  assert.deepEqual(does(three, alice, cutoffMs), ['close'])
  const two = situation({ ballots: [alice, bob].map((peer) => ballot(peer)) })
  assert.deepEqual(does(two, alice, cutoffMs), [])
})

test('when the opener is silent the next in line closes', () => {
  const view = situation({ ballots: peers.map((peer) => ballot(peer)) })
  const closers = (now: number) => peers.filter((self) => does(view, self, now).includes('close'))
  assert.deepEqual(closers(SLOT + 1_999), [alice])
  assert.equal(closers(SLOT + 2_000).length, 2)
  assert.equal(closers(SLOT + 6_000).length, 4)
})

test('late, equivocal, unavailable and defective ballots are not counted', () => {
  const good = [alice, bob, carol].map((peer) => ballot(peer))
  const counted = (last: SeenBallot[]) => {
    const [action] = nextActions(situation({ ballots: [...good, ...last] }), alice, cutoffMs).actions
    return action?.do === 'close' ? [...action.ballots.keys()].sort() : []
  }
  assert.deepEqual(counted([ballot(dave)]), peers)
  assert.deepEqual(counted([ballot(dave, { timeMs: cutoffMs + 1 })]), [alice, bob, carol])
  assert.deepEqual(counted([ballot(dave, { readyMs: undefined })]), [alice, bob, carol])
  assert.deepEqual(counted([ballot(dave), ballot(dave, { commit: 'd'.repeat(40) })]), [alice, bob, carol])
})

test('a voter refuses a closing that leaves out a ballot it had in time, and says so', () => {
  const ballots = peers.map((peer) => ballot(peer))
  const closing = closingWith([alice, bob, carol])
  const decision = nextActions(situation({ ballots, closings: [closing] }), bob, cutoffMs)
  const [refusal] = decision.actions
  assert.ok(refusal?.do === 'refuse')
  assert.match(refusal.reason, /leaves out the ballot of peer04/)
  const late = [...ballots.slice(0, 3), ballot(dave, { readyMs: cutoffMs - 500 })]
  assert.deepEqual(does(situation({ ballots: late, closings: [closing] }), bob, cutoffMs), ['count'])
  const twice = [...ballots, ballot(dave, { commit: 'd'.repeat(40) })]
  assert.deepEqual(does(situation({ ballots: twice, closings: [closing] }), bob, cutoffMs), ['count'])
})

test('a closing is not signed before the cut-off unless it counts everybody, nor when it counts what is false', () => {
  const ballots = peers.slice(0, 3).map((peer) => ballot(peer))
  const view = (changed: readonly SeenBallot[]) => situation({ ballots: changed }).records
  const closing = closingWith([alice, bob, carol]).value
  assert.equal(judgeClosing(closing, opening, view(ballots), cutoffMs - 1).verdict, 'wait')
  assert.equal(judgeClosing(closing, opening, view(ballots), cutoffMs).verdict, 'sign')
  assert.equal(judgeClosing(closing, opening, view(ballots.slice(0, 2)), cutoffMs).verdict, 'wait')
  const late = ballots.with(2, ballot(carol, { timeMs: cutoffMs + 1 }))
  assert.equal(judgeClosing(closing, opening, view(late), cutoffMs).verdict, 'refuse')
  const hollow = ballots.with(2, ballot(carol, { readyMs: undefined, defect: 'its tree is another' }))
  assert.equal(judgeClosing(closing, opening, view(hollow), cutoffMs).verdict, 'refuse')
  const everybody = closingWith(peers).value
  const all = view(peers.map((peer) => ballot(peer)))
  assert.equal(judgeClosing(everybody, opening, all, SLOT).verdict, 'sign')
})

test('a closing with an invented ballot holds the round up for a while and does not stop it', () => {
  const ballots = [alice, bob, carol].map((peer) => ballot(peer))
  const invented = closingWith(peers, alice)
  const view = situation({ ballots, closings: [invented] })
  const patient = cutoffMs + closingPatienceMs
  assert.deepEqual(does(view, bob, patient - 1), [])
  const last = lineUp(round, 'closing', [bob, carol, dave]).at(-1) as string
  assert.ok(does(view, last, patient + 1).includes('close'), 'somebody else closes')
})

test('a member counts, then signs what it counted, once', () => {
  const ballots = peers.map((peer) => ballot(peer))
  const closing = closingWith(peers)
  const records = { ballots, closings: [closing] }
  assert.deepEqual(does(situation(records), bob, SLOT), ['count'])
  const outcomes = new Map([[closing.hash, { commit: result }]])
  const [vote] = nextActions(situation(records, { outcomes }), bob, SLOT).actions
  assert.deepEqual(vote, { do: 'vote', closing: closing.hash, commit: result, view: SLOT })
  const voted = { ...records, votes: [voteOf(bob, closing)] }
  assert.deepEqual(does(situation(voted, { outcomes }), bob, SLOT), [])
  assert.deepEqual(does(situation(records, { outcomes }), bob, votesUntilMs), [], 'too late')
  const tie = new Map([[closing.hash, { commit: null }]])
  assert.deepEqual(
    does(situation(records, { outcomes: tie }), bob, SLOT),
    ['vote'],
    'a tie is signed as a tie',
  )
})

test('after its vote a member neither signs nor writes another closing of the round', () => {
  const ballots = peers.map((peer) => ballot(peer))
  const [first, second] = [closingWith([alice, bob, carol]), closingWith(peers)]
  const records = { ballots, closings: [second], votes: [voteOf(alice, first)] }
  const outcomes = new Map([[second.hash, { commit: result }]])
  assert.deepEqual(does(situation(records, { outcomes }), alice, cutoffMs), [])
  assert.deepEqual(does(situation({ ...records, closings: [] }), alice, cutoffMs), [])
})

test('nobody signs on a truth that is not its own, nor beside a round that may still be decided', () => {
  const ballots = peers.map((peer) => ballot(peer))
  const closing = closingWith(peers)
  const outcomes = new Map([[closing.hash, { commit: result }]])
  const signs = (changes: Partial<Situation>) =>
    does(situation({ ballots, closings: [closing] }, { outcomes, ...changes }), bob, SLOT).includes('vote')
  assert.ok(signs({}))
  assert.ok(!signs({ truth: { commit: 'e'.repeat(40), height: 0, openedMs: 0, view: 0 } }))
  assert.ok(!signs({ truth: { commit: null, height: 3, openedMs: 0, view: 0 } }))
  assert.ok(
    !signs({ truth: { commit: null, height: 0, openedMs: SLOT, view: SLOT } }),
    'it was opened before its parent',
  )
  assert.ok(!signs({ standing: { ...UNBOUND, votedMs: SLOT } }), 'it signed in a round that was opened later')
  const rival = (changes: Partial<Rival>): Rival => ({
    id: { ...id, slot: SLOT + 5 },
    height: 1,
    votesUntilMs,
    state: 'closed',
    voted: false,
    votedUntilMs: votesUntilMs,
    signable: true,
    openedBy: alice,
    quiet: false,
    refused: false,
    heldUntilMs: votesUntilMs,
    ...changes,
  })
  assert.ok(!signs({ rivals: [rival({ voted: true })] }), 'it voted there')
  assert.ok(
    !signs({ rivals: [rival({ voted: true, refused: true })] }),
    'that it was refused later unsays nothing',
  )
  assert.ok(signs({ rivals: [rival({ voted: true, state: 'undecided' })] }), 'that round is over')
  assert.ok(!signs({ rivals: [rival({ state: 'decided' })] }))
  assert.ok(!signs({ rivals: [rival({ id: { ...id, slot: SLOT - 5 } })] }), 'the earlier round goes first')
  assert.ok(signs({ rivals: [rival({})] }))
  const earlier = { id: { ...id, slot: 1 } }
  assert.ok(signs({ rivals: [rival({ ...earlier, refused: true })] }), 'nobody can sign in that round')
  assert.ok(
    signs({ rivals: [rival({ ...earlier, height: 9 })] }),
    'nor in one that is on no truth that is known',
  )
})

test('[O3] a false opening neither holds other rounds up nor keeps its own name from being opened', () => {
  const spam = { dataset: 'data', step: 'spam', slot: 1 }
  const endless = { openedBy: dave, height: 999, votesUntilMs: SLOT * 1_000 }
  const records = {
    id: spam,
    openings: [claim(openingBy([dave], endless), dave)],
    closings: [],
    ballots: [],
    votes: [],
    confirmations: [],
  }
  const status = projectRound(records, { members }, SLOT)
  assert.match(status?.refusal ?? '', /out of bounds/)
  const rival = status && rivalOf(records, status, { members }, alice)
  assert.ok(rival?.refused)
  assert.deepEqual(holding([rival], SLOT), [])
  const wish = { sinceMs: SLOT, windowMs: 60_000 }
  const first = lineUp(round, 'opening', peers)[0] as string
  assert.deepEqual(does(situation({ openings: [] }, { wish, rivals: [rival] }), first, SLOT), ['open'])
  // The same under the very name that the schedule will use, with times that say that all is over.
  const dead = claim(
    openingBy([dave], { openedBy: dave, cutoffMs: SLOT - 60_000, votesUntilMs: SLOT - 1 }),
    dave,
  )
  assert.deepEqual(does(situation({ openings: [dead] }, { wish }), first, SLOT), ['refuse', 'open'])
})

test('[O5] a round in which nobody but its opener casts holds others up for two minutes, and one of them at a time', () => {
  const quietRound = (slot: number, ballots: SeenBallot[] = [], changes = {}) => {
    const long = {
      openedBy: dave,
      trigger: 'schedule' as const,
      cutoffMs: SLOT + 86_400_000,
      votesUntilMs: SLOT + 2 * 86_400_000,
    }
    const openings = [claim(openingBy(peers, { ...long, ...changes }), dave)]
    const records = {
      id: { ...id, step: 'spam', slot },
      openings,
      closings: [],
      ballots,
      votes: [],
      confirmations: [],
    }
    const status = projectRound(records, { members }, SLOT)
    assert.equal(status?.refusal, undefined)
    return rivalOf(records, status as NonNullable<typeof status>, { members }, alice)
  }
  const held = (rivals: Rival[], now: number) => holding(rivals, now).length
  const one = quietRound(1, [ballot(dave)])
  assert.equal(held([one], SLOT + 119_999), 1)
  assert.equal(held([one], SLOT + 120_000), 0)
  assert.equal(
    held([quietRound(1, [], { cutoffMs: SLOT + 5_000, votesUntilMs: SLOT + 65_000 })], SLOT + 5_000),
    0,
    'nor longer than its window',
  )
  assert.equal(held([one, quietRound(2)], SLOT), 0, 'its opener has others')
  assert.equal(held([quietRound(1, [ballot(bob)])], SLOT + 120_000), 1, 'somebody else takes part')
  assert.equal(held([quietRound(1, [ballot(bob)], { height: 7 })], SLOT), 0, 'nobody can sign a result of it')
  // A scheduled round waits for half of its window at most.
  const wish = { sinceMs: SLOT, windowMs: 60_000 }
  const first = lineUp(round, 'opening', peers)[0] as string
  const view = situation({ openings: [] }, { wish, rivals: [one] })
  assert.deepEqual(nextActions(view, first, SLOT), { actions: [], wakeMs: SLOT + 30_000 })
  assert.deepEqual(does(view, first, SLOT + 30_000), ['open'])
})

test('more than two thirds of the confirmations are made a certificate by the first in line, unless it is there', () => {
  const closing = closingWith(peers)
  const confirmations = [alice, bob, carol].map((peer) => voteOf(peer, closing))
  const view = (changes: Partial<Situation> = {}) =>
    situation({ closings: [closing], confirmations }, changes)
  const line = lineUp(round, 'certificate', peers)
  assert.deepEqual(
    peers.filter((self) => does(view(), self, SLOT).includes('certify')),
    [line[0]],
  )
  assert.equal(nextActions(view(), line[1] as string, SLOT).wakeMs, SLOT + 2_000)
  const certified = { openedMs: SLOT, height: 1, round: id, commit: result }
  assert.deepEqual(does(view({ certified }), line[0] as string, SLOT), [])
  const older = { openedMs: SLOT - 1, height: 1, round: { ...id, slot: SLOT - 1 }, commit: result }
  assert.deepEqual(
    does(view({ certified: older }), line[0] as string, SLOT),
    ['certify'],
    'a fork is settled',
  )
})

test('[C11] a truth that one member brings is brought by others in turn, until more than a third do', () => {
  const closing = closingWith(peers)
  const confirmations = [alice, bob, carol].map((peer) => voteOf(peer, closing))
  const certified = { openedMs: SLOT, height: 1, round: id, commit: result, view: SLOT }
  const line = lineUp(round, 'certificate', peers)
  const others = line.filter((peer) => peer !== dave)
  const bringing = (bringers: readonly string[], now: number) => {
    const view = situation(
      { closings: [closing], confirmations },
      { certified, held: { bringers, sinceMs: SLOT } },
    )
    return peers.filter((self) => does(view, self, now).includes('bring'))
  }
  assert.deepEqual(
    bringing([dave], SLOT).filter((peer) => peer !== line[0]),
    [],
    'one after the other',
  )
  assert.deepEqual(bringing([dave], SLOT + 6_000).sort(), [...others].sort())
  assert.deepEqual(bringing([dave, bob], SLOT + 6_000), [], 'two of four are enough: one of them is honest')
  assert.deepEqual(bringing([dave, 'stranger'], SLOT + 6_000).sort(), [...others].sort())
})
