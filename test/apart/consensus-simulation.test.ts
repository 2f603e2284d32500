import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertAgreed, assertSafe } from '../support/voting-checks.ts'
import { CALM, HEALED_ROUNDS, honest, STORM, simulate, slotOf } from '../support/voting-stories.ts'
import { firstFork, liveThrough } from '../support/voting-worker.ts'
import { DATASET } from '../support/voting-world.ts'

/** Some twenty rounds each. */
const WORLDS = 510
const ROUNDS_LEAST = 10_000
/** Of worlds where nobody keeps to its locks: in some of these a height can be certified twice. */
const UNLOCKED_WORLDS = 60

async function eachSeed(count: number, tell: (seed: number) => Promise<void>): Promise<void> {
  const first = Number(process.env.SEED ?? 1)
  for (let seed = first; seed < first + (process.env.SEED === undefined ? count : 1); seed += 1) {
    try {
      await tell(seed)
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`seed ${seed}: ${message} (again: SEED=${seed})`, { cause })
    }
  }
}

test('ten thousand rounds among liars, cuts, crashes and storms: no height can be certified twice, and all go on in the end', async (t) => {
  const sum = await liveThrough(WORLDS)
  t.diagnostic(JSON.stringify(sum))
  if (process.env.SEED !== undefined) return
  assert.ok(sum.rounds >= ROUNDS_LEAST, `only ${sum.rounds} rounds`)
  assert.ok(sum.decided > sum.rounds / 2, `only ${sum.decided} of ${sum.rounds} rounds decided`)
  assert.ok(sum.renewed > 100, `only ${sum.renewed} results were voted on again: the weather is too good`)
})

test('the same worlds without locks certify a height twice', async (t) => {
  const seed = await firstFork(UNLOCKED_WORLDS)
  assert.ok(seed !== undefined, 'the simulation would not notice')
  t.diagnostic(`seed ${seed}`)
})

test('in calm weather every round decides, whatever the size of the federation', async () => {
  await eachSeed(7, async (seed) => {
    // Runs end so close to each other that nobody takes the first in line for silent.
    const world = await simulate({ seed, peers: seed, rounds: 2, weather: CALM, spreadMs: 1_000 })
    assertSafe(world, honest)
    for (const node of world.nodes)
      assert.equal(node.certified()?.height, 2 + HEALED_ROUNDS, `${node.peer} of ${seed}`)
  })
})

test('a silent third stops no round, neither as opener nor as closer, and catches up when it is back', async () => {
  await eachSeed(8, async (seed) => {
    const peers = 4 + (seed % 4)
    const world = await simulate({
      ...{ seed, peers, rounds: 3, weather: CALM, spreadMs: 1_000 },
      before: ({ nodes, part }) => {
        const silent = nodes.slice(0, Math.ceil(peers / 3) - 1).map(({ peer }) => peer)
        part([
          nodes.map(({ peer }) => peer).filter((peer) => !silent.includes(peer)),
          ...silent.map((peer) => [peer]),
        ])
      },
    })
    assertSafe(world, honest)
    for (const node of world.nodes) assert.equal(node.certified()?.height, 3 + HEALED_ROUNDS)
  })
})

test('lost, doubled and reordered messages delay a round and seldom end it', async () => {
  let decided = 0
  await eachSeed(20, async (seed) => {
    const world = await simulate({ seed, peers: 3 + (seed % 5), rounds: 3, weather: STORM })
    assertSafe(world, honest)
    assertAgreed(world)
    decided += world.nodes[0]?.certified()?.height ?? 0
  })
  if (process.env.SEED === undefined) assert.ok(decided > 100, `only ${decided} of 120 rounds decided`)
})

test('when all results differ there is no consensus, and the truth stays where it was', async () => {
  await eachSeed(6, async (seed) => {
    const world = await simulate({
      ...{ seed, peers: 3 + (seed % 3), rounds: 2, weather: CALM, spreadMs: 1_000 },
      contents: (peer, round) => (round === 1 ? { 'result.csv': `${peer} is right` } : { 'result.csv': 'x' }),
    })
    for (const node of world.nodes) {
      const id = { dataset: DATASET, step: 'collect', slot: slotOf(1) }
      assert.equal(node.status(id)?.reason, 'no-majority')
      assert.equal(node.certified()?.height, 1 + HEALED_ROUNDS, 'the rounds before and after decided')
    }
  })
})

test('one of three has lost entries: the truth is what the two others found', async () => {
  await eachSeed(6, async (seed) => {
    const found = { 'result.csv': 'what the experiment shows', 'control-1.csv': '42' }
    const contents = (peer: number) => (peer === 2 ? { 'result.csv': 'entries lost' } : found)
    const world = await simulate({ seed, peers: 3, rounds: 2, weather: CALM, spreadMs: 1_000, contents })
    assertSafe(world, honest)
    assert.equal(world.nodes[2]?.certified()?.height, 2 + HEALED_ROUNDS)
  })
})
