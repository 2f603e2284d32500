/** What happens in a simulated federation: who writes what and when, who is away, cut off or restarted. */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/base/limits.ts'
import { type Pace, RegistryWorld, type Rules, type Weather } from './registry-world.ts'
import { assertSound } from './registry-world-checks.ts'
import { makeLiar } from './registry-world-liar.ts'
import { DISK_MAX_MS, PROVEN, ROLES, type WorldNode } from './registry-world-node.ts'
import { pull } from './registry-world-pull.ts'
import { randomOf } from './voting-world.ts'

export interface Story {
  readonly seed: number
  readonly nodes: number
  readonly weather: Weather
  readonly pace: Pace
  readonly writes: number
  readonly liars?: number
  readonly partitions?: number
  readonly crashes?: number
  /** How long a node is away, at most, each time. */
  readonly awayMaxMs?: number
  /** Whether operators remove members and admit them again. */
  readonly churn?: boolean
  /** Records that one node writes at once while nobody hears it. */
  readonly bulk?: number
  /** Members that claim one name beside the nodes. */
  readonly crowd?: number
  readonly rules?: Rules
}

export const STORM: Weather = { loss: 0.3, doubling: 0.2, delayMaxMs: 3_000, cut: 0.05 }
export const MINUTES: Pace = {
  lengthMs: 5 * MINUTE_MS,
  catchUpMs: 30 * SECOND_MS,
  sweepMs: 5 * SECOND_MS,
  clockErrorMs: 30 * SECOND_MS,
}

/** Clocks that are further apart than a record's time may be ahead. */
export const SKEWED: Pace = {
  lengthMs: 2 * HOUR_MS,
  catchUpMs: 12 * MINUTE_MS,
  sweepMs: 5 * MINUTE_MS,
  clockErrorMs: HOUR_MS,
}
/** Long enough for deletions to be forgotten; clocks as wrong as a tombstone's grace allows. */
export const WEEKS: Pace = {
  lengthMs: 55 * DAY_MS,
  catchUpMs: 36 * HOUR_MS,
  sweepMs: 6 * HOUR_MS,
  clockErrorMs: 8 * HOUR_MS,
}

const NAMES = ['ann', 'ben', 'cat', 'dan', 'eve', 'fay', 'gus']
const NAMED = ['/tools/a', '/tools/b', '/dataset/d', '/schedules/s']

/** Tells a story from its seed to its end, and asserts that the registries are sound. */
export async function simulate(story: Story): Promise<RegistryWorld> {
  const { seed, rules } = story
  // Who is the founder decides ties of authors, so it is not always the first in the alphabet.
  const random = randomOf(seed ^ 0x5eed)
  const names = NAMES.map((name) => [random(), name] as const).sort(([a], [b]) => a - b)
  const world = new RegistryWorld({
    seed,
    names: names.slice(0, story.nodes).map(([, name]) => name),
    weather: story.weather,
    pace: story.pace,
    ...(rules === undefined ? {} : { rules }),
  })
  const [founder, second, ...others] = world.nodes as [WorldNode, WorldNode, ...WorldNode[]]
  if (story.bulk !== undefined) bulk(world, world.one(world.nodes), story.bulk)
  admit(world, founder, second, 'operator')
  for (const node of others) admit(world, world.one([founder, second]), node, 'member')
  const keys = [...NAMED, '/shared/s/one']
  for (const liar of others.slice(others.length - (story.liars ?? 0))) {
    makeLiar(world, liar, { keys, ancient: story.pace.lengthMs < DAY_MS })
    for (let deed = 0; deed < story.writes / 2; deed += 1) world.at(someTime(world), () => liar.lies?.act())
  }
  const writes = Array.from({ length: story.writes }, () => ({
    atMs: someTime(world),
    node: world.one(world.nodes),
  }))
  for (const { atMs, node } of writes) world.at(atMs, () => act(world, node, story))
  if (story.crowd !== undefined) crowd(world, founder, story.crowd)
  for (const node of world.nodes) upkeep(world, node)
  for (let cut = 0; cut < (story.partitions ?? 0); cut += 1) partition(world)
  for (let crash = 0; crash < (story.crashes ?? 0); crash += 1) {
    // Half of the crashes come while a write is on its way to the disk.
    const { atMs, node } = world.one(writes)
    const whenMs = world.chance(0.5) ? atMs + world.random() * DISK_MAX_MS : someTime(world)
    away(world, node, whenMs, story.awayMaxMs ?? 30 * SECOND_MS)
  }
  await world.runUntil(world.startMs + world.pace.lengthMs)
  await world.settle()
  await assertSound(world)
  return world
}

function someTime(world: RegistryWorld): number {
  return world.startMs + (0.05 + 0.95 * world.random()) * world.pace.lengthMs
}

/** An operator that has not heard yet that it is one tries again. */
function admit(world: RegistryWorld, by: WorldNode, node: WorldNode, role: 'operator' | 'member'): void {
  const key = `/members/${node.name}`
  const attempt = () => {
    if (by.state.claims(key)[0]?.value) return
    if (by.up && by.role(by.name) === 'operator') write(by, key, world.value(ROLES[role]))
    if (world.now < world.startMs + world.pace.lengthMs)
      world.at(world.now + world.pace.lengthMs / 100, attempt)
  }
  world.at(world.now + world.random() * 1_000, attempt)
}

function upkeep(world: RegistryWorld, node: WorldNode): void {
  const { catchUpMs, sweepMs } = world.pace
  const others = world.nodes.filter((other) => other !== node)
  world.every(catchUpMs, () => pull(world, node, world.one(others)))
  world.every(sweepMs, () => node.sweep())
  if (world.chance(0.3)) world.every(world.pace.lengthMs / 3, () => node.compact())
}

/** One thing that an honest member does. */
function act(world: RegistryWorld, node: WorldNode, { churn = false, pace }: Story): void {
  if (!node.up) return
  const roll = world.random()
  const operator = node.role(node.name) === 'operator'
  const life = Math.ceil(pace.lengthMs * world.random() * 0.3)
  const named = world.one(NAMED)
  if (churn && operator && roll < 0.15) changeMembers(world, node)
  else if (roll < 0.4) write(node, named, world.value())
  else if (roll < 0.55) write(node, named, null)
  else if (roll < 0.65) write(node, `/heads/d/${node.name}`, world.chance(0.2) ? null : world.value())
  else if (roll < 0.72) write(node, `/presence/${node.name}`, world.value(), life)
  else if (roll < 0.77) write(node, `/raw/r/${world.one(['x', 'y'])}`, world.value(), MINUTE_MS)
  else if (roll < 0.85) write(node, '/truth/d', world.value(PROVEN))
  else if (roll < 0.92) write(node, '/shared/s/one', world.chance(0.3) ? null : world.value(), life)
  else if (roll < 0.97) node.writeLocal('/local/x', world.value()).catch((error) => world.fail(error))
  else write(node, '/shared/s/two', world.value())
}

function changeMembers(world: RegistryWorld, node: WorldNode): void {
  const members = world.nodes.filter((other) => node.role(other.name) !== 'operator')
  if (members.length === 0) return
  const key = `/members/${world.one(members).name}`
  const present = node.state.claims(key)[0]?.value
  write(node, key, present ? null : world.value(ROLES.member))
}

/** Whoever may not write is told so; nothing was promised then. */
function write(node: WorldNode, key: string, value: Uint8Array | null, lifeMs?: number): void {
  node.write(key, value, lifeMs).catch(() => undefined)
}

function partition(world: RegistryWorld): void {
  const atMs = someTime(world)
  const side = world.nodes.filter(() => world.chance(0.5)).map(({ name }) => name)
  const other = world.nodes.map(({ name }) => name).filter((name) => !side.includes(name))
  world.at(atMs, () => world.part([side, other]))
  world.at(atMs + world.random() * world.pace.lengthMs * 0.3, () => world.heal())
}

function away(world: RegistryWorld, node: WorldNode, atMs: number, maxMs: number): void {
  world.at(atMs, () => {
    if (!node.up) return
    node.crash()
    world.at(world.now + world.random() * maxMs, () => {
      if (!node.up) node.start()
    })
  })
}

function bulk(world: RegistryWorld, node: WorldNode, count: number): void {
  world.at(someTime(world), () => {
    for (let n = 0; n < count; n += 1) write(node, `/shared/bulk/${n}`, world.value())
  })
}

/** Many members claim one name; they have no nodes of their own here. */
function crowd(world: RegistryWorld, operator: WorldNode, count: number): void {
  for (let n = 0; n < count; n += 1) {
    const author = `m${String(n).padStart(2, '0')}`
    world.at(world.now + 1, () => write(operator, `/members/${author}`, world.value(ROLES.member)))
    world.at(someTime(world), () => {
      const time = world.now
      const claim = { key: '/tools/crowded', author, value: world.value(), time, since: time, version: 1 }
      world.gossip(operator, world.seal(claim).envelope)
    })
  }
}
