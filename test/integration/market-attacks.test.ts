import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gossipRecordsPerSecondMax, listingsPerAuthorMax, newAuthorsBurst } from '../../src/base/limits.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import type { SealedListing } from '../../src/marketplace/listing.ts'
import { MARKETPLACE_TOPIC } from '../../src/marketplace/marketplace.ts'
import { eventually } from '../support/eventually.ts'
import { sealListing } from '../support/listings.ts'
import { startRawGossip } from '../support/raw-gossip.ts'
import { startTrader, tool } from '../support/trader.ts'

/** Two honest traders, and a liar that is connected to the first and speaks gossip by itself. */
async function withLiar(t: TestContext) {
  const [amy, bob] = await Promise.all([startTrader(t), startTrader(t)])
  await bob.network.dial(amy.network.addresses())
  await bob.market.publish({ ...tool, name: 'first' })
  await eventually(() => amy.market.list().length === 1, 'gossip never came up')
  return { amy, bob, eve: await startRawGossip(t, amy.network) }
}

test('1,000 listings a second from one peer, each of another author, fill nothing and delay nobody', async (t) => {
  const { amy, bob, eve } = await withLiar(t)
  const [perSecond, seconds] = [1_000, 2]
  const identities = await Promise.all(Array.from({ length: perSecond * seconds }, () => generateIdentity()))
  const sealed = await Promise.all(
    identities.map((identity, n) => sealListing(identity, { name: `flood-${n}` })),
  )
  const begunMs = performance.now()
  let [said, over] = [0, false]
  const flooding = (async () => {
    while (said < sealed.length) {
      const due = Math.floor(((performance.now() - begunMs + 50) / 1_000) * perSecond)
      const batch = sealed.slice(said, due)
      said += batch.length
      await eve.say({ messages: batch.map(({ envelope }) => ({ topic: MARKETPLACE_TOPIC, data: envelope })) })
      await sleep(50)
    }
    over = true
  })()
  const waits: number[] = []
  for (let n = 0; !over; n += 1) {
    const saidMs = performance.now()
    await bob.market.publish({ ...tool, name: `honest-${n}` })
    const arrived = () => amy.market.list({ name: `honest-${n}` }).length === 1
    await eventually(arrived, `honest-${n} was lost in the flood`, 5_000)
    waits.push(performance.now() - saidMs)
    await sleep(100)
  }
  await flooding
  const kept = amy.market.search('flood').length
  const slowest = Math.max(...waits)
  t.diagnostic(`${waits.length} honest listings, slowest ${slowest.toFixed(0)} ms; ${kept} of ${said} kept`)
  assert(waits.length >= 1, 'no honest listing arrived while the flood went on')
  const allowed = Math.min(newAuthorsBurst + 100, gossipRecordsPerSecondMax * (2 + seconds + 1))
  assert(kept <= allowed, `${kept} of ${said} were kept, ${allowed} are allowed`)
  // What the neighbour of the liar does not take, it does not pass on either.
  assert(bob.market.search('flood').length <= kept)
})

test('one who renews without end, lies in the names of others or points at a victim is contained', async (t) => {
  const { amy, bob, eve } = await withLiar(t)
  const { counts } = amy.network.gossip
  const say = async (listing: SealedListing) =>
    eve.say({ messages: [{ topic: MARKETPLACE_TOPIC, data: listing.envelope }] })
  const hears = async (name: string) => {
    await bob.market.publish({ ...tool, name })
    await eventually(() => amy.market.list({ name }).length === 1, `${name} was lost`)
  }

  // A victim whose address is listed is not knocked at by whoever hears it.
  let knocks = 0
  const victim = createServer(() => {
    knocks += 1
  }).listen(0, '127.0.0.1')
  t.after(() => victim.close())
  await once(victim, 'listening')
  const { port } = victim.address() as AddressInfo
  const address = `/ip4/127.0.0.1/tcp/${port}/p2p/${(await generateIdentity()).peerId}`
  const trap = { contacts: [], addresses: [address] }
  await say(await sealListing(eve.identity, { kind: 'federation', name: 'trap', body: trap }))
  await eventually(() => amy.market.list({ name: 'trap' }).length === 1, 'the listing never came')

  const [now, before] = [Date.now(), counts.accept]
  for (let n = 0; n < 500; n += 1) {
    await say(await sealListing(eve.identity, { name: 'loud', version: now - 500 + n }))
  }
  await hears('while-it-is-loud')
  const taken = counts.accept - before
  assert(taken > 100 && taken <= 2 * listingsPerAuthorMax + 20, `${taken} of 500 renewals were taken`)

  for (let n = 0; n < 6; n += 1) {
    await say(await sealListing(eve.identity, { author: bob.identity.peerId, name: `forged-${n}` }))
    const body = { federation: 'maofamous', genesis: 'AAAA', contacts: [], addresses: [] }
    await say(await sealListing(eve.identity, { kind: 'federation', name: `forged-${6 + n}`, body }))
  }
  await eventually(() => counts.reject >= 8, 'the forgeries were not rejected')
  let said = 0
  const isDeaf = async () => {
    const heard = counts.ignore + counts.accept + counts.reject
    said += 1
    await say(await sealListing(eve.identity, { name: `late-${said}` }))
    await sleep(200)
    return counts.ignore + counts.accept + counts.reject === heard
  }
  await eventually(isDeaf, 'a liar is still listened to')
  await hears('after-the-lies')
  assert.deepEqual([amy.market.search('forged'), bob.market.search('forged')], [[], []])
  assert.equal(knocks, 0)
})
