import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { etcdKeepAlivesPendingMax } from '../../../src/base/limits.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { headersOf } from '../../../src/etcd/header.ts'
import { LeaseService } from '../../../src/etcd/lease-service.ts'
import type { EtcdError } from '../../../src/etcd/status.ts'
import { eventually } from '../../support/eventually.ts'
import { startKeyValueNode } from '../../support/key-value-node.ts'

interface Renewed {
  readonly ID: bigint
  readonly TTL: number
}

/** A client of LeaseKeepAlive. */
class Client {
  readonly answers: Renewed[] = []
  slow = false
  over: EtcdError | 'well' | undefined
  say: (request: { ID: bigint }) => void = () => undefined
  finish: () => void = () => undefined
  drain: () => void = () => undefined

  onMessage(heard: Client['say']): void {
    this.say = heard
  }
  onEnd(heard: () => void): void {
    this.finish = heard
  }
  onClose(): void {
    // Not heard of here.
  }
  onDrain(heard: () => void): void {
    this.drain = heard
  }
  write(response: object): boolean {
    this.answers.push(response as Renewed)
    return !this.slow
  }
  end(error?: EtcdError): void {
    this.over = error ?? 'well'
  }
}

async function open(t: TestContext) {
  const { keyValues } = await startKeyValueNode(t)
  const service = new LeaseService({ keyValues, header: headersOf(1n, 2n), log: silentLogger })
  const client = new Client()
  service.duplex.LeaseKeepAlive(client)
  return { keyValues, service, client }
}

test('a lease lasts as long as etcd would let it', async (t) => {
  const { service } = await open(t)
  const granted = async (TTL: bigint) => (await service.grant({ ID: 0n, TTL })).TTL
  assert.deepEqual(await Promise.all([60n, 1n, 0n, -5n].map(granted)), [60, 2, 2, 2])
  await assert.rejects(service.grant({ ID: 0n, TTL: 9_000_000_001n }), {
    code: 11,
    message: 'etcdserver: too large lease TTL',
  })
  assert.equal((await service.grant({ ID: -3n, TTL: 9_000_000_000n })).ID, -3n)
  await assert.rejects(service.grant({ ID: -3n, TTL: 5n }), { code: 'LEASE_EXISTS' })
})

test('what hangs on a lease is told when asked, and goes with it at one revision', async (t) => {
  const { service, keyValues } = await open(t)
  await service.grant({ ID: 7n, TTL: 60n })
  for (const key of ['/tools/a', '/local/a']) {
    await keyValues.transact((tx) => tx.put(key, new Uint8Array(), 7n))
  }
  const { keys = [], TTL } = service.timeToLive({ ID: 7n, keys: true })
  assert.deepEqual(keys.map(String).sort(), ['/local/a', '/tools/a'])
  assert(TTL > 50 && TTL <= 60)
  assert.deepEqual(service.timeToLive({ ID: 7n, keys: false }).keys, [])
  assert.deepEqual(service.leases().leases, [{ ID: 7n }])
  const { revision } = keyValues
  assert.equal((await service.revoke({ ID: 7n })).header.revision, revision + 1)
  assert.equal(keyValues.count({ from: '/local/a', to: undefined }), 0)
  assert.equal(service.timeToLive({ ID: 7n, keys: true }).TTL, -1)
  await assert.rejects(service.revoke({ ID: 7n }), { code: 'LEASE_NOT_FOUND' })
})

test('keep-alives are answered in order; one of a lease that is gone has no time', async (t) => {
  const { service, keyValues, client } = await open(t)
  await service.grant({ ID: 1n, TTL: 60n })
  // A shared key is written anew at each keep-alive, so this one takes longer than the next.
  await keyValues.transact((tx) => tx.put('/tools/a', new Uint8Array(), 1n))
  for (const ID of [1n, 99n, 1n]) client.say({ ID })
  client.finish()
  await eventually(() => client.over !== undefined, 'the stream did not end')
  assert.deepEqual(
    client.answers.map(({ ID, TTL }) => [ID, TTL]),
    [
      [1n, 60],
      [99n, 0],
      [1n, 60],
    ],
  )
  assert.equal(client.over, 'well')
})

test('a client that renews on and on and reads nothing is cut off', async (t) => {
  const { client } = await open(t)
  client.slow = true
  for (let n = 0; n <= etcdKeepAlivesPendingMax; n += 1) client.say({ ID: 99n })
  await eventually(() => client.over !== undefined, 'the stream did not end')
  assert(client.over !== 'well')
  assert.equal(client.over?.code, 8)
  assert(client.answers.length <= 1)
})

test('a client that reads again is answered on', async (t) => {
  const { client } = await open(t)
  client.slow = true
  for (let n = 0; n < 10; n += 1) client.say({ ID: 99n })
  await eventually(() => client.answers.length === 1, 'nothing was answered')
  client.slow = false
  client.drain()
  await eventually(() => client.answers.length === 10, 'the rest was not answered')
})
