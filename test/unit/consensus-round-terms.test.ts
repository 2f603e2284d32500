import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reliabilityHistoryMax, reliabilityParentsMax } from '../../src/base/limits-statistics.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { openersOf } from '../../src/consensus/openers.ts'
import type { Opening } from '../../src/consensus/records.ts'
import { History } from '../../src/consensus/reliability/history.ts'
import { resultCommit } from '../../src/consensus/result-commit.ts'
import { isEnough } from '../../src/consensus/round.ts'
import { parseRoundId, type RoundId } from '../../src/consensus/round-id.ts'
import { repetitionIn, termsAfter } from '../../src/consensus/round-terms.ts'
import { departure, plainTerms } from '../../src/consensus/terms.ts'
import type { TruthRule } from '../../src/datasets/truth-rule.ts'
import { pastOf, reliabilityVectors } from '../support/reliability-vectors.ts'

const vectors = await reliabilityVectors()
const WEIGHTED: TruthRule = { method: { name: 'weighted' } }

for (const { name, results, members } of vectors.histories) {
  test(`vector: what an opening says of weights: ${name}`, () => {
    const electorate = Object.keys(members).sort()
    const id = { dataset: 'data', step: 'collect', slot: 1 }
    const asked = { electorate, parent: null, trigger: 'request' } as const
    const { weights, quorum } = termsAfter({
      id,
      asked,
      rule: WEIGHTED,
      results: pastOf(results),
      scheduled: false,
    })
    assert.deepEqual(weights, Object.fromEntries(electorate.map((peer) => [peer, members[peer]?.weight])))
    assert.deepEqual(quorum, plainTerms(WEIGHTED, { electorate }).quorum, 'nobody has more votes')
  })
}

for (const { name, results, expected, ...parts } of vectors.repetitions) {
  test(`vector: what an opening says of the proven: ${name}`, () => {
    const { round, rule: adaptive, electorate } = parts
    const rule: TruthRule = { method: { name: 'identical' }, adaptive }
    const id = parseRoundId(round) as RoundId
    const past = { id, rule, results: pastOf(results) }
    const after = (scheduled: boolean) =>
      termsAfter({ ...past, asked: { electorate, parent: null, trigger: 'schedule' }, scheduled })
    assert.deepEqual(repetitionIn({ ...past, electorate }), expected)
    const isLess = expected.needed < plainTerms(rule, { electorate }).quorum.ballots
    assert.deepEqual(after(true).quorum.proven, isLess ? expected.workers.slice(0, 3).sort() : undefined)
    assert.equal(after(false).quorum.proven, undefined, 'who asks for a round does not choose who is checked')

    const members = electorate.map((peer) => ({ peer, since: 0 }))
    const terms = () => after(true)
    const openers = openersOf({ id, members, parent: null, terms })
    assert.deepEqual(openers.toSorted(), electorate.toSorted())
    if (isLess) assert.equal(openers[0], expected.workers[0], 'who works first opens the round')
  })
}

const oid = (height: number) => height.toString(16).padStart(40, '0')

/** A repository that holds the results up to `held`, on the commit that its dataset was founded with. */
function chainOf(held: number) {
  const logged: number[] = []
  const commit = (height: number) => ({
    oid: oid(height),
    ...resultCommit({
      round: { dataset: 'data', step: height % 2 === 0 ? 'assess' : 'collect', slot: height },
      opening: { method: { name: 'identical' }, parent: oid(height - 1), height },
      counted: new Map(['a', 'b'].map((peer) => [peer, { commit: oid(1_000_000 + height), departures: 0 }])),
      tree: oid(0),
      contested: 0,
    }),
  })
  const here = { held, logged }
  const repository = {
    hasCommit: async (of: string) => Number.parseInt(of, 16) <= here.held,
    log: async (of: string, limit: number) => {
      logged.push(limit)
      const top = Number.parseInt(of, 16)
      return Array.from({ length: Math.min(limit, top) }, (_, i) => commit(top - i))
    },
  }
  let fetched = 0
  let read = 0
  const datasets = {
    repository: async () => repository,
    ensureCommit: async (_: string, of: string) => {
      fetched += 1
      here.held = Number.parseInt(of, 16)
    },
  } as unknown as ConstructorParameters<typeof History>[0]['datasets']
  const onRead = () => {
    read += 1
  }
  const history = new History({ datasets, onRead, clock: { now: () => 0 }, log: silentLogger })
  const truth = (height: number) => ({ commit: oid(height), height, openedMs: height, view: height })
  return { history, here, truth, counts: () => ({ fetched, read }) }
}

const heights = (results: ReturnType<History['upTo']>) =>
  typeof results === 'string' ? results : results.map(({ height }) => height)

test('the results up to any truth so far are known, and up to nothing else', async () => {
  const { history, here, truth } = chainOf(6)
  assert.match(String(history.upTo('data', oid(6))), /not here yet/)
  assert.deepEqual(history.upTo('data', null), [], 'before the first truth there is none')
  await history.read('data', truth(6))
  assert.deepEqual(heights(history.upTo('data', oid(6))), [1, 2, 3, 4, 5, 6])
  assert.deepEqual(heights(history.upTo('data', oid(4))), [1, 2, 3, 4])
  assert.deepEqual(heights(history.upTo('data', oid(5), 'assess')), [2, 4])
  assert.equal(history.upTo('data', oid(5), 'assess'), history.upTo('data', oid(5), 'assess'))
  assert.deepEqual(history.upTo('data', oid(0)), [], 'what it was founded with has nothing behind it')
  assert.match(String(history.upTo('data', oid(7))), /does not follow a truth/)

  // One result more is one commit more to read.
  here.held = 7
  await history.read('data', truth(7))
  await history.read('data', truth(7))
  assert.deepEqual(here.logged, [6, 1])
  assert.deepEqual(heights(history.upTo('data', oid(7), 'collect')), [1, 3, 5, 7])
  assert.deepEqual(heights(history.upTo('data', oid(6))), [1, 2, 3, 4, 5, 6])
})

test('a founding that calls itself a result is none, and so is the truth before any certificate', async () => {
  const { history, truth } = chainOf(3)
  await history.read('data', { ...truth(3), height: 0 })
  assert.deepEqual(history.upTo('data', oid(3)), [])
  assert.match(String(history.upTo('data', oid(2))), /does not follow/)
  await history.read('data', { ...truth(3), height: 2 })
  assert.deepEqual(history.upTo('data', oid(1)), [], 'certified twice: the third one back is the founding')
})

test('what is not here is sent for once, and who waits for it hears of it', async () => {
  const { history, here, truth, counts } = chainOf(0)
  await history.read('data', truth(2))
  assert.deepEqual(counts(), { fetched: 0, read: 0 }, 'nothing is fetched for whoever did not ask for it')
  const { signal } = new AbortController()
  await Promise.all([history.read('data', truth(2), signal), history.read('data', truth(2), signal)])
  assert.equal(counts().fetched, 1)
  await history.read('data', truth(2))
  assert.deepEqual(heights(history.upTo('data', oid(2))), [1, 2])
  assert.equal(here.held, 2)
})

test('of a long history the newest part is read, enough for the rounds of the truths just before', async () => {
  const length = reliabilityHistoryMax + 500
  const { history, truth } = chainOf(length)
  await history.read('data', truth(length))
  const before = length - reliabilityParentsMax
  const newest = heights(history.upTo('data', oid(length)))
  assert.deepEqual([newest.length, newest[0]], [reliabilityHistoryMax, 501])
  const earlier = heights(history.upTo('data', oid(before)))
  assert.deepEqual([earlier.length, earlier.at(-1)], [reliabilityHistoryMax, before])
  assert.match(String(history.upTo('data', oid(before - 1))), /long past/)
})

test('one ballot of a proven member is enough for a closing, and one of anybody else is not', () => {
  const quorum = { ballots: 3, votes: 3, proven: ['bob'] }
  assert.equal(isEnough(['bob'], quorum), true)
  assert.equal(isEnough(['alice', 'carol'], quorum), false)
  assert.equal(isEnough(['alice', 'carol', 'dave'], quorum), true)
  assert.equal(isEnough([], quorum), false)
})

test('a rule that says -0 is repeated by an opening as 0, and that is no departure', () => {
  const numeric = (absolute: number) => ({ name: 'numeric' as const, key: ['id'], tolerance: { absolute } })
  const electorate = ['a', 'b', 'c']
  const terms = plainTerms({ method: numeric(-0) }, { electorate })
  const opening = { trigger: 'request', electorate, quorum: terms.quorum } as Opening
  assert.equal(departure({ ...opening, method: numeric(0) }, terms), undefined)
  assert.match(departure({ ...opening, method: numeric(1) }, terms) ?? '', /its method/)
})
