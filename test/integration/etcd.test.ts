import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { Etcd3 } from 'etcd3'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { runProgram, spawnProgram } from '../support/child-process.ts'
import { eventually } from '../support/eventually.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

async function serve(t: TestContext, node: RegistryNode): Promise<EtcdSurface> {
  const { registry, members, identity } = node
  const where = { self: identity.peerId, host: '127.0.0.1', port: 0 }
  const surface = new EtcdSurface({ registry, members, ...where, log: silentLogger })
  await surface.start()
  t.after(() => surface.stop())
  return surface
}

function etcdctl(t: TestContext, surface: EtcdSurface, args: readonly string[]) {
  const options = { env: { ETCDCTL_API: '3' } }
  return runProgram(t, 'etcdctl', [`--endpoints=${surface.address()}`, ...args], options)
}

function client(t: TestContext, surface: EtcdSurface): Etcd3 {
  const etcd = new Etcd3({ hosts: surface.address() })
  t.after(() => etcd.close())
  return etcd
}

test('etcdctl puts, gets, deletes, and asks after members, status and health', async (t) => {
  const node = await startRegistryNode(t)
  const surface = await serve(t, node)
  const ctl = (...args: string[]) => etcdctl(t, surface, args)

  assert.equal((await ctl('put', '/tools/collect', 'one')).stdout, 'OK\n')
  assert.equal((await ctl('put', '/tools/assess', 'two')).stdout, 'OK\n')
  assert.deepEqual(node.registry.get('/tools/collect')?.value, bytes('one'))
  assert.equal((await ctl('get', '/tools/collect')).stdout, '/tools/collect\none\n')
  assert.equal((await ctl('get', '/tools/', '--prefix')).stdout, '/tools/assess\ntwo\n/tools/collect\none\n')
  assert.equal(
    (await ctl('get', '/tools/', '--prefix', '--keys-only', '--limit=1')).stdout,
    '/tools/assess\n\n',
  )
  assert.equal(
    (await ctl('get', '', '--prefix', '--keys-only')).stdout,
    '/tools/assess\n\n/tools/collect\n\n',
  )
  assert.equal((await ctl('put', '/tools/collect', 'three', '--prev-kv')).stdout, 'OK\n/tools/collect\none\n')
  assert.equal((await ctl('del', '/tools/', '--prefix', '--prev-kv')).stdout.split('\n')[0], '2')
  assert.deepEqual(node.registry.list('/tools/'), [])

  assert.match((await ctl('member', 'list')).stdout, /started, alice, p2p:\/\/12D3Koo/)
  assert.match((await ctl('endpoint', 'status')).stdout, /3\.4\.0\+mao/)
  assert.equal((await ctl('endpoint', 'health')).code, 0)
})

test('etcdctl watches a prefix and sees what another member registers', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const surface = await serve(t, bob)
  const args = [`--endpoints=${surface.address()}`, 'watch', '--prefix', '/tools/', '--prev-kv']
  const watching = spawnProgram(t, 'etcdctl', args, { env: { ETCDCTL_API: '3' } })
  const says = (text: string) =>
    eventually(() => watching.stdout().endsWith(text), `etcdctl never said ${JSON.stringify(text)}`)
  // etcdctl does not say when its watch stands; a member's write is repeated until it is seen.
  await eventually(async () => {
    await alice.registry.put('/tools/first', bytes('here'))
    return watching.stdout().includes('/tools/first\nhere\n')
  }, 'the watch never saw anything')
  await alice.registry.put('/tools/collect', bytes('one'))
  await says('PUT\n/tools/collect\none\n')
  await alice.registry.put('/pipelines/other', bytes('not watched'))
  await alice.registry.delete('/tools/collect')
  await says('DELETE\n/tools/collect\none\n/tools/collect\n\n')
  assert(!watching.stdout().includes('other'))
})

test('the etcd3 client reads, writes and watches', async (t) => {
  const node = await startRegistryNode(t)
  const etcd = client(t, await serve(t, node))
  const seen: string[] = []
  const watcher = await etcd.watch().prefix('/pipelines/').withPreviousKV().create()
  watcher.on('put', (kv, previous) => {
    seen.push(`put ${kv.key} ${kv.value} ${previous?.value ?? '-'}`)
  })
  watcher.on('delete', (kv, previous) => {
    seen.push(`delete ${kv.key} ${previous?.value ?? '-'}`)
  })
  const first = await etcd.put('/pipelines/weekly').value('1')
  const second = await etcd.put('/pipelines/weekly').value('2')
  assert.equal(Number(second.header.revision), Number(first.header.revision) + 1)
  assert.deepEqual(await etcd.getAll().prefix('/pipelines/').strings(), { '/pipelines/weekly': '2' })
  assert.equal(await etcd.getAll().prefix('/pipelines/').count(), 1)
  const { kvs } = await etcd.get('/pipelines/weekly').exec()
  assert.deepEqual(
    [kvs[0]?.create_revision, kvs[0]?.mod_revision],
    [first.header.revision, second.header.revision],
  )
  assert.equal((await etcd.delete().prefix('/pipelines/')).deleted, '1')
  const expected = ['put /pipelines/weekly 1 -', 'put /pipelines/weekly 2 1', 'delete /pipelines/weekly 2']
  await eventually(() => seen.length === 3, 'the watch missed something')
  assert.deepEqual(seen, expected)
  await watcher.cancel()
  await etcd.put('/pipelines/weekly').value('3')
  assert.equal(seen.length, 3)
})

test('what the federation does not allow is refused in words, and the node stays up', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  await alice.registry.put('/tools/collect', bytes('of alice'))
  await eventually(() => bob.registry.get('/tools/collect') !== undefined, 'bob never heard of the tool')
  const surface = await serve(t, bob)
  const { revision } = bob.registry.keyValues
  const refused = async (args: string[], words: RegExp) => {
    const { code, stderr } = await etcdctl(t, surface, args)
    assert.equal(code, 1, stderr)
    assert.match(stderr, words)
  }
  await Promise.all([
    refused(['put', '/tools/a/b', 'bar'], /mao: The federation shares no key .*such as \/local\//),
    refused(['put', '/tools/collect', 'x'], /mao: .*claim of alice; only its author or an operator/),
    refused(['del', '/tools/collect'], /mao: .*claim of alice/),
    refused(['del', '/tools/', '--prefix'], /mao: .*claim of alice/),
    refused(['put', `/members/${bob.identity.peerId}`, 'x'], /mao: .*does not let it write/),
    refused(['put', `/successions/${bob.identity.peerId}`, 'x'], /mao: .*written by the node itself alone/),
    ...[
      `/rounds/d/s/1/opening`,
      `/ballots/d/s/1/${bob.identity.peerId}`,
      '/truth/d',
      `/audit/d/1/${bob.identity.peerId}`,
    ].map((key) => refused(['put', key, 'x'], /mao: .*written by the node itself alone/)),
    refused(['put', `/presence/${alice.identity.peerId}`, 'x'], /mao: .*Only the peer/),
    refused(['put', '/tools/big', 'x'.repeat(70_000)], /etcdserver: request is too large/),
    refused(['get', '/tools/collect', '--rev=999'], /required revision is a future revision/),
    refused(['put', '/tools/x', 'y', '--lease=1234'], /etcdserver: requested lease not found/),
    refused(['member', 'add', 'carol', '--peer-urls=http://127.0.0.1:1'], /mao: .*MemberAdd/),
  ])
  const etcd = client(t, surface)
  const swap = etcd.if('/tools/a', 'Version', '==', 0).then(etcd.put('/tools/a').value('1'))
  await assert.rejects(swap.commit(), { message: /compare-and-swap on a replicated key cannot hold/ })
  assert.equal(bob.registry.keyValues.revision, revision, 'nothing of it happened')
  assert.deepEqual(bob.registry.claims('/tools/collect').length, 1)
  assert.equal(await etcd.get('/tools/collect').string(), 'of alice')
})

test('where two members claim one name, one deletes its own, and then the other comes to show', async (t) => {
  // Nothing is told at once, so both claim it.
  const alice = await startRegistryNode(t, { gossip: false })
  const [bob, carol] = await Promise.all(
    ['bob', 'carol'].map(async (name) => {
      const node = await startRegistryNode(t, { genesis: alice.genesis, gossip: false })
      await alice.members.admit(node.identity.peerId, name, 'member')
      return node
    }),
  )
  assert(bob && carol)
  for (const node of [bob, carol]) {
    await node.network.dial(alice.network.addresses())
    await node.sync.pullNow(alice.identity.peerId)
  }
  await bob.registry.put('/tools/collect', bytes('of bob'))
  // Of claims of one millisecond the lower peer id's is shown.
  const claimedMs = bob.registry.get('/tools/collect')?.timeMs ?? 0
  await eventually(() => Date.now() > claimedMs, 'the clock stands still', 1_000, 1)
  await carol.registry.put('/tools/collect', bytes('of carol'))
  await bob.network.dial(carol.network.addresses())
  await bob.sync.pullNow(carol.identity.peerId)
  assert.equal(bob.registry.claims('/tools/collect').length, 2)
  const etcd = client(t, await serve(t, bob))
  assert.equal(await etcd.get('/tools/collect').string(), 'of bob')
  const seen: string[] = []
  const watcher = await etcd.watch().key('/tools/collect').create()
  t.after(() => watcher.cancel())
  watcher.on('put', (kv) => void seen.push(`put ${kv.value}`))
  watcher.on('delete', () => void seen.push('delete'))
  assert.equal((await etcd.delete().key('/tools/collect')).deleted, '1')
  assert.equal(await etcd.get('/tools/collect').string(), 'of carol')
  await eventually(() => seen.length === 1, 'the watch was not told')
  assert.deepEqual(seen, ['put of carol'])
  await assert.rejects(etcd.delete().key('/tools/collect').exec(), { message: /claim of carol/ })
})

test("keys outside of the federation's prefixes stay on the node, with locks and leases", async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const etcd = client(t, await serve(t, bob))
  const lease = etcd.lease(60)
  await lease.put('/local/worker').value('here')
  const done = await etcd.lock('jobs').do(async () => {
    await assert.rejects(etcd.lock('jobs').acquire())
    return 'alone'
  })
  assert.equal(done, 'alone')
  assert.equal(await etcd.get('/local/worker').string(), 'here')
  await bob.registry.put('/tools/collect', bytes('shared'))
  await eventually(() => alice.registry.get('/tools/collect') !== undefined, 'alice never heard of the tool')
  assert.equal(alice.registry.keyValues.get('/local/worker'), undefined)
  await lease.revoke()
  assert.equal(await etcd.get('/local/worker').exists(), false)
})

test('a lease on a shared key ends at every member', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const etcd = client(t, await serve(t, bob))
  const lease = etcd.lease(2, { autoKeepAlive: false })
  await lease.put('/shared/here').value('for a moment')
  await eventually(() => alice.registry.get('/shared/here') !== undefined, 'alice never heard of the key')
  await eventually(
    () => alice.registry.get('/shared/here') === undefined,
    'the key did not end at alice',
    20_000,
  )
  await eventually(() => bob.registry.get('/shared/here') === undefined, 'the key did not end at bob', 20_000)
})

test('the surface stands on loopback alone, says when its port is taken, and can start again', async (t) => {
  const node = await startRegistryNode(t)
  const first = await serve(t, node)
  const { registry, members, identity } = node
  const parts = { registry, members, self: identity.peerId, log: silentLogger }
  const port = Number(first.address().split(':').at(-1))
  const second = new EtcdSurface({ ...parts, host: '127.0.0.1', port })
  await assert.rejects(second.start(), { code: 'PORT_IN_USE' })
  const open = new EtcdSurface({ ...parts, host: '0.0.0.0', port: 0, authenticate: () => true })
  await assert.rejects(open.start(), { code: 'INVALID_CONFIG', message: /TLS only/ })
  const tokenless = new EtcdSurface({ ...parts, host: '127.0.0.1', port: 0, requireToken: true })
  await assert.rejects(tokenless.start(), { code: 'INVALID_CONFIG', message: /has none/ })
  const args = [`--endpoints=${first.address()}`, 'watch', '--prefix', '/tools/']
  const watching = spawnProgram(t, 'etcdctl', args, { env: { ETCDCTL_API: '3' } })
  await eventually(async () => {
    await node.registry.put('/tools/collect', bytes('one'))
    return watching.stdout() !== ''
  }, 'the watch never saw anything')
  await first.stop()
  await second.start()
  await second.stop()
  await second.stop()
})

test('bytes that are no message are refused by their code', async (t) => {
  const node = await startRegistryNode(t)
  const surface = await serve(t, node)
  const { Client, credentials } = await import('@grpc/grpc-js')
  const raw = new Client(surface.address(), credentials.createInsecure())
  t.after(() => raw.close())
  const call = (path: string, message: Buffer) =>
    new Promise<number>((resolve) => {
      const deadline = { deadline: Date.now() + 5_000 }
      raw.makeUnaryRequest(
        path,
        (m: Buffer) => m,
        (m) => m,
        message,
        deadline,
        (error) => {
          resolve(error?.code ?? status.OK)
        },
      )
    })
  assert.equal(await call('/etcdserverpb.KV/Range', Buffer.from([0x0a, 0xff])), status.INTERNAL)
  assert.equal(await call('/etcdserverpb.KV/Range', Buffer.alloc(0)), status.INVALID_ARGUMENT)
  assert.equal(await call('/etcdserverpb.KV/Range', Buffer.alloc(3 * 1024 * 1024)), status.RESOURCE_EXHAUSTED)
  assert.equal(await call('/etcdserverpb.KV/Nonsense', Buffer.alloc(0)), status.UNIMPLEMENTED)
})
