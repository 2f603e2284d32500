import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DAY_MS, SECOND_MS } from '../../src/base/limits.ts'
import { createLogger } from '../../src/base/logger.ts'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import type { VerdictCode } from '../../src/registry/verdict.ts'
import { eventually } from '../support/eventually.ts'
import { startRawGossip } from '../support/raw-gossip.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'
import { rowsOf } from '../support/store-rows.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const shown = (node: RegistryNode, key: string) =>
  Buffer.from(node.registry.get(key)?.value ?? 'nothing').toString()
const judged = (node: RegistryNode, code: VerdictCode) => node.registry.verdicts.get(code) ?? 0
/** Relays what others have sealed, as often as asked: a peer that kept the rules would not say the same thing twice. */
async function replayer(t: TestContext, node: RegistryNode) {
  const peer = await startRawGossip(t, node.network)
  const topic = registryTopic(node.genesis.federation)
  const say = (envelopes: readonly Uint8Array[]) =>
    peer.say({ messages: envelopes.map((data) => ({ topic, data })) })
  return { peer: peer.identity.peerId, say }
}

/** Gossip keeps in mind for this long what it has seen. */
const SEEN_MS = 120 * SECOND_MS

/** What gossipsub's peers promise each other (IHAVE, IWANT) they keep within this time, or are marked down. */
const PROMISES_KEPT_MS = 3_500

/** Lets all clocks of this process jump ahead; timers and sockets go on as they do. */
async function jump(t: TestContext, ms: number): Promise<void> {
  // To jump over a promise would break it.
  await sleep(PROMISES_KEPT_MS)
  const now = Date.now
  t.mock.method(Date, 'now', () => now() + ms)
}

test('a record that is replayed when gossip has forgotten it changes nothing', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const mallory = await replayer(t, alice)
  await bob.registry.put('/tools/x', bytes('first'))
  const first = bob.registry.envelope('/tools/x') as Uint8Array
  await bob.registry.put('/tools/x', bytes('second'))
  const second = bob.registry.envelope('/tools/x') as Uint8Array
  await bob.registry.put('/tools/gone', bytes('x'))
  const gone = bob.registry.envelope('/tools/gone') as Uint8Array
  await bob.registry.delete('/tools/gone')
  await eventually(() => alice.registry.digest() === bob.registry.digest(), 'alice never heard of it')
  const before = {
    digest: alice.registry.digest(),
    revision: alice.registry.revision,
    rows: await rowsOf(alice),
    hash: alice.registry.keyValues.hash(),
  }
  const [stale, duplicate] = [judged(alice, 'STALE'), judged(alice, 'DUPLICATE')]

  await jump(t, SEEN_MS + SECOND_MS)
  // Gossipsub empties its cache once a second; until then it would not even ask us.
  await eventually(async () => {
    await mallory.say([first, second, gone])
    return judged(alice, 'STALE') >= stale + 2 && judged(alice, 'DUPLICATE') >= duplicate + 1
  }, 'the replayed records never came past the cache')
  assert.equal(alice.registry.digest(), before.digest)
  assert.equal(alice.registry.revision, before.revision)
  assert.deepEqual(await rowsOf(alice), before.rows)
  assert.deepEqual(alice.registry.keyValues.hash(), before.hash)
  assert.equal(shown(alice, '/tools/x'), 'second')
  assert.equal(shown(alice, '/tools/gone'), 'nothing')
})

test('the head of a dataset never goes back when an older one is replayed, and the log tells of it', async (t) => {
  const told: string[] = []
  const log = createLogger(
    'debug',
    new Writable({
      write: (chunk, _, done) => {
        told.push(String(chunk))
        done()
      },
    }),
  )
  const alice = await startRegistryNode(t, { log })
  const bob = await startRegistryNode(t, { genesis: alice.genesis })
  await alice.members.admit(bob.identity.peerId, 'bob', 'member')
  await bob.network.dial(alice.network.addresses())
  await bob.sync.pullNow(alice.identity.peerId)
  const mallory = await replayer(t, alice)
  const key = `/heads/data/${bob.identity.peerId}`
  const heads: Uint8Array[] = []
  for (let n = 1; n <= 3; n += 1) {
    await bob.registry.put(key, bytes(`head ${n}`))
    heads.push(bob.registry.envelope(key) as Uint8Array)
  }
  await eventually(() => shown(alice, key) === 'head 3', 'the head never arrived')
  const { revision } = alice.registry
  const seen: string[] = []
  alice.registry.watch('/heads/', ({ entry }) => seen.push(Buffer.from(entry?.value ?? []).toString()))

  await jump(t, SEEN_MS + SECOND_MS)
  const lines = () => told.map((text) => JSON.parse(text)).filter(({ from }) => from === mallory.peer)
  await eventually(async () => {
    await mallory.say(heads.slice(0, 2))
    return lines().length >= 2
  }, 'the older heads never came past the cache, or the log says nothing of it')
  assert(lines().every(({ code }) => code === 'STALE'))
  assert.equal(shown(alice, key), 'head 3')
  assert.equal(alice.registry.revision, revision)
  assert.deepEqual(seen, [], 'whoever watches heads is told nothing')
  // Neither does a member that holds nothing yet and is handed the older ones first and last.
  const carol = await startRegistryNode(t, { genesis: alice.genesis })
  await alice.members.admit(carol.identity.peerId, 'carol', 'member')
  await carol.network.dial(alice.network.addresses())
  await carol.sync.pullNow(alice.identity.peerId)
  const verdicts = await carol.registry.receiveAll([...heads, ...heads])
  assert(verdicts.every((verdict) => verdict.action === 'ignore'))
  assert.equal(shown(carol, key), 'head 3')
})

test('a record from tomorrow is ignored, and what its author writes honestly later wins, also when tomorrow comes', async (t) => {
  let aheadMs = 0
  const clock = { now: () => Date.now() + aheadMs }
  const alice = await startRegistryNode(t, { clock })
  let bobAheadMs = DAY_MS
  const bob = await startRegistryNode(t, {
    genesis: alice.genesis,
    clock: { now: () => Date.now() + bobAheadMs },
  })
  await alice.members.admit(bob.identity.peerId, 'bob', 'member')
  await bob.network.dial(alice.network.addresses())
  await bob.sync.pullNow(alice.identity.peerId)

  // Bob's clock is wrong: his own node keeps what he writes, nobody else does.
  const keys = ['/tools/x', `/heads/data/${bob.identity.peerId}`]
  for (const key of keys) await bob.registry.put(key, bytes('of tomorrow'))
  const tomorrow = keys.map((key) => bob.registry.envelope(key) as Uint8Array)
  await eventually(() => judged(alice, 'FUTURE') >= 2, 'alice never heard of it')
  await alice.sync.pullNow(bob.identity.peerId)
  for (const key of keys) assert.equal(alice.registry.get(key), undefined)
  const rows = await rowsOf(alice)
  // Alice claims the name meanwhile; her word is older than one that has not been said yet.
  await alice.registry.put('/tools/contested', bytes('of alice'))
  const contested = await sealRecord(bob.identity, {
    ...{ federation: alice.genesis.federation, key: '/tools/contested', version: 7 },
    ...{ time: Date.now() + DAY_MS, since: Date.now() + DAY_MS },
  })
  assert.equal((await alice.registry.receive(contested.envelope)).action, 'ignore')

  bobAheadMs = 0
  for (const key of keys) await bob.registry.put(key, bytes('of today'))
  await eventually(() => keys.every((key) => shown(alice, key) === 'of today'), 'the honest write never came')
  assert.equal((await rowsOf(alice)).registry, (rows.registry ?? 0) + 3)

  // Tomorrow comes, and with it the records that were too early.
  aheadMs = DAY_MS + 1_000
  for (const envelope of tomorrow) {
    const verdict = await alice.registry.receive(envelope)
    assert.equal(verdict.action === 'ignore' && verdict.code, 'STALE')
  }
  assert.equal((await alice.registry.receive(contested.envelope)).action, 'accept')
  for (const key of keys) assert.equal(shown(alice, key), 'of today')
  assert.equal(alice.registry.get('/tools/contested')?.author, alice.identity.peerId)
})

test('one author gives one version two values: every node shows the same one and keeps the other as proof', async (t) => {
  const [alice, bob, carol, mallory] = await startFederation(t, ['bob', 'carol', 'mallory'])
  assert(alice && bob && carol && mallory)
  const honest = [alice, bob, carol]
  await eventually(
    () => honest.every((node) => node.members.isMember(mallory.identity.peerId)),
    'not everybody knows mallory',
  )
  const fields = { federation: alice.genesis.federation, key: '/tools/two-faced', version: 5 }
  const faces = [
    await sealRecord(mallory.identity, { ...fields, value: bytes('one') }),
    await sealRecord(mallory.identity, { ...fields, value: bytes('two') }),
  ]
  const [one, two] = faces
  assert(one && two)
  const loser = one.hash < two.hash ? one : two
  // Each hears of them in an order of its own.
  for (const node of [alice, carol]) await node.registry.receiveAll([one.envelope, two.envelope])
  for (const { envelope } of [two, one]) await bob.registry.receive(envelope)
  for (const node of honest) {
    assert.equal(shown(node, fields.key), shown(alice, fields.key))
    assert.equal(node.registry.digest(), alice.registry.digest())
    const proofs = (await node.store.evidence()).map((envelope) => Buffer.from(envelope))
    assert.equal(proofs.length, 1)
    assert(proofs[0]?.equals(loser.envelope), 'the proof is the record that is not shown')
    assert.notDeepEqual(node.registry.envelope(fields.key), loser.envelope)
  }
  // A proof that is told again and again takes no room from others.
  for (let n = 0; n < 1_100; n += 100)
    await alice.registry.receiveAll(Array.from({ length: 100 }, () => loser.envelope))
  const other = { ...fields, key: '/tools/other' }
  const pair = [
    await sealRecord(mallory.identity, { ...other, value: bytes('one') }),
    await sealRecord(mallory.identity, { ...other, value: bytes('two') }),
  ]
  await alice.registry.receiveAll(pair.map(({ envelope }) => envelope))
  assert.equal((await alice.store.evidence()).length, 2)
})
