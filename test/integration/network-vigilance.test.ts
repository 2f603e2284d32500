import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { silentLooksMax } from '../../src/base/limits.ts'
import { vigilant } from '../../src/network/vigilance.ts'
import { CuttableLine } from '../support/cuttable-line.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/free-port.ts'

const LOOK_MS = 40

test('a quiet connection stays, one that carries nothing any more is ended at both ends', async (t) => {
  const [alice, bob] = [await host(t), await host(t)]
  const [port] = (await freePorts(1)) as [number]
  const line = new CuttableLine(Number(/tcp\/(\d+)/.exec(String(bob.getMultiaddrs()[0]))?.[1]))
  await line.listen(port)
  t.after(() => line.close())
  await alice.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${bob.peerId}`))

  await sleep(5 * silentLooksMax * LOOK_MS)
  const connected = [alice, bob].map((one) => one.getConnections().length)
  assert.deepEqual(connected, [1, 1], 'two that had nothing to say were parted')

  line.hold()
  const isOver = () => [alice, bob].every((one) => one.getConnections().length === 0)
  await eventually(isOver, 'a dead connection was kept', 5_000)
})

async function host(t: TestContext) {
  const started = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [vigilant(yamux({ enableKeepAlive: false }), LOOK_MS)],
    connectionMonitor: { enabled: false },
  })
  t.after(() => started.stop())
  return started
}
