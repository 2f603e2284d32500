import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { Network, type NetworkParts } from '../../src/network/network.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export interface LoopbackOptions extends Partial<NetworkParts> {
  readonly port?: number
}

/** A network on a free port of loopback, not yet started; it is stopped when the test is over. */
export async function loopbackNetwork(
  test: Pick<TestContext, 'after'>,
  options: LoopbackOptions = {},
): Promise<Network> {
  const { identity = await generateIdentity(), port = 0, ...parts } = options
  const network = new Network({
    identity,
    clock: systemClock,
    log: silentLogger,
    directory: await temporaryDirectory(test),
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    announce: [],
    bootstrap: [],
    mdns: false,
    // Searches of the table connect nodes that a test wants apart.
    settings: networkSettingsSchema.parse({ dht: false }),
    agentVersion: 'test',
    ...parts,
  })
  test.after(() => network.stop())
  return network
}

/** The same, started. */
export async function startLoopbackNetwork(
  test: Pick<TestContext, 'after'>,
  options: LoopbackOptions = {},
): Promise<Network> {
  const network = await loopbackNetwork(test, options)
  await network.start()
  return network
}
