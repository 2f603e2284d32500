import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { Contacts, type ContactsParts } from '../../src/network/contacts.ts'
import type { Network } from '../../src/network/network.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'
import type { Wanted } from '../../src/network/supervisor.ts'
import { eventually } from '../support/eventually.ts'
import { loopbackNetwork, startLoopbackNetwork } from '../support/loopback-network.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const FEDERATION = 'mao-test-federation'
const withTable = networkSettingsSchema.parse({})

/** Keeps a network in touch with these members. */
async function contacts(
  test: TestContext,
  network: Network,
  parts: Partial<ContactsParts> & { wanted?: () => Wanted[] } = {},
) {
  const { wanted = () => [], ...others } = parts
  const database = await openDatabase(await temporaryDirectory(test))
  const kept = new Contacts({
    ...{ network, federation: FEDERATION, first: [], members: { role: () => 'member' } },
    ...{ presences: { wanted, renew: async () => undefined } },
    ...{ database, clock: systemClock, log: silentLogger },
    ...others,
  })
  test.after(async () => {
    await kept.stop()
    await database.close()
  })
  return kept
}

test('who knows one node and the id of a federation finds all of its members', async (t) => {
  const boot = await startLoopbackNetwork(t, { settings: withTable })
  const members = await Promise.all(
    [1, 2, 3].map(() => startLoopbackNetwork(t, { settings: withTable, bootstrap: boot.addresses() })),
  )
  for (const member of members) await (await contacts(t, member)).start()
  const newcomer = await startLoopbackNetwork(t, { settings: withTable, bootstrap: boot.addresses() })
  let found: Wanted[] = []
  await eventually(async () => {
    found = await newcomer.find(FEDERATION, AbortSignal.timeout(5_000))
    return found.length === members.length
  }, 'not all members were found')
  const [first] = found
  assert(first)
  assert.equal(await newcomer.dial(first.addresses), first.peer)
  assert.deepEqual(found.map(({ peer }) => peer).sort(), members.map(({ peerId }) => peerId).sort())
  assert.deepEqual(await newcomer.find('mao-another-federation', AbortSignal.timeout(5_000)), [])
})

test('a member that was off finds the others where they were, and where they are now', async (t) => {
  const identity = await generateIdentity()
  const amy = await startLoopbackNetwork(t, { identity })
  const bob = await loopbackNetwork(t)
  await bob.start()
  const at = (network: Network): Wanted => ({ peer: network.peerId, addresses: network.addresses() })
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())

  // Once they were connected, and amy said where she is.
  const before = await contacts(t, bob, { database, wanted: () => [at(amy)] })
  await before.start()
  await eventually(() => bob.connectedPeers().length === 1, 'bob never found amy')
  await eventually(() => before.addressesOf(amy.peerId).length > 0, 'nothing was noted')
  await before.stop()
  await bob.hangUp(amy.peerId)
  await eventually(() => amy.connectedPeers().length === 0, 'they are still connected')

  // Now nobody says where she is: her presence has expired, and there is no first contact.
  const silent = await contacts(t, bob, { database, wanted: () => [{ peer: amy.peerId, addresses: [] }] })
  await silent.start()
  await eventually(() => amy.connectedPeers().length === 1, 'bob does not remember where amy is')
  await silent.stop()
  await bob.hangUp(amy.peerId)
  await eventually(() => amy.connectedPeers().length === 0, 'they are still connected')

  // What is remembered is old by now, and what she says is right: the one does not stand in the way of the other.
  const amyWasAt = amy.addresses()
  await amy.stop()
  const moved = await startLoopbackNetwork(t, { identity })
  assert.notDeepEqual(moved.addresses(), amyWasAt)
  const again = await contacts(t, bob, { database, wanted: () => [at(moved)] })
  await again.start()
  await eventually(() => moved.connectedPeers().length === 1, 'old addresses stand in the way')
})

test('in a federation larger than what is kept, nobody is connected with all, and anybody is reached', async (t) => {
  const [COUNT, KEPT] = [12, 3]
  const networks = await Promise.all(Array.from({ length: COUNT }, () => startLoopbackNetwork(t)))
  const all = networks.map((network) => ({ peer: network.peerId, addresses: network.addresses() }))
  for (const network of networks) {
    const wanted = () => all.filter(({ peer }) => peer !== network.peerId)
    await (await contacts(t, network, { wanted, kept: KEPT })).start()
    await network.handle('/mao/test/hello', async (stream) => stream.closeWrite())
  }
  const degrees = () => networks.map((network) => network.connectedPeers().length)
  await eventually(() => degrees().every((degree) => degree >= KEPT), 'some have too few connections')
  const sum = degrees().reduce((total, degree) => total + degree, 0)
  assert(sum <= 2 * COUNT * KEPT, `${sum / 2} connections among ${COUNT} nodes that keep ${KEPT} each`)
  const [one] = networks
  assert(one)
  const far = all.find(({ peer }) => peer !== one.peerId && !one.connectedPeers().includes(peer))
  assert(far)
  const stream = await one.open(far.peer, '/mao/test/hello')
  assert.equal(stream.peer, far.peer)
})
