import type { TestContext } from 'node:test'
import type { Clock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { type Config, type ConfigInput, loadConfig } from '../../src/config.ts'
import { Node } from '../../src/node.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Settings of a node on loopback with free ports, in `directory`. */
export function testConfig(name: string, dataDirectory: string, more: ConfigInput = {}): Promise<Config> {
  const flags: ConfigInput = {
    name,
    dataDirectory,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    api: { port: 0 },
    etcd: { serve: 'never' },
    log: { level: 'silent' },
    ...more,
  }
  return loadConfig({ flags })
}

export interface TestNodeOptions {
  readonly directory?: string
  readonly config?: ConfigInput
  readonly clock?: Clock
}

/** A whole node, started, that is stopped when the test is over. */
export async function startTestNode(
  t: TestContext,
  name: string,
  options: TestNodeOptions = {},
): Promise<Node> {
  const directory = options.directory ?? (await temporaryDirectory(t))
  const config = await testConfig(name, directory, options.config)
  const clock = options.clock === undefined ? {} : { clock: options.clock }
  const node = new Node({ config, log: silentLogger, ...clock })
  t.after(() => node.stop())
  await node.start()
  return node
}
