/** A node that is told of a node where its etcd cluster should be (protocols/strong-mode.md §5). */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { StopStack } from '../../src/base/lifecycle.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { parseRegistry } from '../../src/etcd/cluster-address.ts'
import { type EtcdSettings, serveEtcd } from '../../src/etcd/serve.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'
import { type StrongNode, startStrongFederation, startStrongNode } from '../support/strong-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

async function serve(t: TestContext, node: StrongNode, port: number): Promise<EtcdSurface> {
  const { registry, members, identity } = node
  const who = { registry, members, self: identity.peerId, strong: true }
  const surface = new EtcdSurface({ ...who, host: '127.0.0.1', port, log: silentLogger })
  await surface.start()
  t.after(() => surface.stop())
  return surface
}

test('where the cluster is to be, the node serves no etcd clients', async (t) => {
  const alice = await startStrongNode(t, { address: { endpoints: [`http://127.0.0.1:${await freePort()}`] } })
  const port = await freePort()
  const warned: string[] = []
  const log: Logger = {
    ...silentLogger,
    warn: (...said: unknown[]) => warned.push(String(said.at(-1))),
    child: () => log,
  } as unknown as Logger
  const { registry, members, identity } = alice
  const start = async (part: Partial<EtcdSettings>, clusterEndpoints: readonly string[]) => {
    const running = new StopStack()
    t.after(() => running.unwind())
    const settings: EtcdSettings = {
      ...{
        serve: 'auto',
        host: '127.0.0.1',
        port,
        requireToken: false,
        allowedHosts: [],
        certFile: '',
        keyFile: '',
      },
      ...part,
    }
    const parts = {
      settings,
      tokens: { check: () => undefined },
      registry,
      members,
      self: identity.peerId,
      strong: true,
      running,
      log,
    }
    await serveEtcd({ ...parts, clusterEndpoints })
    const answers = await fetch(`http://127.0.0.1:${port}/health`).then(
      () => true,
      () => false,
    )
    await running.unwind()
    return answers
  }
  for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
    assert.equal(await start({}, ['http://10.0.0.1:2379', `http://${name}:${port}`]), false, name)
    assert.match(warned.pop() ?? '', /MAO_ETCD_PORT/)
    await assert.rejects(start({ serve: 'always' }, [`https://${name}:${port}`]), { code: 'INVALID_CONFIG' })
  }
  assert.equal(await start({}, [`http://10.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`]), true)
  assert.deepEqual(warned, [])
})

test('what may be a password is not repeated, wherever it stands', () => {
  for (const text of [
    'etcd://127.0.0.1:hunter2',
    'etcd://a,root:hunter2',
    'etcd://root:hunter2@a',
    'etcd://hunter2!',
  ]) {
    assert.throws(
      () => parseRegistry(text),
      (error: Error) => !error.message.includes('hunter2'),
      text,
    )
  }
})

/** Each does nothing but wait for most of its time; so they wait at once. */
suite('waits that run out', { concurrency: true }, () => {
  test('a node does not follow itself, and says why', async (t) => {
    const port = await freePort()
    const alice = await startStrongNode(t, { address: { endpoints: [`http://127.0.0.1:${port}`] } })
    await serve(t, alice, port)
    await eventually(
      () => /no etcd but a node of this federation/.test(alice.cluster.state().lastError ?? ''),
      'the node takes itself for its cluster',
    )
    assert.equal(alice.cluster.state().connected, false)
    await assert.rejects(alice.registry.put('/tools/x', bytes('1')), { code: 'REGISTRY_UNREACHABLE' })
    assert.equal(alice.registry.keyValues.count({ from: '', to: null }), 0, 'it wrote into itself')
  })

  test('another member among the endpoints takes no write that the cluster did not take', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const [founder, bob] = await startStrongFederation(t, ['bob'], { address: { endpoints: etcd.endpoints } })
    assert(founder && bob)
    await founder.stop()
    const { genesis, directory } = founder
    const port = await freePort()
    await serve(t, bob, port)
    const address = { endpoints: [...etcd.endpoints, `http://127.0.0.1:${port}`] }
    const alice = await startStrongNode(t, { genesis, directory, address })
    await alice.cluster.catchUp()
    await alice.registry.put('/tools/before', bytes('1'))

    etcd.hang(0)
    await assert.rejects(alice.registry.put('/tools/during', bytes('1')), { code: 'REGISTRY_UNREACHABLE' })
    assert.equal(bob.registry.keyValues.count({ from: '/mao/', to: '/mao0' }), 0)
    etcd.resume(0)
    await alice.cluster.catchUp()
    await alice.registry.put('/tools/during', bytes('2'))
    await eventually(
      () => bob.registry.get('/tools/during') !== undefined,
      'what was written after the mistake never came to the other member',
    )
  })
})
