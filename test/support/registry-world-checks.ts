/** What must hold of the honest nodes of a simulated federation once everything is mended. */
import assert from 'node:assert/strict'
import { claimsPerKeyMax, clockSkewMaxMs, tombstoneLifeMs } from '../../src/base/limits.ts'
import { EVERY_KEY } from '../../src/registry/key-range.ts'
import { shownOf, weightOf } from '../../src/registry/merge.ts'
import { compare } from '../../src/registry/order.ts'
import { EVERYTHING } from '../../src/registry/ranges.ts'
import { placeOf, type SealedRecord } from '../../src/registry/record.ts'
import { RecordIndex } from '../../src/registry/record-index.ts'
import type { RegistryWorld } from './registry-world.ts'
import { STRANGER } from './registry-world-liar.ts'
import type { WorldNode } from './registry-world-node.ts'

export async function assertSound(world: RegistryWorld): Promise<void> {
  assertAgreed(world)
  for (const node of world.honest) {
    assertGenuine(world, node)
    assertBounded(node)
    assertHistory(node)
  }
  assertKept(world)
  await assertRestarts(world, world.one(world.honest))
}

/** Who is no member any more: what it wrote while it was removed may have reached some and not others (§6). */
function outcasts(world: RegistryWorld): ReadonlySet<string> {
  const [first] = world.honest as [WorldNode]
  return new Set(world.nodes.map(({ name }) => name).filter((name) => first.role(name) === undefined))
}

interface Seen {
  readonly node: WorldNode
  readonly digest: string
  readonly records: readonly SealedRecord[]
  /** Keys to which somebody has a claim who is no member any more. */
  readonly mixed: ReadonlySet<string>
}

/** One digest, and of every key the same claims in the same order: so the same is shown, and the same contested. */
function assertAgreed(world: RegistryWorld): void {
  const out = outcasts(world)
  const seen = world.honest.map((node): Seen => {
    const index = new RecordIndex()
    const mixed = new Set<string>()
    for (const record of node.state.index.within(EVERYTHING)) {
      if (out.has(record.author)) mixed.add(record.key)
      else index.set(record)
    }
    const whole = out.size === 0 ? node.state.index : index
    return { node, digest: whole.digest(EVERYTHING), records: whole.within(EVERYTHING), mixed }
  })
  const [first, ...others] = seen as [Seen, ...Seen[]]
  for (const other of others) {
    const names = `${first.node.name} and ${other.node.name}`
    if (other.digest !== first.digest) {
      const told = `${describe(first.records, other.records)} against ${describe(other.records, first.records)}`
      assert.fail(`${names} hold different registries: ${told}`)
    }
    for (const key of first.node.state.keys()) {
      if (seen.some(({ mixed }) => mixed.has(key))) continue
      const [ours, theirs] = [first, other].map(({ node }) => node.state.claims(key).map(nameOf).join(', '))
      assert.equal(ours, theirs, `${names} arrange the claims to ${key} differently`)
      const [one, two] = [first, other].map(({ node }) => node.history.get(key)?.value)
      assert.deepEqual(one, two, `${names} show different values for ${key}`)
    }
  }
}

/** Nothing that its author did not seal has ever been there, nor what no member may write. */
function assertGenuine(world: RegistryWorld, node: WorldNode): void {
  const genuine = new Set<SealedRecord>()
  const values = new Set<string>()
  for (const { record, signer } of world.sealed.values()) {
    if (signer !== record.author || record.author === STRANGER) continue
    genuine.add(record)
    if (record.value !== null) values.add(`${record.key} ${Buffer.from(record.value).toString('hex')}`)
  }
  const liars = new Set(world.nodes.filter(({ lies }) => lies).map(({ name }) => name))
  for (const record of node.rows.records.values()) {
    assert(genuine.has(record), `${node.name} holds what ${record.author} never wrote: ${nameOf(record)}`)
    if (/^\/(?:heads|presence)\//.test(record.key)) {
      assert(record.key.endsWith(`/${record.author}`), `${record.author} wrote ${record.key}`)
    }
    if (liars.has(record.author)) assert(!record.key.startsWith('/members/'), `a liar wrote ${record.key}`)
  }
  for (const proof of node.rows.evidence.values()) {
    assert(genuine.has(proof), `${node.name} has a proof against ${proof.author} that is forged`)
    const proven = liars.has(proof.author) || beganAnew(world, proof)
    assert(proven, `${node.name} has a proof against ${proof.author}, who is honest: ${nameOf(proof)}`)
  }
  for (const { type, kv } of node.history.events(node.history.compacted, Number.MAX_SAFE_INTEGER)) {
    if (type === 'delete' || kv.key.startsWith('/local/')) continue
    const value = `${kv.key} ${Buffer.from(kv.value).toString('hex')}`
    assert(values.has(value), `${node.name} showed a value of ${kv.key} that nobody wrote`)
  }
}

function assertBounded(node: WorldNode): void {
  const { state } = node
  const weights = new Map<string, number>()
  let count = 0
  for (const key of state.keys()) {
    const claims = state.claims(key)
    assert(claims.length <= claimsPerKeyMax, `${node.name} keeps ${claims.length} claims to ${key}`)
    assert.equal(new Set(claims.map(({ author }) => author)).size, claims.length, `two records of one place`)
    for (const claim of claims) {
      assert.equal(state.index.get(placeOf(claim)), claim, `${node.name} has not indexed ${nameOf(claim)}`)
      weights.set(claim.author, (weights.get(claim.author) ?? 0) + weightOf(claim))
      count += 1
    }
  }
  assert.equal(state.index.size, count, `${node.name} indexes what it does not hold`)
  for (const [author, weight] of weights)
    assert.equal(state.bytesOf(author), weight, `the share of ${author}`)
}

/** The history shows what the claims show, its revisions ascend, and its changes add up to what is there. */
function assertHistory({ name, state, history }: WorldNode): void {
  const shown = new Map<string, string>()
  for (const key of state.keys()) {
    const first = shownOf(state.claims(key))
    if (first?.value) shown.set(key, Buffer.from(first.value).toString('hex'))
  }
  const present = new Map<string, string>()
  for (const { key, value } of history.range(EVERY_KEY)) {
    if (!key.startsWith('/local/')) present.set(key, Buffer.from(value).toString('hex'))
  }
  assert.deepEqual(
    sorted(present),
    sorted(shown),
    `the history of ${name} shows something else than its claims`,
  )
  const { compacted } = history
  const replayed = new Map(
    compacted === 0 ? [] : history.range(EVERY_KEY, compacted).map((kv) => [kv.key, kv] as const),
  )
  let last = [0, 0] as [number, number]
  for (const { type, kv, previous } of history.events(compacted, Number.MAX_SAFE_INTEGER)) {
    const ascends = kv.modified > last[0] || (kv.modified === last[0] && kv.sub > last[1])
    assert(ascends, `${name}: revision ${kv.modified}.${kv.sub} after ${last.join('.')}`)
    last = [kv.modified, kv.sub]
    if (kv.modified <= compacted) continue
    assert.equal(previous, replayed.get(kv.key), `${name}: the value before revision ${kv.modified}`)
    if (type === 'delete') replayed.delete(kv.key)
    else replayed.set(kv.key, kv)
  }
  assert(last[0] <= history.revision, `${name} counts backwards`)
  assert.deepEqual(sorted(replayed), sorted(new Map(history.range(EVERY_KEY).map((kv) => [kv.key, kv]))))
}

/** A write that was answered is there, or one that orders after it, or a rule took it away. */
function assertKept(world: RegistryWorld): void {
  const [node] = world.honest as [WorldNode]
  const { state } = node
  const out = outcasts(world)
  const all = [...world.sealed.values()].map(({ record }) => record)
  const writes = world.acknowledged.filter(({ record }) => {
    return !out.has(record.author) && world.node(record.author).lies === undefined
  })
  for (const { record, covered } of writes) {
    const held = state.index.get(placeOf(record))
    if (held === undefined || compare(held, record) < 0) {
      const excused = isOver(world, record) || all.some((other) => takesAway(world, node, other, record))
      const crowded = state.claims(record.key).length >= claimsPerKeyMax
      assert(excused || crowded, `${record.author} was told that ${nameOf(record)} is there, and it is lost`)
    }
    const later = all.some(
      (other) => other.author === record.author && other.key === record.key && compare(other, record) > 0,
    )
    const stands = record.key.startsWith('/members/') || covered.length === 0 || later
    const shown = shownOf(state.claims(record.key))
    if (!stands && shown !== undefined) {
      assert(!covered.includes(shown), `${nameOf(shown)} was deleted by ${nameOf(record)} and is shown`)
    }
  }
}

/**
 * Who has forgotten its record, and that it had one, counts from 1 again: a node with a slower clock sees two values.
 */
function beganAnew(world: RegistryWorld, { key, author }: SealedRecord): boolean {
  const remembers = world.node(author).restarts === 0 && 2 * world.pace.clockErrorMs < clockSkewMaxMs
  if (remembers) return false
  const lives = [...world.sealed.values()].filter(
    ({ record }) => record.key === key && record.author === author,
  )
  return lives.some(({ record }) => record.expires !== undefined || outlived(world, record))
}

function outlived({ now }: RegistryWorld, { time, value }: SealedRecord): boolean {
  return value === null && time + tombstoneLifeMs < now
}

function isOver({ now }: RegistryWorld, record: SealedRecord): boolean {
  return record.value === null || (record.expires !== undefined && record.expires <= now)
}

/** Whether `other` can have replaced or buried `record`, and be gone by now itself. */
function takesAway(
  world: RegistryWorld,
  node: WorldNode,
  other: SealedRecord,
  record: SealedRecord,
): boolean {
  if (other.key !== record.key || other === record) return false
  if (other.author === record.author) return compare(other, record) > 0 && isOver(world, other)
  if (other.value !== null || other.version < record.version) return false
  return node.role(other.author) === 'operator'
}

/** What the disk holds gives the same registry again. */
async function assertRestarts(world: RegistryWorld, node: WorldNode): Promise<void> {
  const { state, history } = node
  const before = { digest: state.index.digest(EVERYTHING), revision: history.revision, hash: history.hash() }
  const claims = new Map([...state.keys()].map((key) => [key, state.claims(key)[0]]))
  // What was dropped with a compaction tells nothing of the change at its own revision.
  const since = history.compacted + 1
  const changes = history.events(since, Number.MAX_SAFE_INTEGER).map(told)
  node.crash()
  node.start()
  await world.rest()
  const again = { digest: node.state.index.digest(EVERYTHING), revision: node.history.revision }
  assert.deepEqual({ ...again, hash: node.history.hash() }, before, `${node.name} is another after a restart`)
  assert.deepEqual(node.history.events(since, Number.MAX_SAFE_INTEGER).map(told), changes)
  for (const [key, first] of claims) {
    if (node.state.claims(key).length === 1) assert.equal(node.state.claims(key)[0], first)
    assert.deepEqual(node.history.get(key)?.value, first?.value ?? undefined, `${key} after a restart`)
  }
}

function told({
  type,
  kv,
  previous,
}: {
  type: string
  kv: { framed: Uint8Array }
  previous?: { framed: Uint8Array } | undefined
}): string {
  const [now, then] = [kv, previous].map((one) => Buffer.from(one?.framed ?? []).toString('hex'))
  return `${type} ${now} ${then}`
}

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1))
}

function describe(records: readonly SealedRecord[], others: readonly SealedRecord[]): string {
  const names = new Set(others.map(nameOf))
  return (
    records
      .map(nameOf)
      .filter((name) => !names.has(name))
      .join(', ') || 'nothing more'
  )
}

function nameOf({ key, author, version, value, hash }: SealedRecord): string {
  return `${key} ${author} v${version}${value === null ? ' deleted' : ''} ${hash.slice(0, 6)}`
}
