import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeClosing } from '../../src/consensus/closings.ts'
import { holding, nextActions, rivalOf } from '../../src/consensus/decisions.ts'
import { UNBOUND } from '../../src/consensus/locking.ts'
import { refuseOpening } from '../../src/consensus/opening.ts'
import type { Situation } from '../../src/consensus/plan.ts'
import {
  type Claim,
  type Closing,
  closingOf,
  closingSchema,
  type Opening,
} from '../../src/consensus/records.ts'
import { projectRound, type RoundRecords, type SeenBallot } from '../../src/consensus/round.ts'
import { PLAIN_TERMS } from '../../src/consensus/terms.ts'
import { names, openingBy, SLOT, signed } from '../support/voting.ts'

const HOUR_MS = 3_600_000
const peers = names(4)
const [alice, bob, carol, dave] = peers as [string, string, string, string]
const members = peers.map((peer) => ({ peer, since: 0 }))
const id = { dataset: 'data', step: 'collect', slot: SLOT }
const found = { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }
const result = 'c'.repeat(40)

function claim<T>(
  value: { value: T; bytes: Uint8Array; hash: string },
  author: string,
  seenMs = SLOT,
): Claim<T> {
  return { ...value, author, seenMs }
}

function openedBy(author: string, changes: Partial<Opening> = {}, electorate = peers): Claim<Opening> {
  return claim(openingBy(electorate, { openedBy: author, ...changes }), author)
}

function castBy(who: readonly string[], ballot = found): SeenBallot[] {
  return who.map((peer) => ({ ...ballot, peer, timeMs: SLOT, seenMs: SLOT, readyMs: SLOT }))
}

function closed(
  opening: Claim<Opening>,
  counted: readonly (readonly [string, typeof found])[],
  author: string,
  seenMs = SLOT,
): Claim<Closing> {
  return claim(signed(closingSchema, closingOf(opening.hash, new Map(counted))), author, seenMs)
}

function round(changes: Partial<RoundRecords>): RoundRecords {
  return { id, openings: [], closings: [], ballots: [], votes: [], confirmations: [], ...changes }
}

function seen(records: RoundRecords, changes: Partial<Situation> = {}): Situation {
  const truth = { commit: null, height: 0, openedMs: 0, view: 0 }
  const rest = { rivals: [], standing: UNBOUND, shownMs: -1, latestMs: 0, outcomes: new Map() }
  return { records, members, truth, ...rest, ...changes }
}

const does = (situation: Situation, self: string, now: number) =>
  nextActions(situation, self, now).actions.map((action) => action.do)

test('a member that writes another closing every five seconds keeps nobody from signing an honest one', () => {
  const opening = openedBy(alice)
  const { cutoffMs } = opening.value
  const three = [alice, bob, carol].map((peer) => [peer, found] as const)
  const honest = closed(opening, three, alice, cutoffMs)
  for (let now = cutoffMs + 100; now < cutoffMs + 40_000; now += 1_000) {
    const invented = {
      commit: Math.floor(now / 5_000)
        .toString(16)
        .padStart(40, '0'),
      tree: 'f'.repeat(40),
    }
    const false1 = closed(opening, [...three, [dave, invented]], dave, now - (now % 5_000))
    const ballots = castBy([alice, bob, carol])
    const both = round({ openings: [opening], closings: [false1, honest], ballots })
    const outcomes = new Map([[honest.hash, { commit: result }]])
    for (const self of [alice, bob, carol])
      assert.deepEqual(does(seen(both, { outcomes }), self, now), ['vote'])
    const alone = round({ openings: [opening], closings: [false1], ballots })
    const closes = [alice, bob, carol].some((self) => does(seen(alone), self, now).includes('close'))
    assert.equal(closes, now >= cutoffMs + 18_000, `an honest closing at ${now - cutoffMs} ms`)
  }
})

test('a slot that somebody opened before, dated back, is opened in earnest', () => {
  const times = {
    openedMs: SLOT - HOUR_MS,
    cutoffMs: SLOT - HOUR_MS + 10_000,
    votesUntilMs: SLOT - HOUR_MS + 70_000,
  }
  const stale = openedBy(dave, { ...times, trigger: 'schedule' })
  const wish = { sinceMs: SLOT, windowMs: 60_000 }
  const now = SLOT + 7_000
  const before = seen(round({ openings: [stale], ballots: castBy(peers) }), { wish, candidate: found })
  assert.ok(peers.some((self) => does(before, self, now).includes('open')))
  const honest = openedBy(alice, { trigger: 'schedule' })
  const both = round({ openings: [stale, honest], ballots: castBy(peers) })
  assert.equal(projectRound(both, { members }, now)?.state, 'open')
  assert.deepEqual(does(seen(both, { wish }), alice, now), ['close'])
})

test('an invented closing of an old slot keeps nobody from voting in other rounds', () => {
  const opening = openedBy(alice)
  const honest = closed(
    opening,
    peers.map((peer) => [peer, found] as const),
    alice,
  )
  const times = { openedMs: SLOT - HOUR_MS, cutoffMs: SLOT - 30 * 60_000, votesUntilMs: SLOT }
  const old = openedBy(dave, times)
  const invented = closed(
    old,
    peers.map((peer) => [peer, { ...found, tree: '8'.repeat(40) }] as const),
    dave,
  )
  const false1 = round({ id: { ...id, slot: 0 }, openings: [old], closings: [invented] })
  const now = SLOT - 1_000
  const status = projectRound(false1, { members }, now)
  assert.equal(status?.state, 'closed')
  assert.ok(status !== undefined)
  const rivals = [rivalOf(false1, status, { members }, alice)]
  const records = round({ openings: [opening], closings: [honest], ballots: castBy(peers) })
  const situation = seen(records, { rivals, outcomes: new Map([[honest.hash, { commit: result }]]) })
  assert.deepEqual(does(situation, alice, SLOT), ['vote'])
  const endless = openedBy(dave, { ...times, votesUntilMs: SLOT + 46 * HOUR_MS })
  const why = refuseOpening(endless, { ...id, slot: 0 }, members, PLAIN_TERMS, SLOT)
  assert.match(why ?? '', /out of bounds/)
})

test('a round that somebody asks for with a window of a day holds others up for a quarter of an hour', () => {
  const day = { cutoffMs: SLOT + 24 * HOUR_MS, votesUntilMs: SLOT + 48 * HOUR_MS }
  const records = round({ openings: [openedBy(dave, day)], ballots: castBy([alice, bob, carol]) })
  const held = (now: number) => {
    const status = projectRound(records, { members }, now)
    assert.ok(status !== undefined)
    return holding([rivalOf(records, status, { members }, alice)], now).length
  }
  assert.deepEqual([held(SLOT + 14 * 60_000), held(SLOT + 15 * 60_000)], [1, 0])
})

test('where a proven member’s result stands alone, nobody who was not asked outvotes or stops it', () => {
  const seven = names(7).sort()
  const [proven, first, second] = seven as [string, string, string]
  const quorum = { ballots: 5, votes: 5, proven: [proven] }
  const opening = openedBy(proven, { quorum }, seven)
  const lie = { commit: 'd'.repeat(40), tree: 'e'.repeat(40) }
  const ballots = [...castBy([proven]), ...castBy([first, second], lie)]
  const now = opening.value.cutoffMs + 10
  const all = closed(
    opening,
    [
      [proven, found],
      [first, lie],
      [second, lie],
    ],
    first,
  )
  const alone = closed(opening, [[proven, found]], proven)
  const records = round({ openings: [opening], closings: [], ballots })
  assert.equal(judgeClosing(all.value, opening, records, now).verdict, 'refuse')
  assert.equal(judgeClosing(alone.value, opening, records, now).verdict, 'sign')
  const electors = seven.map((peer) => ({ peer, since: 0 }))
  const situation = seen(records, { members: electors, terms: () => ({ ...TERMS, quorum }) })
  const [action] = nextActions(situation, proven, now).actions
  assert.ok(action?.do === 'close')
  assert.deepEqual([...action.ballots.keys()], [proven])
})

const TERMS = { method: { name: 'identical' as const }, byHand: false }
