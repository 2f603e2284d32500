import assert from 'node:assert/strict'
import { blobId, names, SLOT } from './voting.ts'
import { assertAgreed, assertSafe, countRounds, heightOfAll, possibleTruths } from './voting-checks.ts'
import { makeLiar } from './voting-liar.ts'
import { randomOf, type Weather, World } from './voting-world.ts'

const WINDOW_MS = 20_000
const ROUND_MS = 110_000
/** After everything is healed: time for what is locked to be voted on again, and for further rounds. */
export const HEALED_ROUNDS = 3
export const CALM: Weather = { loss: 0, doubling: 0, delayMaxMs: 100, clockErrorMs: 200 }
export const STORM: Weather = { loss: 0.25, doubling: 0.2, delayMaxMs: 3_000, clockErrorMs: 500 }
const FILES = { 'result.csv': 'what the experiment shows', 'control-1.csv': '42' }
/** Of these many members; most often of four, the fewest among which one may lie. */
const SIZES = [4, 4, 5, 4, 3, 4, 6, 4, 5, 7] as const

export interface Story {
  readonly seed: number
  readonly peers: number
  readonly liars?: number
  readonly rounds: number
  readonly weather: Weather
  /** Liars go on when everything is healed. */
  readonly stubborn?: boolean
  /** Honest members forget what they are bound by. */
  readonly unlocked?: boolean
  /** Chance that a second step has a round at about the same time. */
  readonly rivals?: number
  /** How far the ends of members' runs are apart, ms. */
  readonly spreadMs?: number
  /** What every honest run gives in the given round. */
  readonly contents?: (peer: number, round: number) => Record<string, string>
  readonly before?: (world: World) => void
}

/** When the given round's runs end. */
export function slotOf(round: number): number {
  return SLOT + round * ROUND_MS
}

/** The only thing that any honest member ever found in a file. */
export function honest(path: string): string | undefined {
  if (path in FILES) return blobId(FILES[path as keyof typeof FILES])
  return /^(?:collect|assess)-[0-9]+$/.test(path) ? blobId('x') : undefined
}

/** Runs scheduled rounds in that weather, then heals everything and runs some more. */
export async function simulate(story: Story): Promise<World> {
  const { seed, peers, liars = 0, rounds, weather, rivals = 0, spreadMs = 3_000, contents, before } = story
  const unlocked = story.unlocked === true
  const world = new World({ seed, peers: names(peers), liars, startMs: SLOT, weather, unlocked })
  for (const node of world.nodes) if (world.liars.has(node.peer)) makeLiar(node, randomOf(seed * 31 + 7))
  before?.(world)
  const { random } = world
  const ask = (step: string, round: number, atMs: number) => {
    world.nodes.forEach((node, i) => {
      const files = contents?.(i, round) ?? { ...FILES, [`${step}-${round}`]: 'x' }
      const ballot = world.commit(files, `${node.peer} ${step} ${round}`)
      world.at(atMs + random() * spreadMs, () => node.wish(step, Math.floor(atMs), WINDOW_MS, ballot))
    })
  }
  for (let round = 0; round < rounds + HEALED_ROUNDS; round += 1) {
    ask('collect', round, slotOf(round))
    if (random() < rivals && round < rounds) ask('assess', round, slotOf(round) + random() * 90_000)
  }
  await world.runUntil(slotOf(rounds) - 1)
  world.heal()
  world.weather = CALM
  world.silenced = story.stubborn !== true
  for (const node of world.nodes) await node.restart()
  await world.runUntil(slotOf(rounds + HEALED_ROUNDS) + 30_000)
  return world
}

/** Everything at once, in another mixture for each seed. */
export function mixture(seed: number): Story {
  const random = randomOf(seed * 7_919)
  const peers = SIZES[seed % SIZES.length] as number
  return {
    seed,
    peers,
    // Fewer than a third.
    liars: random() < 0.85 ? Math.ceil(peers / 3) - 1 : 0,
    rounds: 15,
    weather: {
      ...(random() < 0.4 ? CALM : STORM),
      cuts: random() < 0.7 ? 0.03 : 0,
      crashes: random() < 0.7 ? 0.03 : 0,
    },
    stubborn: random() < 0.3,
    rivals: random() < 0.6 ? 0.5 : 0,
  }
}

export interface Sum {
  rounds: number
  decided: number
  signatures: number
  cuts: number
  crashes: number
  /** Results that were voted on again. */
  renewed: number
}

/** One world of the mixture, and what must hold in it. */
export async function live(seed: number): Promise<Sum> {
  const story = mixture(seed)
  let before = 0
  const note = (world: World) => {
    before = Math.max(...world.honest.map((node) => node.certified()?.height ?? 0))
  }
  const world = await simulate({ ...story, before: (w) => w.at(slotOf(story.rounds) - 2, () => note(w)) })
  assertSafe(world, honest)
  // With two thirds honest and connected it goes on, whatever was left behind.
  if (story.stubborn !== true) {
    assertAgreed(world)
    assert.ok(heightOfAll(world) > before, `height ${before} was the end of it`)
  }
  const renewed = new Set(
    world.signed
      .filter(({ kind, view, peer }) => kind === 'vote' && view % 60_000 === 0 && !world.liars.has(peer))
      .map(({ round, view }) => `${round} ${view}`),
  )
  return {
    rounds: countRounds(world),
    decided: heightOfAll(world),
    signatures: world.signed.length,
    cuts: world.cuts,
    crashes: world.crashes,
    renewed: renewed.size,
  }
}

/** Whether a height can be certified twice when members forget their locks. */
export async function forks(seed: number): Promise<boolean> {
  const world = await simulate({ ...mixture(seed), unlocked: true })
  return [...possibleTruths(world, 'confirmation').values()].some((results) => results.size > 1)
}
