import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { pbStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { HopMessage, Status } from '../../node_modules/@libp2p/circuit-relay-v2/dist/src/pb/index.js'
import { strangersPerPeerMax } from '../../src/base/limits.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'

const [HOP, STOP] = ['/libp2p/circuit/relay/0.2.0/hop', '/libp2p/circuit/relay/0.2.0/stop']

async function stranger(t: TestContext) {
  const host = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify() },
  })
  t.after(() => host.stop())
  return host
}

test('a stranger has no node tell others of addresses that the stranger chose', async (t) => {
  const node = await startLoopbackNetwork(t)
  const addresses = node.addresses()
  const thief = await stranger(t)
  let asked = false
  await thief.handle(HOP, async (stream) => {
    asked = true
    const hop = pbStream(stream).pb(HopMessage)
    await hop.read()
    const expire = BigInt(Math.floor(Date.now() / 1_000) + 3_600)
    const addrs = Array.from(
      { length: 40 },
      (_, n) => multiaddr(`/ip4/11.11.11.${n}/tcp/80/p2p/${thief.peerId}`).bytes,
    )
    await hop.write({ type: HopMessage.Type.STATUS, status: Status.OK, reservation: { expire, addrs } })
  })
  const connection = await thief.dial(addresses.map((one) => multiaddr(one)))
  const stream = await connection.newStream(STOP)
  await eventually(() => stream.status !== 'open', 'the stream of a stranger is served')
  // As long as a place took that was granted.
  await sleep(200)
  assert.equal(asked, false)
  assert.deepEqual(node.addresses(), addresses)
})

test('one key holds few connections, and others get in', async (t) => {
  const node = await startLoopbackNetwork(t)
  const to = node.addresses().map((one) => multiaddr(one))
  const thief = await stranger(t)
  for (let n = 0; n < 3 * strangersPerPeerMax; n += 1)
    await thief.dial(to, { force: true }).catch(() => undefined)
  await eventually(
    () => node.connections().length <= strangersPerPeerMax,
    'one stranger holds more connections than it may',
  )
  const honest = await stranger(t)
  assert.equal((await honest.dial(to)).remotePeer.toString(), node.peerId)
})
