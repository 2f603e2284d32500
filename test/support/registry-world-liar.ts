/**
 * A member that knows the protocol and breaks it: it forges, gives one version two values, writes at the end of the scale
 * and in the future, replays what is old, writes keys that are not its own, and answers catch-ups with lies.
 */
import { DAY_MS, versionCountedMax, versionFollowedMax, versionMax } from '../../src/base/limits.ts'
import type { Fetched, RangeAnswer } from '../../src/registry/ranges.ts'
import { placeOf, type RegistryRecord } from '../../src/registry/record.ts'
import type { RegistryWorld } from './registry-world.ts'
import { PROVEN, ROLES, type WorldNode } from './registry-world-node.ts'
import type { Server } from './registry-world-pull.ts'

export interface Lies {
  /** Does one thing that an honest member would not. */
  act(): void
  /** What it says to a catch-up in place of what is so. */
  serve(honest: Server): Server
}

/** Nobody has admitted this one. */
export const STRANGER = 'sybil'

/** @param ancient whether it may replay what everybody has forgotten: nothing protects a registry from that. */
export function makeLiar(
  world: RegistryWorld,
  node: WorldNode,
  p: { keys: readonly string[]; ancient: boolean },
): void {
  const { name } = node
  const some = () => world.nodes.filter(() => world.chance(0.5))
  const tell = (fields: Partial<RegistryRecord> & { key: string }, signer = name, to = world.nodes): void => {
    const time = fields.time ?? node.clockMs
    const record = { author: name, value: world.value(), version: 1, time, since: time, ...fields }
    world.gossip(node, world.seal(record, signer).envelope, to)
  }
  const key = () => world.one(p.keys)
  const victim = () => world.one(world.honest).name
  const next = (of: string) => Math.max(0, ...node.state.claims(of).map(({ version }) => version)) + 1

  const forge = () => {
    const [author, of] = [victim(), key()]
    tell({ key: of, author, version: next(of) + 1, value: world.chance(0.3) ? null : world.value() })
  }
  const equivocate = () => {
    const of = key()
    const version = next(of)
    const values = world.chance(0.3) ? [null, world.value(), world.value()] : [world.value(), world.value()]
    for (const value of values) tell({ key: of, version, value }, name, some())
  }
  const endOfScale = () => {
    const version = world.one([
      versionFollowedMax,
      versionFollowedMax + 1,
      versionCountedMax,
      versionCountedMax + 1,
      versionMax,
    ])
    tell({ key: key(), version, value: world.chance(0.3) ? null : world.value() })
  }
  const ahead = () => {
    const time = node.clockMs + world.one([DAY_MS / 2, 1_000 * DAY_MS])
    tell({ key: key(), time, version: 3 })
  }
  const dateBack = () => tell({ key: key(), version: next(key()), time: 1, since: 1 })
  const old = () => {
    const fresh = (envelope: Uint8Array) =>
      world.now - (world.sealed.get(envelope)?.record.time ?? 0) < DAY_MS
    return world.one(p.ancient ? world.heard : world.heard.filter(fresh))
  }
  const replay = () => {
    const envelope = old()
    if (envelope !== undefined) world.gossip(node, envelope, some())
  }
  const trespass = () => {
    const time = node.clockMs
    tell({ key: `/heads/d/${victim()}` })
    tell({ key: `/members/${name}`, value: world.value(ROLES.operator), version: 9 })
    tell({ key: `/members/${victim()}`, value: null, version: 9 })
    tell({ key: '/nowhere/x' })
    tell({ key: '/raw/r/long', time, expires: time + DAY_MS })
    tell({ key: '/truth/d', value: world.value(PROVEN + 1), version: 9 })
    tell({ key: '/truth/d', value: null, version: 10 })
  }
  const elsewhere = () => tell({ key: key(), federation: 'maoelsewhere', version: 5 })
  const stranger = () => tell({ key: key(), author: STRANGER, version: 5 }, STRANGER)
  const deeds = [
    ...[forge, equivocate, equivocate, endOfScale, ahead, dateBack],
    ...[replay, replay, trespass, elsewhere, stranger],
  ]
  node.lies = { act: () => world.one(deeds)(), serve: (honest) => dishonest(world, honest, old) }
}

function dishonest(world: RegistryWorld, honest: Server, old: () => Uint8Array | undefined): Server {
  return {
    compare: (question) => honest.compare(question).map((answer) => twisted(world, answer)),
    fetch: (question) => replaced(world, honest.fetch(question), old),
  }
}

/** Withholds, lists what there is not, or cuts a range as no honest side does. */
function twisted(world: RegistryWorld, answer: RangeAnswer): RangeAnswer {
  if (world.chance(0.4)) return answer
  if (answer.kind === 'same' || world.chance(0.3)) return { kind: 'same' }
  const digest = 'ab'.repeat(32)
  if (answer.kind === 'list') {
    const kept = answer.held.filter(() => world.chance(0.7))
    const raised = kept.map((held) => ({ ...held, version: held.version + (world.chance(0.3) ? 1 : 0) }))
    const place = placeOf({ key: '/tools/none', author: STRANGER })
    const invented = { place, version: 1, hash: digest }
    const held = world.chance(0.5) ? [...raised, invented] : raised
    if (world.chance(0.8)) held.sort((a, b) => (a.place < b.place ? -1 : 1))
    return { kind: 'list', digest, held }
  }
  const parts = answer.parts.map((part) => ({ ...part, count: part.count + 3, digest }))
  return { kind: 'split', digest, parts: world.chance(0.5) ? parts : parts.slice(1) }
}

/** Holds back, sends what nobody asked for, or does not move on. */
function replaced(world: RegistryWorld, fetched: Fetched, old: () => Uint8Array | undefined): Fetched {
  if (world.chance(0.4)) return fetched
  const foreign = Array.from({ length: 5 }, old).filter((envelope) => envelope !== undefined)
  const envelopes = world.chance(0.5) ? [...fetched.envelopes, ...foreign] : foreign
  if (world.chance(0.2)) return { envelopes, next: { range: 0, from: '' } }
  return { envelopes: world.chance(0.2) ? [] : envelopes, next: null }
}
