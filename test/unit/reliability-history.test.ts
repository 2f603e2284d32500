import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reliabilityHistoryMax, resultMessageCharactersMax } from '../../src/base/limits-statistics.ts'
import { historyOf, parseResult, type ResultFacts } from '../../src/consensus/reliability/result-facts.ts'
import { resultCommit } from '../../src/consensus/result-commit.ts'
import { formatRoundId } from '../../src/consensus/round-id.ts'
import { METHOD_NAMES, type Method } from '../../src/datasets/truth-rule.ts'
import { reliabilityVectors } from '../support/reliability-vectors.ts'
import { seededRandom } from '../support/seeded-random.ts'

const vectors = await reliabilityVectors()

test('vector: what a result says, and nothing that is written otherwise', () => {
  const facts = parseResult(vectors.message.text)
  assert.ok(facts !== undefined)
  assert.deepEqual({ ...facts, round: formatRoundId(facts.round) }, vectors.message.facts)
  for (const { name, text } of vectors.refused) assert.equal(parseResult(text), undefined, name)
})

/** The message that voters write for these facts. */
function messageOf({ round, height, method, contested, ballots }: ResultFacts): string {
  return resultCommit({
    round,
    // Of a method only its name is written.
    opening: { method: { name: method } as Method, parent: null, height },
    counted: new Map(ballots.map(({ peer, commit, differs }) => [peer, { commit, departures: differs }])),
    tree: '0'.repeat(40),
    contested,
  }).message
}

function randomFacts(random: () => number, height = 1 + Math.floor(random() * 1e6)): ResultFacts {
  const below = (count: number) => Math.floor(random() * count)
  const peers = new Set(Array.from({ length: 1 + below(64) }, () => `peer${below(1_000)}`))
  return {
    round: { dataset: 'a.b-c', step: `step${below(3)}`, slot: below(2 ** 45) },
    height,
    method: METHOD_NAMES[below(METHOD_NAMES.length)] ?? 'identical',
    contested: below(3),
    ballots: [...peers].sort().map((peer) => {
      const differs = random() < 0.5 ? 0 : 1 + below(2 ** 40)
      const commit = Array.from({ length: 40 }, () => below(16).toString(16)).join('')
      return { peer, commit, agrees: differs === 0, differs }
    }),
  }
}

test('what voters write is read back, and of what is changed nothing but other results', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = seededRandom(seed)
    const facts = randomFacts(random)
    const message = messageOf(facts)
    assert.deepEqual(parseResult(message), facts, `seed ${seed}`)
    const at = Math.floor(random() * message.length)
    const letter = ' \n\r019azAZ:/'[Math.floor(random() * 11)]
    for (const changed of [
      message.slice(0, at) + letter + message.slice(at + 1),
      message.slice(0, at) + letter + message.slice(at),
      message.slice(0, at) + message.slice(at + 1),
      message.slice(0, at),
    ]) {
      const found = parseResult(changed)
      if (found !== undefined) assert.equal(messageOf(found), changed, `seed ${seed}, at ${at}`)
    }
  }
  assert.equal(parseResult(`${'x'.repeat(resultMessageCharactersMax)}\n`), undefined)
})

test('a history goes back to the founding and no further, nor into another dataset', () => {
  const random = seededRandom(21)
  const facts = (height: number) => randomFacts(random, height)
  const chain = [5, 4, 3, 2, 1].map(facts)
  const messages = chain.map(messageOf)
  const scope = { dataset: 'a.b-c', height: 5 }
  assert.deepEqual(historyOf(messages, scope), chain.toReversed())
  // Whoever founded the dataset may have written anything into what it was founded with.
  const forged = [...messages, messageOf(facts(1)), messageOf(facts(7))]
  assert.deepEqual(historyOf(forged, scope), chain.toReversed())
  assert.deepEqual(historyOf(['Initial commit\n'], { dataset: 'a.b-c', height: 0 }), [])
  assert.deepEqual(historyOf([messages[0] ?? '', ...messages.slice(2)], scope), chain.slice(0, 1))
  assert.deepEqual(historyOf(messages, { ...scope, dataset: 'other' }), [])
  const step = chain[0]?.round.step as string
  assert.deepEqual(
    historyOf(messages, { ...scope, step }),
    chain.filter((one) => one.round.step === step).toReversed(),
  )
})

test('of a long history the newest results are read', () => {
  const one = randomFacts(seededRandom(22))
  let read = 0
  function* messages() {
    for (let height = 3_000; height > 0; height -= 1) {
      read += 1
      yield messageOf({ ...one, height })
    }
  }
  const history = historyOf(messages(), { dataset: 'a.b-c', height: 3_000 })
  assert.deepEqual(
    [history.length, history[0]?.height],
    [reliabilityHistoryMax, 3_001 - reliabilityHistoryMax],
  )
  assert.ok(read <= reliabilityHistoryMax + 1)
})
