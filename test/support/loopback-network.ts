import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { generateIdentity, type Identity } from '../../src/identity/node-key.ts'
import { Network } from '../../src/network/network.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A network on a free port of loopback, not yet started; it is stopped when the test is over. */
export async function loopbackNetwork(
  test: Pick<TestContext, 'after'>,
  options: { readonly identity?: Identity; readonly port?: number } = {},
): Promise<Network> {
  const network = new Network({
    identity: options.identity ?? (await generateIdentity()),
    clock: systemClock,
    log: silentLogger,
    directory: await temporaryDirectory(test),
    listen: [`/ip4/127.0.0.1/tcp/${options.port ?? 0}`],
    announce: [],
    bootstrap: [],
    mdns: false,
    agentVersion: 'test',
  })
  test.after(() => network.stop())
  return network
}

/** The same, started. */
export async function startLoopbackNetwork(
  test: Pick<TestContext, 'after'>,
  options: { readonly identity?: Identity } = {},
): Promise<Network> {
  const network = await loopbackNetwork(test, options)
  await network.start()
  return network
}
