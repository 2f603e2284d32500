import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { suite, type TestContext, test } from 'node:test'
import { Etcd3 } from 'etcd3'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { DAY_MS, recordBytesMax } from '../../src/base/limits.ts'
import { createLogger } from '../../src/base/logger.ts'
import { clusterAddress } from '../../src/etcd/cluster-address.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { placeOf } from '../../src/registry/record.ts'
import { runProgram } from '../support/child-process.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { sealRecord } from '../support/records.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'
import { type StrongNode, startStrongFederation, startStrongNode } from '../support/strong-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString()

function clientOf(t: TestContext, etcd: StrongEtcd): Etcd3 {
  const client = new Etcd3({ hosts: [...etcd.endpoints] })
  t.after(() => client.close())
  return client
}

const keyOf = ({ genesis }: Pick<StrongNode, 'genesis'>, place: string) =>
  `/mao/${genesis.federation}/records${place}`

/** The places below `/tools/` that the cluster keeps. */
const toolsIn = async (client: Etcd3, node: StrongNode) =>
  (await client.getAll().prefix(keyOf(node, '/tools/')).keys()).map((key) =>
    key.slice(keyOf(node, '').length),
  )

test('a record is kept at its place below the federation, as its author sealed it', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const client = clientOf(t, etcd)
  const alice = await startStrongNode(t, { address: { endpoints: etcd.endpoints } })
  await alice.registry.put('/tools/x', bytes('1'))
  const key = keyOf(alice, `/tools/x ${alice.identity.peerId}`)
  const kept = await client.get(key).buffer()
  assert.deepEqual(new Uint8Array(kept ?? []), alice.registry.envelope('/tools/x'))
})

test('with a user and a password: whoever has none is refused, and says so', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  for (const command of [
    'user add root:rootpw',
    'user grant-role root root',
    'role add mao',
    'role grant-permission --prefix mao readwrite /mao/',
    'user add mao:hush',
    'user grant-role mao mao',
    'auth enable',
  ]) {
    await etcd.ctl(...command.split(' '))
  }
  const directory = await temporaryDirectory(t)
  const address = async (password: string) => {
    const registryPasswordFile = join(directory, password)
    await writeFile(registryPasswordFile, `${password}\n`, { mode: 0o600 })
    const settings = { registry: `etcd://127.0.0.1:${etcd.port(0)}`, registryUser: 'mao', registryCaFile: '' }
    const found = await clusterAddress({ ...settings, registryPasswordFile })
    assert(found)
    return found
  }
  const [alice, bob] = await startStrongFederation(t, ['bob'], { address: await address('hush') })
  assert(alice && bob)
  await bob.registry.put('/tools/x', bytes('1'))
  await eventually(() => alice.registry.get('/tools/x') !== undefined, 'the tool never arrived')

  const { genesis } = alice
  for (const wrong of [await address('guess'), { endpoints: etcd.endpoints }]) {
    const stranger = await startStrongNode(t, { genesis, address: wrong })
    await eventually(() => stranger.cluster.state().lastError !== undefined, 'nothing is said', 20_000)
    const { connected, lastError } = stranger.cluster.state()
    assert.equal(connected, false)
    assert.match(lastError ?? '', /authentication failed|user name is empty|permission denied/i)
    assert.doesNotMatch(lastError ?? '', /guess/)
    assert.equal(stranger.registry.get('/tools/x'), undefined)
    await stranger.stop()
  }

  // Tokens do not survive the server, nor a change of the rights.
  await etcd.kill(0)
  await etcd.launchAndAnswer(0)
  await eventually(() => bob.cluster.state().connected, 'bob did not come back with a new token', 30_000)
  await bob.registry.put('/tools/x', bytes('2'))
  await etcd.ctl('--user=root:rootpw', 'user', 'grant-role', 'mao', 'root')
  await bob.registry.put('/tools/x', bytes('3'))
  await eventually(() => text(alice.registry.get('/tools/x')?.value) === '3', 'alice hears no more', 30_000)
})

test('over TLS, with the authority that the settings name and no other', async (t) => {
  const directory = await temporaryDirectory(t)
  const [good, other] = [await certificate(t, directory, 'good'), await certificate(t, directory, 'other')]
  const etcd = await StrongEtcd.start(t, { members: 1, tls: good })
  const address = async (registryCaFile: string) => {
    const settings = { registryUser: '', registryPasswordFile: '', registryCaFile }
    const found = await clusterAddress({ registry: `etcds://localhost:${etcd.port(0)}`, ...settings })
    assert(found)
    return found
  }
  const alice = await startStrongNode(t, { address: await address(good.certificate) })
  await alice.cluster.catchUp()
  await alice.registry.put('/tools/x', bytes('1'))
  const { genesis } = alice
  const bob = await startStrongNode(t, { genesis, address: await address(other.certificate) })
  await eventually(() => bob.cluster.state().lastError !== undefined, 'nothing is said')
  assert.equal(bob.cluster.state().connected, false)
  assert.match(bob.cluster.state().lastError ?? '', /certificate|self[- ]signed|issuer/i)
})

test('a whole node starts again without its cluster, knows all, and goes on when it is there', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const config = { registry: `etcd://127.0.0.1:${etcd.port(0)}` }
  const directory = await temporaryDirectory(t)
  const alice = await startTestNode(t, 'alice', { config, directory })
  await alice.createFederation({ name: 'observatory' })
  await alice.federation.registry.put('/tools/x', bytes('1'), { shown: true })
  await alice.stop()
  await etcd.kill(0)
  const again = await startTestNode(t, 'alice', { config, directory })
  assert.equal(text(again.federation.registry.get('/tools/x')?.value), '1')
  await etcd.restart(0)
  await eventually(() => again.federation.cluster?.state().connected === true, 'it did not come back', 30_000)
  await again.federation.registry.delete('/tools/x')
  assert.equal(again.federation.registry.get('/tools/x'), undefined)
})

/** A certificate for this machine that is its own authority. */
async function certificate(t: TestContext, directory: string, name: string) {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  const { code, stderr } = await runProgram(t, 'openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      certificate,
    ],
  ])
  assert.equal(code, 0, stderr)
  return { certificate, key }
}

/** Each has a cluster of its own and waits for the upkeep of its members, which comes every few seconds; so they wait at once. */
suite('upkeep comes round', { concurrency: true }, () => {
  test('rubbish in the cluster is told once and hurts nobody; what it lies upon is put back', async (t) => {
    const lines: { msg: string; place?: string }[] = []
    const sink = new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)))
        done()
      },
    })
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const client = clientOf(t, etcd)
    const [alice, bob] = await startStrongFederation(t, ['bob'], {
      address: { endpoints: etcd.endpoints },
      log: createLogger('info', sink),
    })
    assert(alice && bob)
    const { federation } = alice.genesis
    await bob.registry.put('/tools/x', bytes('1'))
    const stranger = await sealRecord(await generateIdentity(), { federation, key: '/tools/strange' })
    const foreign = await sealRecord(bob.identity, { key: '/tools/foreign' })
    const own = placeOf({ key: '/tools/x', author: bob.identity.peerId })
    const rubbish: readonly [string, Buffer][] = [
      [keyOf(alice, '/tools/a b c'), Buffer.from('no envelope')],
      [keyOf(alice, '/tools/\u00ff\u0000'), Buffer.alloc(0)],
      [keyOf(alice, '/'), Buffer.alloc(recordBytesMax * 20, 7)],
      [keyOf(alice, `${placeOf(stranger)}`), Buffer.from(stranger.envelope)],
      [keyOf(alice, `${placeOf(foreign)}`), Buffer.from(foreign.envelope)],
      [keyOf(alice, own), Buffer.from('scribbled over')],
    ]
    for (const [key, value] of rubbish) await client.put(key).value(value)
    await client.put(rubbish[0]?.[0] as string).value('once more')
    await bob.registry.put('/tools/after', bytes('2'))
    await eventually(() => alice.registry.get('/tools/after') !== undefined, 'alice hears no more')
    assert.deepEqual(
      alice.registry.list('/tools/').map(({ key }) => key),
      ['/tools/after', '/tools/x'],
    )
    const told = () => lines.filter(({ msg }) => msg.includes('no record')).map(({ place }) => place)
    assert.equal(
      told().filter((place) => place === '/tools/a b c').length,
      2,
      'once for each of the two nodes',
    )
    const restored = async () => {
      const kept = await client.get(keyOf(alice, own)).buffer()
      return (
        kept !== null && Buffer.compare(kept, bob.registry.envelope('/tools/x') ?? new Uint8Array()) === 0
      )
    }
    await eventually(restored, 'bob did not put back what is his', 20_000)

    // A newcomer reads past all of it.
    const carol = await startStrongNode(t, { genesis: alice.genesis, address: { endpoints: etcd.endpoints } })
    await carol.cluster.catchUp()
    assert.equal(carol.registry.list('/tools/').length, 2)
  })

  test('what outlives itself is taken out of the cluster by its author, a tombstone with what it buries', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const client = clientOf(t, etcd)
    let aheadMs = 0
    const clock: Clock = { now: () => systemClock.now() + aheadMs }
    const options = { address: { endpoints: etcd.endpoints }, clock }
    const [alice, bob] = await startStrongFederation(t, ['bob'], options)
    assert(alice && bob)
    await bob.registry.put('/tools/kept', bytes('1'))
    await bob.registry.put('/tools/brief', bytes('1'), { expiresMs: clock.now() + DAY_MS })
    await bob.registry.put('/tools/buried', bytes('1'))
    await eventually(() => alice.registry.get('/tools/buried') !== undefined, 'the tool never arrived')
    await alice.registry.delete('/tools/buried')
    await eventually(() => bob.registry.get('/tools/buried') === undefined, 'the deletion never arrived')
    await bob.stop()
    assert.equal((await toolsIn(client, alice)).length, 4)

    // Bob is away and cannot take out what is his; of what alice has buried, she does not leave it behind.
    aheadMs = 32 * DAY_MS
    const [kept, brief] = ['kept', 'brief'].map((name) => `/tools/${name} ${bob.identity.peerId}`)
    await eventually(
      async () => (await toolsIn(client, alice)).length === 2,
      'the buried claim stays',
      20_000,
    )
    assert.deepEqual(await toolsIn(client, alice), [brief, kept])
    const { genesis, directory } = bob
    const again = await startStrongNode(t, { ...options, genesis, directory })
    await again.cluster.catchUp()
    const buried = (await toolsIn(client, alice)).filter((place) => place.startsWith('/tools/buried '))
    assert.deepEqual(buried, [], 'bob brought back what is buried')
    const expired = async () => !(await toolsIn(client, alice)).includes(brief ?? '')
    await eventually(expired, 'the expired record stays', 20_000)
    assert.deepEqual(await toolsIn(client, alice), [kept])
    for (const { registry } of [alice, again]) {
      assert.deepEqual(
        registry.list('/tools/').map(({ key }) => key),
        ['/tools/kept'],
      )
    }
  })

  test('what the cluster loses and what a node brings from before are put into it', async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const client = clientOf(t, etcd)
    const options = { address: { endpoints: etcd.endpoints } }
    const [alice, bob] = await startStrongFederation(t, ['bob'], options)
    assert(alice && bob)
    for (let n = 0; n < 200; n += 1) await bob.registry.put(`/tools/t${n}`, bytes('x'))
    await eventually(() => alice.registry.digest() === bob.registry.digest(), 'they never agreed')
    // Somebody deletes in the cluster: nobody forgets anything, and who wrote it puts it back.
    await client.delete().key(keyOf(alice, `/tools/t7 ${bob.identity.peerId}`))
    await eventually(async () => (await toolsIn(client, alice)).length === 200, 'it was not put back', 20_000)
    assert.equal(alice.registry.list('/tools/').length, 200)
    // A cluster that has lost all of it, as one that was set up anew: one member gives back what all have written.
    await bob.stop()
    await alice.stop()
    await client.delete().prefix('/mao/')
    const { genesis, directory } = alice
    const again = await startStrongNode(t, { ...options, genesis, directory })
    await again.cluster.catchUp()
    assert.equal((await toolsIn(client, alice)).length, 200)
    const newcomer = await startStrongNode(t, { ...options, genesis })
    await newcomer.cluster.catchUp()
    assert.equal(newcomer.registry.digest(), again.registry.digest())
  })
})
