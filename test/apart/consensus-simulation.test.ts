import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isQuorum } from '../../src/consensus/quorum.ts'
import { names, SLOT, treeId } from '../support/voting.ts'
import { makeLiar } from '../support/voting-liar.ts'
import { DATASET, randomOf, type VotingNode, type Weather, World } from '../support/voting-world.ts'

const WINDOW_MS = 20_000
const ROUND_MS = 120_000
const ROUNDS = 3
const CALM: Weather = { loss: 0, doubling: 0, delayMaxMs: 100, clockErrorMs: 200 }
const STORM: Weather = { loss: 0.3, doubling: 0.2, delayMaxMs: 3_000, clockErrorMs: 500 }
const FILES = { 'result.csv': 'what the experiment shows', 'control-1.csv': '42' }

interface Story {
  seed: number
  peers: number
  weather: Weather
  /** What every honest run gives in the given round. */
  contents?: (peer: number, round: number) => Record<string, string>
  before?: (world: World) => void
}

/** Runs three scheduled rounds, then heals everything and lets the members catch up. */
async function simulate({ seed, peers, weather, contents, before }: Story): Promise<World> {
  const world = new World({ seed, peers: names(peers), startMs: SLOT, weather })
  before?.(world)
  for (let round = 0; round < ROUNDS; round += 1) {
    const slot = SLOT + round * ROUND_MS
    world.nodes.forEach((node, i) => {
      const files = contents?.(i, round) ?? { ...FILES, [`round-${round}`]: 'x' }
      const ballot = world.commit(files, `${node.peer} ${round}`)
      world.at(slot + world.random() * 3_000, () => node.wish('collect', slot, WINDOW_MS, ballot))
    })
  }
  world.at(SLOT + ROUNDS * ROUND_MS, () => world.heal())
  await world.runUntil(SLOT + ROUNDS * ROUND_MS + 30_000)
  return world
}

/** What must hold whatever happened: one result a round, one truth, never backwards, and nobody's lie in it. */
function assertSafe(world: World, honest: readonly VotingNode[], allowed: ReadonlySet<string>): void {
  const results = new Map<string, Set<string>>()
  const signers = new Map<string, Set<string>>()
  for (const { round, closing, commit, peer } of world.signed) {
    if (commit === null) continue
    const name = `${round} ${closing} ${commit}`
    const by = signers.get(name) ?? new Set()
    signers.set(name, by.add(peer))
    if (!isQuorum(by.size, world.members.length)) continue
    results.set(round, (results.get(round) ?? new Set()).add(commit))
    assert.ok(allowed.has(treeId(world.commits.get(commit) ?? [])), `round ${round} certified a lie`)
  }
  for (const [round, commits] of results) assert.equal(commits.size, 1, `round ${round} has two results`)
  for (const { peer, truths } of honest) {
    for (const [i, { height, slot }] of truths.entries()) {
      const last = truths[i - 1]
      const forward =
        last === undefined || height > last.height || (height === last.height && slot > last.slot)
      assert.ok(forward, `the truth of ${peer} went from ${last?.height} to ${height}`)
    }
  }
  const held = new Set(honest.map((node) => JSON.stringify(node.certified())))
  assert.equal(held.size, 1, 'honest members hold different truths')
}

function treesOf(contents: (round: number) => Record<string, string>): Set<string> {
  const merged: Record<string, string> = {}
  const trees = new Set<string>()
  const world = new World({ seed: 0, peers: [], startMs: 0, weather: CALM })
  // Rounds may fail, so a truth may have gone through any of the rounds before it.
  for (let mask = 1; mask < 1 << ROUNDS; mask += 1) {
    for (const key of Object.keys(merged)) delete merged[key]
    for (let round = 0; round < ROUNDS; round += 1)
      if (mask & (1 << round)) Object.assign(merged, contents(round))
    trees.add(world.commit(merged, '').tree)
  }
  return trees
}

const honestTrees = treesOf((round) => ({ ...FILES, [`round-${round}`]: 'x' }))

async function eachSeed(count: number, tell: (seed: number) => Promise<void>): Promise<void> {
  const first = Number(process.env.SEED ?? 1)
  for (let seed = first; seed < first + (process.env.SEED === undefined ? count : 1); seed += 1) {
    try {
      await tell(seed)
    } catch (cause) {
      throw new Error(
        `seed ${seed}: ${cause instanceof Error ? cause.message : cause} (again: SEED=${seed})`,
        { cause },
      )
    }
  }
}

function decidedRounds(node: VotingNode): number {
  return [...node.rounds.values()].filter((id) => node.status(id)?.state === 'decided').length
}

test('in calm weather every round decides, whatever the size of the federation', async () => {
  await eachSeed(7, async (seed) => {
    const world = await simulate({ seed, peers: seed, weather: CALM })
    assertSafe(world, world.nodes, honestTrees)
    for (const node of world.nodes) assert.equal(node.certified()?.height, ROUNDS, `${node.peer} of ${seed}`)
  })
})

test('lost, doubled and reordered messages delay a round and never split it', async () => {
  let decided = 0
  await eachSeed(60, async (seed) => {
    const world = await simulate({ seed, peers: 3 + (seed % 5), weather: STORM })
    assertSafe(world, world.nodes, honestTrees)
    decided += world.nodes[0]?.certified()?.height ?? 0
  })
  if (process.env.SEED === undefined) assert.ok(decided > 140, `only ${decided} of 180 rounds decided`)
})

test('a silent third stops no round, neither as opener nor as closer', async () => {
  await eachSeed(25, async (seed) => {
    const world = await simulate({
      seed,
      peers: 4 + (seed % 4),
      weather: CALM,
      before: (w) => {
        const silent = Math.ceil(w.nodes.length / 3) - 1
        for (const node of w.nodes.slice(0, silent)) w.part([[node.peer], []])
        const apart = w.nodes.slice(0, silent).map((node) => [node.peer])
        w.part([w.nodes.slice(silent).map(({ peer }) => peer), ...apart])
      },
    })
    assertSafe(world, world.nodes, honestTrees)
    for (const node of world.nodes)
      assert.equal(node.certified()?.height, ROUNDS, 'who was away caught up, too')
  })
})

test('partitions at any moment of a round leave one truth after they heal', async () => {
  await eachSeed(60, async (seed) => {
    const random = randomOf(seed)
    const world = await simulate({
      seed,
      peers: 3 + (seed % 5),
      weather: STORM,
      before: (w) => {
        for (let cut = 0; cut < 4; cut += 1) {
          const atMs = SLOT + random() * ROUNDS * ROUND_MS
          const side = w.nodes.filter(() => random() < 0.5).map(({ peer }) => peer)
          const other = w.nodes.map(({ peer }) => peer).filter((peer) => !side.includes(peer))
          w.at(atMs, () => w.part([side, other]))
          w.at(atMs + random() * 40_000, () => w.heal())
        }
      },
    })
    assertSafe(world, world.nodes, honestTrees)
  })
})

test('a third of the members lying in every way they can never makes two truths, nor a false one', async () => {
  let decided = 0
  await eachSeed(120, async (seed) => {
    const peers = 3 + (seed % 5)
    const liars = Math.floor(peers / 3)
    const world = await simulate({
      seed,
      peers,
      weather: seed % 2 === 0 ? CALM : STORM,
      before: (w) => {
        for (const node of w.nodes.slice(0, liars)) makeLiar(node, randomOf(seed * 31 + 7))
      },
    })
    const honest = world.nodes.slice(liars)
    assertSafe(world, honest, honestTrees)
    decided += honest[0] === undefined ? 0 : decidedRounds(honest[0])
  })
  if (process.env.SEED === undefined) assert.ok(decided > 100, `only ${decided} rounds decided among liars`)
})

test('when all results differ there is no consensus, and the truth stays where it was', async () => {
  await eachSeed(10, async (seed) => {
    const world = await simulate({
      seed,
      peers: 3 + (seed % 3),
      weather: CALM,
      contents: (peer, round) =>
        round === 1 ? { 'result.csv': `${peer} is right` } : { ...FILES, [`round-${round}`]: 'x' },
    })
    for (const node of world.nodes) {
      const id = { dataset: DATASET, step: 'collect', slot: SLOT + ROUND_MS }
      assert.equal(node.status(id)?.reason, 'no-majority')
      assert.equal(node.certified()?.height, 2, 'the rounds before and after decided')
    }
  })
})

test('one of three has lost entries: the truth is what the two others found', async () => {
  await eachSeed(10, async (seed) => {
    const contents = (peer: number, round: number) =>
      peer === 2 ? { 'result.csv': 'entries lost' } : { ...FILES, [`round-${round}`]: 'x' }
    const world = await simulate({ seed, peers: 3, weather: CALM, contents })
    assertSafe(world, world.nodes, honestTrees)
    assert.equal(world.nodes[2]?.certified()?.height, ROUNDS)
  })
})
