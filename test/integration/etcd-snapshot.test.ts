import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Etcd3 } from 'etcd3'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { runProgram, spawnProgram } from '../support/child-process.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { startKeyValueNode } from '../support/key-value-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

async function serve(t: TestContext) {
  const { registry, members, identity, keyValues } = await startKeyValueNode(t)
  const where = { self: identity.peerId, host: '127.0.0.1', port: 0 }
  const surface = new EtcdSurface({ registry, members, ...where, log: silentLogger })
  await surface.start()
  t.after(() => surface.stop())
  const put = (key: string, value: Uint8Array | string, lease = 0n) => {
    return keyValues.transact((tx) => tx.put(key, typeof value === 'string' ? bytes(value) : value, lease))
  }
  return { keyValues, put, address: surface.address() }
}

const etcdctl = async (t: TestContext, ...args: string[]) => {
  const { code, stdout, stderr } = await runProgram(t, 'etcdctl', args, { env: { ETCDCTL_API: '3' } })
  assert.equal(code, 0, stderr)
  return stdout
}

async function save(t: TestContext, address: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'snapshot.db')
  await etcdctl(t, `--endpoints=${address}`, 'snapshot', 'save', file)
  return file
}

/** A real etcd that starts on a snapshot. */
async function restore(t: TestContext, file: string): Promise<Etcd3> {
  const directory = join(await temporaryDirectory(t), 'etcd')
  const [clients, peers] = [`127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`]
  const cluster = ['--name=copy', `--initial-cluster=copy=${peers}`, `--initial-advertise-peer-urls=${peers}`]
  await etcdctl(t, 'snapshot', 'restore', file, `--data-dir=${directory}`, ...cluster)
  const urls = [`--listen-client-urls=http://${clients}`, `--advertise-client-urls=http://${clients}`]
  const etcd = spawnProgram(t, 'etcd', [
    ...[`--data-dir=${directory}`, ...cluster, ...urls, `--listen-peer-urls=${peers}`],
    ...['--log-level=error', '--logger=zap', '--log-outputs=stderr'],
  ])
  const healthy = async () => {
    assert.equal(etcd.child.exitCode, null, 'etcd does not start on the snapshot')
    return (await fetch(`http://${clients}/health`).catch(() => undefined))?.ok === true
  }
  await eventually(healthy, 'etcd does not answer', 20_000)
  const client = new Etcd3({ hosts: clients })
  t.after(() => client.close())
  return client
}

test('a stock etcd starts on a snapshot of this node and has its keys, its past and its leases', async (t) => {
  const { keyValues, put, address } = await serve(t)
  const every = Uint8Array.from({ length: 256 }, (_, i) => i)
  const lease = await keyValues.leases.grant(4711n, 3_600)
  await put('/tools/a', 'first')
  await put('/tools/a', 'second')
  await put('/local/gone', 'x')
  const { revision } = await put('/local/bytes\xff\x00', every)
  await keyValues.transact((tx) => tx.delete({ from: '/local/gone', to: undefined }))
  await put('/local/leased', 'held', lease.id)
  await keyValues.transact(async (tx) => {
    for (let n = 0; n < 20; n += 1) await tx.put(`/local/together/${n}`, bytes(`${n}`), 0n)
  })
  await put('/local/large', new Uint8Array(1_000_000).fill(7))
  await put('/local/empty', '')

  const copy = await restore(t, await save(t, address))
  const all = await copy.getAll().all().exec()
  const theirs = all.kvs.map((kv) => [
    ...[kv.key.toString('latin1'), kv.value.toString('latin1'), kv.create_revision, kv.mod_revision],
    ...[kv.version, kv.lease],
  ])
  const ours = keyValues
    .range({ from: '', to: null })
    .map((kv) => [
      ...[kv.key, Buffer.from(kv.value).toString('latin1'), `${kv.created}`, `${kv.modified}`],
      ...[`${kv.version}`, `${kv.lease}`],
    ])
  assert.deepEqual(theirs, ours)
  assert.equal(all.header.revision, `${keyValues.revision}`)
  const past = await copy.getAll().prefix('/').revision(`${revision}`).exec()
  assert.deepEqual(
    past.kvs.map(({ key }) => key.toString('latin1')),
    keyValues.range({ from: '/', to: '0' }, revision).map(({ key }) => key),
  )
  const { TTL, keys } = await copy.leaseClient.leaseTimeToLive({ ID: '4711', keys: true })
  assert(Number(TTL) > 3_000)
  assert.deepEqual(keys.map(String), ['/local/leased'])
  await copy.put('/tools/a').value('third')
  assert.equal(await copy.get('/tools/a').string(), 'third')
})

test('what was compacted is compacted in the copy too', async (t) => {
  const { keyValues, put, address } = await serve(t)
  for (const value of ['1', '2', '3']) await put('/local/a', value)
  await put('/local/old', 'still there')
  const { revision } = await put('/local/b', '1')
  await keyValues.transact((tx) => tx.delete({ from: '/local/b', to: undefined }))
  await keyValues.compact(revision)
  await put('/local/a', '4')
  const copy = await restore(t, await save(t, address))
  assert.deepEqual(await copy.getAll().prefix('/local/').strings(), {
    '/local/a': '4',
    '/local/old': 'still there',
  })
  const then = copy.getAll().prefix('/local/').revision(`${revision}`)
  assert.deepEqual(await then.strings(), { '/local/a': '3', '/local/b': '1', '/local/old': 'still there' })
  await assert.rejects(
    copy
      .get('/local/a')
      .revision(revision - 1)
      .exec(),
    { message: /has been compacted/ },
  )
})

test('a large store is a deep tree, which etcdctl finds whole; one that was changed it refuses', async (t) => {
  const { keyValues, put, address } = await serve(t)
  for (let round = 0; round < 12; round += 1) {
    await keyValues.transact(async (tx) => {
      for (let n = 0; n < 5_000; n += 1) await tx.put(`/local/many/${n}`, bytes(`${round} ${n}`), 0n)
    })
  }
  await put('/local/big', new Uint8Array(300_000))
  const file = await save(t, address)
  const status = JSON.parse(await etcdctl(t, 'snapshot', 'status', file, '--write-out=json'))
  assert.equal(status.revision, keyValues.revision)
  assert(status.totalKey > 60_000)
  const copy = await restore(t, file)
  const { kvs } = await copy.getAll().prefix('/local/many/').exec()
  assert.equal(kvs.length, 5_000)
  assert(kvs.every((kv) => kv.value.toString().startsWith('11 ')))
  const whole = await readFile(file)
  whole[9_000] = (whole[9_000] as number) ^ 1
  const broken = `${file}.broken`
  await writeFile(broken, whole)
  const directory = join(await temporaryDirectory(t), 'etcd')
  const refused = await runProgram(t, 'etcdctl', ['snapshot', 'restore', broken, `--data-dir=${directory}`], {
    env: { ETCDCTL_API: '3' },
  })
  assert.notEqual(refused.code, 0)
  assert.match(refused.stderr, /expected sha256/)
})
