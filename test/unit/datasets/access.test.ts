import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../../src/base/logger.ts'
import { isDecisive, isEntitled } from '../../../src/consensus/quorum.ts'
import {
  type AccessFacts,
  accessOnceVote,
  type Grant,
  latestGrants,
  mayHave,
  nextChangeMs,
  votedBefore,
  votersOn,
} from '../../../src/datasets/access.ts'
import { DatasetAccess } from '../../../src/datasets/dataset-access.ts'
import { datasetId } from '../../../src/datasets/dataset-record.ts'
import { type Policy, withheldAs } from '../../../src/datasets/policies.ts'
import { encodeJson } from '../../../src/registry/collection.ts'

const grant = (peer: string, fields: Partial<Grant> = {}): Grant => ({
  ...{ dataset: 'd', read: true, vote: true, since: 100, peer, author: 'op', timeMs: 100 },
  ...fields,
})
const facts = (grants: readonly Grant[], access?: AccessFacts['access']): AccessFacts => ({
  ...{ id: 'd', founder: 'amy', access, grants: latestGrants(grants), isDisputed: false },
})
const GRANTED = { read: 'granted', vote: 'granted', voteSince: 50 } as const
const MEMBERS = (['amy', 'ben', 'cal', 'dot'] as const).map(
  (peer) => ({ peer, role: 'member', since: 0 }) as const,
)

test('what is made of a dataset goes to all members where all may have it, and only there', () => {
  const ask = (policy: Policy, read?: 'members' | 'granted') =>
    withheldAs({ policy, record: read === undefined ? {} : { access: { read } } })
  assert.deepEqual([ask('shared'), ask('shared', 'members')], [undefined, undefined])
  assert.equal(ask('shared', 'granted'), 'granted')
  // Whatever is granted, what stays stays.
  for (const policy of ['compute-only', 'local-only'] as const)
    for (const read of [undefined, 'members', 'granted'] as const) assert.equal(ask(policy, read), policy)
})

test('what was written last of a peer counts, and of two at once that of the lower author', () => {
  const [one, two] = [grant('ben', { vote: false }), grant('ben', { timeMs: 200, author: 'ox' })]
  assert.equal(latestGrants([one, two]).get('ben'), two)
  assert.equal(latestGrants([two, one]).get('ben'), two)
  const other = grant('ben', { timeMs: 200, author: 'oz' })
  for (const order of [
    [two, other],
    [other, two],
  ])
    assert.equal(latestGrants(order).get('ben'), two)
})

test('a grant holds from its beginning until just before its end; the founder needs none', () => {
  const known = facts([grant('ben', { until: 300 })], GRANTED)
  const may = (peer: string, nowMs: number) => mayHave(known, peer, nowMs)
  assert.deepEqual(
    [may('ben', 99), may('ben', 100), may('ben', 299), may('ben', 300)],
    [false, true, true, false],
  )
  assert.deepEqual([may('amy', 0), may('cal', 200)], [true, false])
  assert.equal(mayHave(facts([]), 'cal', 200), true)
  assert.deepEqual(
    [nextChangeMs(known.grants.values(), 0), nextChangeMs(known.grants.values(), 300)],
    [100, Infinity],
  )
})

test('however often the vote was changed, a newcomer takes what was decided in each time', () => {
  const change = (before: AccessFacts['access'], vote: 'members' | 'granted', nowMs: number) =>
    accessOnceVote(before, { read: 'members', vote }, nowMs)
  const restricted = change(undefined, 'granted', 100)
  assert.deepEqual(restricted, { read: 'members', vote: 'granted', voteSince: 100 })
  const opened = change(restricted, 'members', 200)
  assert.deepEqual(change(opened, 'members', 250), opened)
  const again = change(opened, 'granted', 300)
  const entitled = (access: AccessFacts['access'], at: number, peer = 'dot') =>
    votersOn(facts([], access), MEMBERS).some((voter) => voter.peer === peer && isEntitled(voter, at))
  const times = [50, 150, 250, 350]
  assert.deepEqual(
    times.map((at) => entitled(restricted, at)),
    [true, false, false, false],
  )
  assert.deepEqual(
    times.map((at) => entitled(opened, at)),
    [true, false, true, true],
  )
  assert.deepEqual(
    times.map((at) => entitled(again, at)),
    [true, false, true, false],
  )
  // Beyond what a record holds, what holds now and held of late stays.
  let access: AccessFacts['access'] = again
  for (let turn = 1; turn <= 40; turn += 1)
    access = change(access, turn % 2 === 1 ? 'members' : 'granted', 1_000 * turn)
  assert.equal(access.voteBefore?.length, 16)
  assert.deepEqual(
    [37_500, 38_500, 39_500, 40_500].map((at) => entitled(access, at)),
    [true, false, true, false],
  )
})

test('who was granted to vote again has voted before as well', () => {
  const first = grant('ben', { until: 300 })
  const second = grant('ben', { since: 500, ...votedBefore(first, 500) })
  assert.deepEqual(second.voted, [[100, 300]])
  const taken = grant('ben', { since: 700, vote: false, ...votedBefore(second, 700) })
  assert.deepEqual(taken.voted, [
    [100, 300],
    [500, 700],
  ])
  assert.deepEqual(votedBefore(grant('cal', { vote: false }), 200), {})
  const [, ben] = votersOn(facts([taken], GRANTED), MEMBERS)
  const at = [40, 60, 200, 400, 600, 800].map((openedMs) => ben !== undefined && isEntitled(ben, openedMs))
  assert.deepEqual(at, [true, false, true, false, true, false])
})

test('a rival claim to the name, which restricts nothing, opens no copy of what is restricted', () => {
  const record = (founder: string, seed: string, access?: AccessFacts['access']) => ({
    ...{ id: datasetId(founder, 'private', seed), seed, founder, description: '', createdBy: founder },
    ...{ policy: 'shared' as const, ...(access === undefined ? {} : { access }) },
  })
  const ours = record('amy', '11'.repeat(16), GRANTED)
  const entry = (key: string, author: string, value: object) => ({
    ...{
      key,
      author,
      value: encodeJson(value),
      version: 1,
      timeMs: 1,
      sinceMs: 1,
      revision: 1,
      contested: true,
    },
  })
  const grant = { dataset: ours.id, read: true, vote: false, since: 0 }
  const entries = [
    entry('/dataset/private', 'cal', record('cal', '22'.repeat(16))),
    entry('/dataset/private', 'amy', ours),
    entry('/grants/private/ben/amy', 'amy', grant),
    entry('/grants/private/cal/cal', 'cal', grant),
  ]
  const below = (prefix: string) => entries.filter(({ key }) => key.startsWith(prefix))
  const access = new DatasetAccess({
    registry: { claims: below, list: below } as never,
    members: { role: () => 'member', presentOf: (peer: string) => peer } as never,
    ...{ self: 'amy', clock: { now: () => 1_000 }, log: silentLogger },
  })
  const held = { id: ours.id, owner: 'amy', record: ours }
  const may = (peer: string) => access.mayRead(peer, 'private', held)
  assert.deepEqual([may('amy'), may('ben'), may('cal'), may('dot')], [true, true, false, false])
  // Who holds the rival's gives that to everybody.
  assert.equal(access.mayRead('dot', 'private', undefined), true)
})

test('who voted rightly is not taken back when grants change, and who has no grant decides nothing', () => {
  const opened = (openedMs: number, electorate: readonly string[]) => ({ openedMs, electorate })
  const voters = votersOn(facts([grant('ben'), grant('cal', { until: 400 })], GRANTED), MEMBERS)
  const three = ['amy', 'ben', 'cal']
  assert.equal(isDecisive(three, opened(200, three), voters), true)
  assert.equal(isDecisive(['ben', 'cal', 'dot'], opened(200, ['ben', 'cal', 'dot']), voters), false)
  // Before the vote was restricted everybody had one, and after cal's grant cal has none.
  assert.equal(isDecisive(three, opened(20, three), voters), true, 'three of four')
  assert.equal(isDecisive(['amy', 'ben'], opened(500, ['amy', 'ben']), voters), true)
  assert.equal(isDecisive(['cal', 'ben'], opened(500, ['cal', 'ben']), voters), false)
  const observer = { peer: 'eve', role: 'observer', since: 0 } as const
  assert.deepEqual(
    votersOn(undefined, [...MEMBERS, observer]).map(({ peer }) => peer),
    ['amy', 'ben', 'cal', 'dot'],
  )
})
