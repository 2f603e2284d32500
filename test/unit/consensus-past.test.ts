import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closingOf, closingSchema } from '../../src/consensus/records.ts'
import { projectRound, type RoundRecords } from '../../src/consensus/round.ts'
import { names, openingBy, SLOT, signed } from '../support/voting.ts'

const peers = names(4)
const [alice] = peers as [string]
const ballot = { commit: 'a'.repeat(40), tree: 'b'.repeat(40) }

test('what was decided stays decided when those who confirmed it are gone, once a truth stands on it', () => {
  const opening = { ...openingBy(peers), author: alice, seenMs: SLOT }
  const { openedMs, cutoffMs, height } = opening.value
  const counted = new Map(peers.map((peer) => [peer, ballot] as const))
  const closing = { ...signed(closingSchema, closingOf(opening.hash, counted)), author: alice, seenMs: SLOT }
  const words = peers.slice(0, 3).map((peer) => {
    const said = { peer, closing: closing.hash, commit: 'c'.repeat(40), view: openedMs }
    return { ...said, timeMs: cutoffMs, seenMs: cutoffMs, sealed: new Uint8Array() }
  })
  const records: RoundRecords = {
    id: { dataset: 'data', step: 'collect', slot: SLOT },
    openings: [opening],
    closings: [closing],
    ballots: [],
    votes: words,
    confirmations: words,
  }
  const left = peers.slice(1).map((peer) => ({ peer, since: 0 }))
  const later = { round: 'data/collect/9', height: height + 1, commit: 'e'.repeat(40), openedMs: SLOT + 1 }
  assert.equal(projectRound(records, { truth: later, members: left }, SLOT + 1e9)?.state, 'decided')
  const open = projectRound(records, { members: left }, SLOT + 1e9)
  assert.notEqual(open?.state, 'decided', 'while its height is open those who vote now decide')
})
