import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MARKETPLACE_TOPIC } from '../../src/marketplace/marketplace.ts'
import { eventually } from '../support/eventually.ts'
import { sealListing } from '../support/listings.ts'
import { startTrader, tool } from '../support/trader.ts'

test('what one lists, the others hear, search, and see withdrawn', async (t) => {
  const [amy, bob, cleo] = await Promise.all([startTrader(t), startTrader(t), startTrader(t)])
  await bob.network.dial(amy.network.addresses())
  await cleo.network.dial(bob.network.addresses())
  await amy.market.publish(tool)
  await bob.market.publish({ kind: 'federation', name: 'observatory', body: { contacts: ['o@example.org'] } })
  // Cleo is connected to bob alone: what amy says reaches her through him.
  for (const { market } of [amy, bob, cleo]) {
    await eventually(() => market.list().length === 2, 'a listing never arrived')
  }
  assert.equal(cleo.market.show('tool', 'collect').author, amy.identity.peerId)
  assert.deepEqual(
    cleo.market.search('manifests').map(({ name }) => name),
    ['collect'],
  )
  assert.deepEqual(cleo.market.show('federation', 'observatory').body, {
    contacts: ['o@example.org'],
    addresses: [],
    join: 'invitation',
  })
  await amy.market.withdraw('tool', 'collect')
  await eventually(() => cleo.market.list({ kind: 'tool' }).length === 0, 'the withdrawal never arrived')
  assert.throws(() => cleo.market.show('tool', 'collect'), { code: 'LISTING_NOT_FOUND' })
  await assert.rejects(amy.market.withdraw('tool', 'collect'), { code: 'LISTING_NOT_FOUND' })
})

test('a newcomer hears what was listed long before it came, and can browse it offline after', async (t) => {
  const amy = await startTrader(t)
  await amy.market.publish(tool)
  const late = await startTrader(t)
  await late.network.dial(amy.network.addresses())
  await eventually(() => late.market.list().length === 1, 'the newcomer never heard the listing')
  await late.stop()
  await amy.stop()
  const offline = await startTrader(t, late.directory)
  assert.equal(offline.market.show('tool', 'collect').description, 'Reads package manifests')
})

test('two authors may use one name, and nobody guesses who is meant', async (t) => {
  const [amy, eve] = await Promise.all([startTrader(t), startTrader(t)])
  await eve.network.dial(amy.network.addresses())
  await amy.market.publish(tool)
  await eve.market.publish({ ...tool, description: 'The one and only' })
  await eventually(() => amy.market.list().length === 2, 'the second listing never arrived')
  assert.throws(() => amy.market.show('tool', 'collect'), { code: 'CONFLICT' })
  const chosen = amy.market.show('tool', 'collect', eve.identity.peerId)
  assert.equal(chosen.description, 'The one and only')
})

test('a forged listing goes no further, and honest ones still arrive', async (t) => {
  const [amy, bob, eve] = await Promise.all([startTrader(t), startTrader(t), startTrader(t)])
  await bob.network.dial(amy.network.addresses())
  await eve.network.dial(bob.network.addresses())
  await eve.market.publish({ ...tool, name: 'honest' })
  await eventually(() => bob.market.list().length === 1, 'gossip never came up')
  const forged = await sealListing(eve.identity, { author: amy.identity.peerId, name: 'forged' })
  await eve.network.gossip.publish(MARKETPLACE_TOPIC, forged.envelope)
  await eve.market.publish({ ...tool, name: 'later' })
  await eventually(() => amy.market.list().some(({ name }) => name === 'later'), 'the honest one was lost')
  for (const { market } of [amy, bob]) assert.deepEqual(market.search('forged'), [])
})
