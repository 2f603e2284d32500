import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isProven, reliabilityOf, weightsOf } from '../../src/consensus/reliability/reliability.ts'
import { isCheck, repetitionOf } from '../../src/consensus/reliability/repetition.ts'
import type { ResultFacts } from '../../src/consensus/reliability/result-facts.ts'
import { formatRoundId } from '../../src/consensus/round-id.ts'
import { pastOf, reliabilityVectors } from '../support/reliability-vectors.ts'
import { seededRandom } from '../support/seeded-random.ts'

const vectors = await reliabilityVectors()

for (const { name, results, members } of vectors.histories) {
  test(`vector: ${name}`, () => {
    const history = pastOf(results)
    const weights = weightsOf(history, Object.keys(members))
    for (const [peer, { numerator, denominator, weight, differences, ...expected }] of Object.entries(
      members,
    )) {
      assert.deepEqual(reliabilityOf(history, peer), {
        ...expected,
        reliability: { numerator, denominator },
        differences: differences.map(({ height, differs }) => {
          return { round: formatRoundId((history[height - 1] as ResultFacts).round), differs }
        }),
      })
      assert.equal(weights[peer], weight, peer)
    }
  })
}

for (const { name, results, expected, ...parts } of vectors.repetitions) {
  test(`vector: ${name}`, () => {
    const history = pastOf(results)
    assert.deepEqual(repetitionOf({ ...parts, history }), expected)
    assert.deepEqual(repetitionOf({ ...parts, history, electorate: parts.electorate.toReversed() }), expected)
  })
}

const PEERS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace']

function randomPast(random: () => number, length: number) {
  return Array.from({ length }, () => ({
    contested: random() < 0.1 ? 1 : 0,
    ballots: Object.fromEntries(
      PEERS.filter(() => random() < 0.7).map((peer) => [
        peer,
        random() < 0.9 ? 0 : 1 + Math.floor(random() * 9),
      ]),
    ),
  }))
}

test('one more agreement never lowers a member, one more difference ends its run, silence changes nothing', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed)
    const past = randomPast(random, Math.floor(random() * 140))
    const before = reliabilityOf(pastOf(past), 'alice')
    const then = (contested: number, ballots: Record<string, number>) => {
      const history = pastOf([...past, { contested, ballots }])
      return { ...reliabilityOf(history, 'alice'), weight: weightsOf(history, ['alice']).alice as number }
    }
    const weight = weightsOf(pastOf(past), ['alice']).alice as number
    const better = then(0, { alice: 0, bob: 5 })
    assert.equal(better.inARow, before.inARow + 1, `seed ${seed}`)
    assert.ok(better.weight >= weight && better.weight < 1_000, `seed ${seed}`)
    const worse = then(0, { alice: 3, bob: 0 })
    assert.equal(worse.inARow, 0, `seed ${seed}`)
    assert.ok(worse.weight <= weight && worse.weight >= 1, `seed ${seed}`)
    assert.deepEqual(worse.differences[0], { round: `measurements/collect/${past.length + 1}`, differs: 3 })
    for (const nothing of [
      then(0, { alice: 0 }),
      then(0, { bob: 0, carol: 0 }),
      then(1, { alice: 0, bob: 0 }),
    ]) {
      assert.deepEqual({ ...nothing, weight }, { ...before, weight: nothing.weight }, `seed ${seed}`)
    }
  }
})

test('with fewer than a third of the ballots from liars with the best past, newcomers still outweigh them', () => {
  const spotless = pastOf(
    Array.from({ length: 1_000 }, () => ({ contested: 0, ballots: { liar: 0, bob: 0 } })),
  )
  const { liar = 0, newcomer = 0 } = weightsOf(spotless, ['liar', 'newcomer'])
  assert.deepEqual([liar, newcomer], [990, 500])
  for (let ballots = 1; ballots <= 64; ballots += 1) {
    const liars = Math.ceil(ballots / 3) - 1
    assert.ok(liars * liar < (ballots - liars) * newcomer, `${ballots} ballots`)
  }
})

test('the work goes round among the proven, about one round in so many is a check, and a failed check ends trust', () => {
  const rule = { proven: 3, checks: 10 }
  const agreed = { contested: 0, ballots: Object.fromEntries(PEERS.map((peer) => [peer, 0])) }
  const history = pastOf([agreed, agreed, agreed])
  const first = new Map<string, number>()
  let checks = 0
  for (let slot = 0; slot < 7_000; slot += 1) {
    const round = `measurements/collect/${slot}`
    const decision = repetitionOf({ round, electorate: PEERS, history, rule, quorum: 5 })
    assert.equal(decision.check, isCheck(round, rule.checks))
    assert.equal(decision.needed, decision.check ? 5 : 1)
    assert.deepEqual([...decision.workers].sort(), PEERS)
    if (decision.check) checks += 1
    else first.set(decision.workers[0] as string, (first.get(decision.workers[0] as string) ?? 0) + 1)
  }
  assert.ok(Math.abs(checks - 700) < 100, `${checks} checks`)
  for (const peer of PEERS)
    assert.ok(Math.abs((first.get(peer) ?? 0) - 900) < 150, `${peer} ${first.get(peer)}`)

  const caught = pastOf([agreed, agreed, agreed, { contested: 0, ballots: { ...agreed.ballots, bob: 1 } }])
  assert.deepEqual([isProven(caught, 'bob', 3), isProven(caught, 'alice', 3)], [false, true])
  const ordinary = {
    round: 'measurements/collect/0',
    electorate: PEERS,
    rule: { ...rule, checks: 1_000 },
    quorum: 5,
  }
  assert.equal(repetitionOf({ ...ordinary, history: caught }).workers.includes('bob'), false)
  const all = pastOf([{ contested: 0, ballots: Object.fromEntries(PEERS.map((peer) => [peer, 1])) }])
  assert.equal(repetitionOf({ ...ordinary, history: all }).needed, 5)
})
