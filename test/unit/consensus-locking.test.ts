import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isFreeFor,
  mayConfirm,
  type PreparedResult,
  renewal,
  type Standing,
  UNBOUND,
} from '../../src/consensus/locking.ts'
import { openVotes, preparedRecord, readPrepared } from '../../src/consensus/prepared.ts'
import { type Claim, closingOf, closingSchema, type Signed } from '../../src/consensus/records.ts'
import { lineUp } from '../../src/consensus/rendezvous.ts'
import { formatRoundId, voteKey } from '../../src/consensus/round-id.ts'
import type { SeenVote } from '../../src/consensus/votes.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { names, openingBy, openSealed, SLOT, sealAs, signed } from '../support/voting.ts'

const MINUTE = 60_000
const peers = names(4)
const [alice, bob, carol, dave] = peers as [string, string, string, string]
const members = peers.map((peer) => ({ peer, since: 0 }))
/** A whole minute, so that windows are easy to name. */
const START = SLOT - (SLOT % MINUTE)

function claim<T>(record: Signed<T>): Claim<T> {
  return { ...record, author: alice, seenMs: START }
}

/** A result that alice, bob and carol voted for. */
function prepared(slot: number, view: number, changes: Partial<PreparedResult> = {}): PreparedResult {
  const opening = claim(openingBy(peers, { openedMs: START }))
  const ballots = new Map(peers.map((peer) => [peer, { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }]))
  const closing = claim(signed(closingSchema, closingOf(opening.hash, ballots)))
  const round = { dataset: 'data', step: 'collect', slot }
  const rest = { commit: 'c'.repeat(40), signers: [alice, bob, carol], seenMs: view }
  return { round, opening, closing, view, ...rest, ...changes }
}

function lockOn({ round, closing, commit }: PreparedResult, view: number): Standing['lock'] {
  return { round, closing: closing.hash, commit, view }
}

const standing = (changes: Partial<Standing>): Standing => ({ ...UNBOUND, ...changes })

test('[L2] a result is confirmed by who has voted in no later view, and confirmed none as late', () => {
  const one = prepared(1, START)
  const may = (changes: Partial<Standing>, result = one, now = START) =>
    mayConfirm(result, standing(changes), now)
  assert.ok(may({}))
  assert.ok(may({ votedMs: START }), 'it may have voted for it, or in that view for another one')
  assert.ok(!may({ votedMs: START + 1 }))
  assert.ok(!may({ confirmedMs: START }))
  assert.ok(may({}, one, START + 90 * MINUTE), 'at first at any time: a partition may last')
  const again = prepared(1, START + MINUTE)
  assert.ok(may({ confirmedMs: START }, again, START + MINUTE + 49_999))
  assert.ok(
    !may({}, again, START + MINUTE + 50_000),
    'who comes first in the next window could not know of it',
  )
})

test('[L3] a lock gives way to what was prepared in a later view, and to nothing else', () => {
  const [mine, other] = [prepared(1, START), prepared(2, START + 5)]
  const free = (result: PreparedResult, lock: Standing['lock']) =>
    isFreeFor({ ...result, closing: result.closing.hash }, { lock })
  assert.ok(free(other, undefined))
  assert.ok(free(mine, lockOn(mine, START + 9)), 'what it is locked on, in whatever view')
  assert.ok(free(other, lockOn(mine, START)))
  assert.ok(!free(other, lockOn(mine, START + 5)))
  assert.ok(!free(other, lockOn(mine, START + 6)))
})

test('[L4] what is prepared is voted on again in each window, the first in line before the others', () => {
  const one = prepared(1, START, { seenMs: START + 30_000 })
  const at = (now: number, self: string, changes: Partial<Standing> = {}) =>
    renewal(standing({ prepared: [one], ...changes }), self, peers, now)
  assert.equal(renewal(UNBOUND, alice, peers, START + MINUTE), undefined)
  assert.deepEqual(
    at(START + 45_000, alice),
    { do: 'wait', untilMs: START + MINUTE },
    'the window of its own view',
  )
  const view = START + MINUTE
  const [first, second] = lineUp(`data/${view}`, 'renewal', peers) as [string, string]
  assert.deepEqual(at(view, first), { do: 'vote', result: one, view })
  assert.deepEqual(at(view, second), { do: 'wait', untilMs: view + 4_000 })
  assert.deepEqual(at(view + 4_000, second), { do: 'vote', result: one, view })
  const votes = { peer: first, round: one.round, closing: one.closing.hash, commit: one.commit, view }
  assert.deepEqual(at(view, second, { renewals: [votes] }), { do: 'vote', result: one, view })
  assert.deepEqual(
    at(view, first, { votedMs: view }),
    { do: 'wait', untilMs: view + MINUTE },
    'once in a window',
  )
  const late = prepared(1, START, { seenMs: view - 1 })
  const patient = renewal(standing({ prepared: [late] }), first, peers, view)
  assert.deepEqual(patient, { do: 'wait', untilMs: view + 9_999 }, 'confirmations may be on their way')
})

test('where members know of different results the first in line is followed, as far as locks allow', () => {
  const [latest, older] = [prepared(2, START + 9, { seenMs: START }), prepared(1, START, { seenMs: START })]
  const view = START + MINUTE
  const [first, second] = lineUp(`data/${view}`, 'renewal', peers) as [string, string]
  const asked = { peer: first, round: older.round, closing: older.closing.hash, commit: older.commit, view }
  const told = (lock: Standing['lock']) => {
    const next = renewal(
      standing({ prepared: [latest, older], renewals: [asked], lock }),
      second,
      peers,
      view + 4_000,
    )
    return next?.do === 'vote' ? next.result.round.slot : next
  }
  assert.equal(told(undefined), 1)
  assert.equal(told(lockOn(older, START)), 1)
  assert.equal(told(lockOn(latest, START + 9)), 2, 'it is locked on something later')
  assert.equal(told(lockOn(prepared(3, START + 9), START + 9)), undefined, 'nothing that it may vote for')
})

test('whose clock is behind goes on with more than a third, and with no fewer', () => {
  const one = prepared(1, START, { seenMs: START })
  const view = START + 2 * MINUTE
  const ahead = (...by: string[]) =>
    by.map((peer) => ({ peer, round: one.round, closing: one.closing.hash, commit: one.commit, view }))
  const [first = alice] = lineUp(`data/${view}`, 'renewal', peers)
  const others = peers.filter((peer) => peer !== first)
  const viewOf = (...by: string[]) => {
    const next = renewal(
      standing({ prepared: [one], renewals: ahead(...by) }),
      others[2] as string,
      peers,
      view - 1,
    )
    return next?.do === 'vote' ? next.view : undefined
  }
  assert.equal(viewOf(first, others[0] as string), view)
  assert.notEqual(viewOf(first), view, 'one of four may be lying')
})

test('[L5] what is shown is a quorum by the signatures in it, and by nothing that whoever shows it says', async () => {
  const one = prepared(1, START)
  const round = formatRoundId(one.round)
  const voteOf = (peer: string, secret?: string): SeenVote => {
    const word = { closing: one.closing.hash, commit: one.commit, view: START }
    const sealed = sealAs(peer, voteKey(round, peer), encodeJson(word), secret)
    return { peer, ...word, timeMs: START, seenMs: START, sealed }
  }
  const voters = async (value: Uint8Array) => {
    const proof = readPrepared(value)
    return proof && (await openVotes(round, proof, openSealed, 0)).map(({ peer }) => peer)
  }
  const votes = [alice, bob, carol].map((peer) => voteOf(peer))
  assert.deepEqual(await voters(preparedRecord(one, votes, members)), [alice, bob, carol])
  const forged = [voteOf(alice), voteOf(bob), voteOf(carol, 'the secret of dave')]
  assert.deepEqual(await voters(preparedRecord(one, forged, members)), [alice, bob])
  const text = JSON.parse(new TextDecoder().decode(preparedRecord(one, votes, members)))
  const altered = (changes: object) => voters(encodeJson({ ...text, ...changes }))
  assert.deepEqual(await altered({ view: START + 1 }), [], 'of another view')
  assert.deepEqual(await altered({ votes: { ...text.votes, [dave]: text.votes[alice] } }), [
    alice,
    bob,
    carol,
  ])
  assert.equal(await altered({ opening: text.opening.replace('"height":1', '"height":2') }), undefined)
  assert.equal(await altered({ votes: { stranger: text.votes[alice] } }), undefined)
})
