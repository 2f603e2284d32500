import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedDatastore } from '../../src/network/bounded-datastore.ts'
import { Served } from '../../src/network/served.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'
import { eventually } from '../support/eventually.ts'
import { loopbackNetwork, startLoopbackNetwork } from '../support/loopback-network.ts'

/** Timers and open ports by which a process would live on. */
const alive = () =>
  process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout' || kind === 'TCPServerWrap').length

/** What is there before the first of them; the test runner has timers of its own. */
async function leavesNothing(before: number, words: string): Promise<void> {
  await eventually(() => alive() <= before, words)
}

const settings = networkSettingsSchema.parse({})

test('a network that is stopped while it starts leaves nothing behind', async (t) => {
  const network = await loopbackNetwork(t, { settings })
  const before = alive()
  const starting = network.start()
  await network.stop()
  await starting
  await leavesNothing(before, 'something of a network that was stopped early runs on')
  await network.start()
  assert.equal(network.addresses().length, 1)
})

test('a network whose port is taken leaves nothing behind, and starts when it is free', async (t) => {
  const holder = await startLoopbackNetwork(t, { settings })
  const [port = ''] = /\d+(?=\/p2p)/.exec(holder.addresses().join()) ?? []
  const network = await loopbackNetwork(t, { settings, port: Number(port) })
  const before = alive()
  await assert.rejects(network.start(), { code: 'PORT_IN_USE' })
  await leavesNothing(before, 'something of a network that did not start runs on')
  await holder.stop()
  await network.start()
})

test('a network whose store fails leaves nothing behind', async (t) => {
  const network = await loopbackNetwork(t, { settings })
  const before = alive()
  let [writes, failing] = [0, 0]
  // One part of the host after another fails while the others are still starting.
  t.mock.method(BoundedDatastore.prototype, 'put', async () => {
    writes += 1
    if (writes > failing) throw new Error('No space left')
  })
  for (failing = 0; failing < 6; failing += 1) {
    writes = 0
    await network.start().catch(() => undefined)
    await network.stop()
    await leavesNothing(before, `with ${failing} writes something of the network runs on`)
  }
})

test('a change of the key that fails leaves the network as it was, also when its handlers cannot be served', async (t) => {
  const network = await startLoopbackNetwork(t, { settings })
  await network.handle('/mao/test/hello', async (stream) => stream.closeWrite())
  const addresses = network.addresses()
  const attach = Served.prototype.attach
  const failing = t.mock.method(Served.prototype, 'attach', () => {
    failing.mock.mockImplementation(attach)
    return Promise.reject(new Error('No space left'))
  })
  await assert.rejects(network.rekey(new Uint8Array(32).fill(7)), /No space left/)
  assert.equal(network.networkKey, undefined)
  assert.deepEqual(network.addresses(), addresses)
  const visitor = await startLoopbackNetwork(t)
  await visitor.dial(addresses)
  assert.equal((await visitor.open(network.peerId, '/mao/test/hello')).peer, network.peerId)
})
