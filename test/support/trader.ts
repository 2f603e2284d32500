import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { Marketplace } from '../../src/marketplace/marketplace.ts'
import { Network } from '../../src/network/network.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A node in no federation: a key, a network on loopback, and the marketplace. */
export async function startTrader(t: TestContext, directory?: string) {
  const place = directory ?? (await temporaryDirectory(t))
  const identity = await loadIdentity(place)
  const running = new StopStack()
  const stop = () => running.unwind()
  t.after(stop)
  const [clock, log] = [systemClock, silentLogger]
  const database = await openDatabase(place)
  running.push('database', () => database.close())
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const options = { listen, announce: [], bootstrap: [], mdns: false, agentVersion: 'test' }
  const network = new Network({ identity, clock, log, directory: place, ...options })
  await running.start('network', network)
  const announcing = { connectDelayMs: 300, minMs: 500 }
  const { gossip } = network
  const market = new Marketplace({ identity, gossip, database, clock, log, announcing })
  await running.start('marketplace', market)
  return { identity, directory: place, network, market, stop }
}

export const tool = {
  kind: 'tool',
  name: 'collect',
  description: 'Reads package manifests',
  body: { image: 'lab/collect:1' },
} as const
