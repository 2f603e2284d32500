import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { equivocationsIn } from '../../src/consensus/equivocation.ts'
import { Evidence } from '../../src/consensus/evidence.ts'
import type { RoundRecords, SeenBallot } from '../../src/consensus/round.ts'
import { eligibleBallots } from '../../src/consensus/round.ts'
import type { ConsensusEvent } from '../../src/consensus/views.ts'
import type { SeenConfirmation } from '../../src/consensus/votes.ts'
import { Witness } from '../../src/consensus/witness.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { names, openingBy, SLOT } from '../support/voting.ts'

const [alice, bob] = names(4) as [string, string]
const ids = { dataset: 'data', step: 'collect' }

function word(peer: string, changes: Partial<SeenConfirmation> = {}): SeenConfirmation {
  const said = { closing: 'e'.repeat(64), commit: 'c'.repeat(40), view: SLOT, ...changes }
  return { peer, timeMs: SLOT, seenMs: SLOT, sealed: Buffer.from(JSON.stringify(said)), ...said }
}

function ballot(peer: string, commit: string): SeenBallot {
  const seen = { timeMs: SLOT, seenMs: SLOT, readyMs: SLOT }
  return { peer, commit: commit.repeat(40), tree: 'b'.repeat(40), ...seen, sealed: Buffer.from(commit) }
}

function round(slot: number, changes: Partial<RoundRecords> = {}): RoundRecords {
  const nothing = { openings: [], closings: [], ballots: [], votes: [], confirmations: [] }
  return { id: { ...ids, slot }, ...nothing, ...changes }
}

test('[E1] two words of one view are evidence; a later view, and the same word twice, are none', () => {
  const what = (changes: Partial<RoundRecords>) => equivocationsIn(round(1, changes)).map((one) => one.what)
  const other = { commit: 'd'.repeat(40) }
  assert.deepEqual(what({ votes: [word(alice), word(alice, other)] }), ['two-votes'])
  assert.deepEqual(what({ votes: [word(alice), word(bob, other)] }), [])
  assert.deepEqual(what({ votes: [word(alice), word(alice, { ...other, view: SLOT + 60_000 })] }), [])
  assert.deepEqual(what({ votes: [word(alice), word(alice)] }), [])
  assert.deepEqual(what({ confirmations: [word(alice), word(alice, { closing: 'f'.repeat(64) })] }), [
    'two-confirmations',
  ])
  assert.deepEqual(what({ ballots: [ballot(alice, 'a'), ballot(alice, 'd'), ballot(bob, 'a')] }), [
    'two-ballots',
  ])
  const [found] = equivocationsIn(round(1, { ballots: [ballot(alice, 'a'), ballot(alice, 'd')] }))
  assert.deepEqual(found?.sealed.map(String), ['a', 'd'], 'both records are kept')
})

test('a member that votes in two rounds at one time is found out, told once, and known after a restart', async (t) => {
  const directory = await temporaryDirectory(t)
  const events: ConsensusEvent[] = []
  const rounds = new Map([
    ['data/collect/1', round(1, { votes: [word(alice)], ballots: [ballot(bob, 'a'), ballot(bob, 'd')] })],
    ['data/collect/2', round(2, { votes: [word(alice, { closing: 'f'.repeat(64) })] })],
  ])
  const sightings = {
    watches: (name: string) => rounds.has(name),
    records: ({ slot }: { slot: number }) => rounds.get(`data/collect/${slot}`) as RoundRecords,
  }
  const database = await openDatabase(directory)
  const evidence = new Evidence(database)
  const witness = new Witness({ sightings, evidence, emit: (event) => events.push(event), log: silentLogger })
  for (const name of ['data/collect/1', 'data/collect/2', 'data/collect/2', 'data/collect/3'])
    witness.look(name)
  // What is written last is on the disk last.
  await evidence.add({
    round: 'data/collect/9',
    peer: bob,
    what: 'two-votes',
    said: [null, null],
    sealed: [new Uint8Array(), new Uint8Array()],
  })
  const told = events.map(
    (event) => event.type === 'equivocation' && `${event.round} ${event.peer} ${event.what}`,
  )
  assert.deepEqual(told.sort(), [`data/collect/1 ${bob} two-ballots`, `data/collect/2 ${alice} two-votes`])
  await database.close()

  const again = await openDatabase(directory)
  t.after(() => again.close())
  const kept = new Evidence(again)
  await kept.load()
  assert.deepEqual(
    kept.of('data/collect/1').map(({ peer, sealed }) => [peer, sealed.map(String)]),
    [[bob, ['a', 'd']]],
  )
  assert.equal(kept.of('data/collect/2').length, 1)
  const opening = openingBy(names(4)).value
  const records = round(1, { ballots: [ballot(bob, 'a'), ballot(alice, 'a')] })
  assert.deepEqual([...eligibleBallots(records, opening).keys()].sort(), [alice, bob])
  const equivocators = new Set(kept.of('data/collect/1').map(({ peer }) => peer))
  assert.deepEqual([...eligibleBallots({ ...records, equivocators }, opening).keys()], [alice], '[B3]')
})
