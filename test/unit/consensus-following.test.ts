import assert from 'node:assert/strict'
import { test } from 'node:test'
import { earlyRoundsMax, openRoundsPerMemberMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Adoption } from '../../src/consensus/adoption.ts'
import type { ReadCertificate } from '../../src/consensus/certificate.ts'
import { FollowedRounds } from '../../src/consensus/followed-rounds.ts'
import { ballotKey, formatRoundId } from '../../src/consensus/round-id.ts'
import { Sightings } from '../../src/consensus/sightings.ts'
import type { ConsensusEvent } from '../../src/consensus/views.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import type { Entry } from '../../src/registry/watchers.ts'
import { eventually } from '../support/eventually.ts'
import { SLOT } from '../support/voting.ts'

function idOf(slot: number) {
  return { dataset: 'data', step: 'collect', slot }
}

/** A truth whose adoption takes as long as the test wants. */
class SlowTruth {
  held = ''
  wanted = 'first'
  readonly asked: string[] = []
  arrive: () => void = () => undefined

  certified(): ReadCertificate {
    return { certificate: { round: this.wanted, commit: this.wanted } } as ReadCertificate
  }

  isAdopted(): boolean {
    return this.held === this.wanted
  }

  async adopt(): Promise<boolean> {
    const wanted = this.wanted
    this.asked.push(wanted)
    await new Promise<void>((resolve) => {
      this.arrive = resolve
    })
    this.held = wanted
    return true
  }
}

test('a certificate that comes while an earlier one is fetched is adopted as well, though nothing else happens', async () => {
  const truth = new SlowTruth()
  const told: ConsensusEvent[] = []
  const { signal } = new AbortController()
  const adoption = new Adoption({
    ...{ dataset: 'data', truth, signal, log: silentLogger },
    emit: (event) => told.push(event),
  })
  adoption.begin()
  truth.wanted = 'second'
  adoption.begin()
  assert.deepEqual(truth.asked, ['first'], 'one at a time')
  truth.arrive()
  await eventually(() => truth.asked.length === 2, 'nobody looked for the second one', 1_000)
  truth.arrive()
  await adoption.idle()
  assert.equal(truth.held, 'second')
  assert.deepEqual(
    told.map((event) => 'commit' in event && event.commit),
    ['first', 'second'],
  )
})

test('whoever opens rounds without end finds the further ones left alone, and nobody else does', () => {
  const rounds = new FollowedRounds()
  const follow = (slot: number, opener?: string) =>
    rounds.follow(formatRoundId(idOf(slot)), idOf(slot), opener)
  for (let slot = 0; slot < openRoundsPerMemberMax; slot += 1) assert.ok(follow(slot, 'mallory'))
  assert.ok(!follow(9_998, 'mallory'))
  assert.ok(follow(9_998, 'alice'), 'the same round, opened by somebody else')
  assert.ok(follow(9_999), 'one that this node has a result for')
  rounds.rest(formatRoundId(idOf(0)))
  assert.ok(follow(10_000, 'mallory'), 'one of them has ended')
  rounds.revive(() => true)
  assert.equal(rounds.live().length, openRoundsPerMemberMax + 2, 'nor do more of them come back at once')
})

test('of rounds that were never opened only the latest are remembered, and nothing that counts is lost', () => {
  const entries = new Map<string, Entry>()
  const registry = {
    get: (key: string) => entries.get(key),
    list: () => [],
    claims: () => [],
    envelope: () => undefined,
  }
  let now = SLOT
  const sightings = new Sightings({ registry, clock: { now: () => now }, evidence: { of: () => [] } })
  const note = (slot: number, commit: string) => {
    const round = formatRoundId(idOf(slot))
    const key = ballotKey(round, 'bob')
    const value = encodeJson({ commit: commit.repeat(40), tree: 'b'.repeat(40) })
    const times = { timeMs: SLOT, sinceMs: SLOT }
    const entry: Entry = { key, value, author: 'bob', version: 1, revision: 1, contested: false, ...times }
    entries.set(key, entry)
    sightings.note(round, entry)
  }
  note(1, 'a')
  note(1, 'c')
  assert.equal(
    sightings.records(idOf(1), ['bob']).ballots.length,
    2,
    'a second ballot does not unsay the first',
  )
  note(2, 'a')
  note(2, 'c')
  for (let slot = 10; slot < 10 + earlyRoundsMax; slot += 1) note(slot, 'd')
  now += 1
  const [ballot, ...more] = sightings.records(idOf(2), ['bob']).ballots
  assert.deepEqual([ballot?.commit, ballot?.seenMs, more.length], ['c'.repeat(40), now, 0])
  assert.equal(sightings.records(idOf(1), ['bob']).ballots.length, 2, 'what is looked at stays')
})
