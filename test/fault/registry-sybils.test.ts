import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import { eventually } from '../support/eventually.ts'
import { type RawGossip, startRawGossip } from '../support/raw-gossip.ts'
import { sealRecord } from '../support/records.ts'
import { startFederation } from '../support/registry-node.ts'

const SYBILS = 20
const bytes = (text: string) => new TextEncoder().encode(text)

/**
 * The victim has one honest link, to the relay, and behind that is the author: author – relay – victim. Twenty sybils sit
 * in the victim's mesh and hear all that the author says.
 */
async function eclipsed(t: TestContext) {
  const [relay, author, victim] = await startFederation(t, ['author', 'victim'])
  assert(relay && author && victim)
  const topic = registryTopic(relay.genesis.federation)
  const listen = { subscriptions: [{ subscribe: true, topic }], graft: [topic] }
  const sybils: RawGossip[] = []
  for (let n = 0; n < SYBILS; n += 1) {
    const sybil = await startRawGossip(t, victim.network)
    await sybil.say(listen)
    sybils.push(sybil)
  }
  await eventually(
    () => victim.network.connectedPeers().length === SYBILS + 1,
    'not all sybils are connected',
  )
  assert(!victim.network.connectedPeers().includes(author.identity.peerId))
  await eventually(() => victim.registry.digest() === relay.registry.digest(), 'the victim never caught up')
  // The mesh is looked after once a second; what the first catch-ups do is over by then too.
  for (let beat = 0; beat < 3; beat += 1) {
    await sleep(1_000)
    for (const sybil of sybils) await sybil.say(listen)
  }
  assert(
    sybils.some((sybil) => sybil.isInMesh(topic)),
    'no sybil is in the mesh',
  )
  return { relay, author, victim, sybils, topic }
}

test('among 20 sybils that pass nothing on, what an honest member writes arrives over the one honest link', async (t) => {
  const { author, victim, sybils } = await eclipsed(t)
  for (let n = 0; n < 5; n += 1) {
    await author.registry.put(`/tools/honest-${n}`, bytes('x'))
    await eventually(
      () => victim.registry.get(`/tools/honest-${n}`) !== undefined,
      `record ${n} never arrived`,
    )
  }
  await victim.registry.put('/offers/'.concat(victim.identity.peerId), bytes('of the victim'))
  await eventually(
    () => author.registry.get(`/offers/${victim.identity.peerId}`) !== undefined,
    'what the victim writes never came out',
  )
  assert(sybils.every((sybil) => sybil.isConnected()))
})

test('among 20 sybils that flood rubbish, what an honest member writes arrives all the same', async (t) => {
  const { author, victim, sybils, topic } = await eclipsed(t)
  let flooding = true
  let said = 0
  const floods = sybils.map(async (sybil) => {
    // Until the victim hangs up on it, or the test is over.
    for (; flooding && sybil.isConnected(); await sleep(50)) {
      const messages = Array.from({ length: 20 }, () => {
        said += 1
        return { topic, data: bytes(`rubbish ${said} ${'x'.repeat(200)}`) }
      })
      await sybil.say({ messages }).catch(() => undefined)
    }
  })
  try {
    await eventually(() => (victim.registry.verdicts.get('BAD_ENVELOPE') ?? 0) >= SYBILS, 'no rubbish came')
    for (let n = 0; n < 5; n += 1) {
      await author.registry.put(`/tools/honest-${n}`, bytes('x'))
      await eventually(
        () => victim.registry.get(`/tools/honest-${n}`) !== undefined,
        `record ${n} never arrived`,
      )
    }
  } finally {
    flooding = false
    await Promise.all(floods)
  }
  t.diagnostic(`${said} messages of rubbish`)
})

test('a sybil that is over its share and says an honest record first does not keep it from the victim', async (t) => {
  const { relay, author, victim, sybils, topic } = await eclipsed(t)
  const [sybil] = sybils
  assert(sybil)
  // It hears of the record from the author himself, before the relay does.
  await author.network.hangUp(relay.identity.peerId)
  await eventually(() => author.network.connectedPeers().length === 0, 'the connection stayed')
  await author.registry.put('/tools/raced', bytes('x'))
  const data = author.registry.envelope('/tools/raced') as Uint8Array
  // What is ignored, other than rubbish, costs the sybil nothing but its share.
  let said = 0
  const ignored = async (count: number) => {
    const records = Array.from({ length: count }, () => {
      said += 1
      return sealRecord(sybil.identity, { federation: relay.genesis.federation, key: `/tools/sybil-${said}` })
    })
    return (await Promise.all(records)).map(({ envelope }) => ({ topic, data: envelope }))
  }
  await sybil.say({ messages: [...(await ignored(1_500)), { topic, data }] })
  const { counts } = victim.network.gossip
  await eventually(() => counts.ignore >= 1_500, 'the sybil was not heard')
  assert.equal(victim.registry.get('/tools/raced'), undefined, 'the sybil itself has brought the record')
  await author.network.dial(relay.network.addresses())
  await eventually(() => relay.registry.get('/tools/raced') !== undefined, 'the relay never got it')
  await eventually(
    () => victim.registry.get('/tools/raced') !== undefined,
    'the record never arrived',
    20_000,
  )
})
