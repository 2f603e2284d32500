import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  etcdPendingResponsesMax,
  etcdWatchFragmentBytesMax,
  etcdWatchTurnEvents,
} from '../../../src/base/limits.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { headersOf } from '../../../src/etcd/header.ts'
import type { WatchCreateRequest, WatchRequest } from '../../../src/etcd/requests.ts'
import type { EtcdError } from '../../../src/etcd/status.ts'
import { WatchService } from '../../../src/etcd/watch-service.ts'
import type { Message } from '../../../src/etcd/wire/codec.ts'
import { decode, encode } from '../../../src/etcd/wire/codec.ts'
import { messageType } from '../../../src/etcd/wire/schema.ts'
import { watchRequest } from '../../support/etcd-requests.ts'
import { eventually } from '../../support/eventually.ts'
import { startKeyValueNode } from '../../support/key-value-node.ts'

const RESPONSE = messageType('WatchResponse')
const bytes = (text: string) => new TextEncoder().encode(text)

/** A client that takes what it is sent as long as it is not slow, and reads it off the wire. */
class Client {
  readonly taken: Message[] = []
  slow = false
  error: EtcdError | undefined
  ended = false
  #listeners: { message?: (request: WatchRequest) => void; drain?: () => void; close?: () => void } = {}

  onMessage(heard: (request: WatchRequest) => void): void {
    this.#listeners.message = heard
  }
  onEnd(): void {
    // A half-closed call goes on.
  }
  onClose(heard: () => void): void {
    this.#listeners.close = heard
  }
  onDrain(heard: () => void): void {
    this.#listeners.drain = heard
  }
  write(response: object): boolean {
    this.taken.push(decode(RESPONSE, encode(RESPONSE, response)))
    return !this.slow
  }
  end(error?: EtcdError): void {
    this.error = error
    this.ended = true
    this.close()
  }

  close(): void {
    this.#listeners.close?.()
  }
  drain(): void {
    this.slow = false
    this.#listeners.drain?.()
  }
  say(request: Partial<WatchRequest>): void {
    const nothing = { create_request: undefined, cancel_request: undefined, progress_request: undefined }
    this.#listeners.message?.({ ...nothing, ...request })
  }
  create(key: string, end = '', more: Partial<WatchCreateRequest> = {}): void {
    this.say({ create_request: watchRequest(key, end, more) })
  }
  cancel(watch_id: bigint): void {
    this.say({ cancel_request: { watch_id } })
  }

  /** What was told, as `id: put key=value was=value`, a line an answer. */
  lines(from = 0): string[] {
    return this.taken.slice(from).map((answer) => {
      const events = (answer['events'] as Message[]).map(told)
      const flags = ['created', 'canceled', 'fragment'].filter((flag) => answer[flag] === true)
      const reason = answer['cancel_reason'] === '' ? [] : [answer['cancel_reason']]
      return `${answer['watch_id']}: ${[...flags, ...reason, ...events].join(' ')}`
    })
  }
}

function told({ type, kv, prev_kv }: Message): string {
  const { key, value } = kv as Record<string, Buffer>
  const was = prev_kv === undefined ? '' : ` was=${(prev_kv as Record<string, Buffer>)['value']}`
  return type === 0 ? `put ${key}=${value}${was}` : `delete ${key}${was}`
}

function revisionOf(answer: Message | undefined): unknown {
  const header = answer?.['header'] as Message | undefined
  return header?.['revision']
}

async function open(t: TestContext, progressIntervalMs = 60_000) {
  const { keyValues } = await startKeyValueNode(t)
  const header = headersOf(1n, 2n)
  const service = new WatchService({ keyValues, header, progressIntervalMs, log: silentLogger })
  await service.start()
  t.after(() => service.stop())
  const connect = () => {
    const client = new Client()
    service.duplex.Watch(client)
    return client
  }
  const put = (key: string, value = '1') => keyValues.transact((tx) => tx.put(key, bytes(value), 0n))
  const remove = (key: string) => keyValues.transact((tx) => tx.delete({ from: key, to: undefined }))
  return { keyValues, service, client: connect(), connect, put, remove }
}

test('a stream carries many watches, each under its own id', async (t) => {
  const { client, put } = await open(t)
  client.create('/k/', '/k0')
  client.create('/k/a', '', { watch_id: 5n })
  client.create('/k/a', '', { watch_id: 5n })
  client.create('/k/b', '/k/a')
  client.create('/k/b')
  assert.deepEqual(client.lines(), [
    '0: created',
    '5: created',
    '-1: created canceled mvcc: duplicate watch ID provided on the WatchStream',
    '-1: created canceled mvcc: watcher range is empty',
    '1: created',
  ])
  await put('/k/a')
  await put('/k/b', '2')
  assert.deepEqual(client.lines(5).sort(), [
    '0: put /k/a=1',
    '0: put /k/b=2',
    '1: put /k/b=2',
    '5: put /k/a=1',
  ])
})

test('events of one revision come together; filters and earlier values as asked', async (t) => {
  const { client, keyValues, put, remove } = await open(t)
  await put('/k/a', 'old')
  client.create('/k/', '/k0', { prev_kv: true })
  client.create('/k/', '/k0', { filters: [0] })
  client.create('/k/', '/k0', { filters: [1] })
  await keyValues.transact(async (tx) => {
    await tx.put('/k/a', bytes('new'), 0n)
    await tx.put('/k/b', bytes('new'), 0n)
  })
  await remove('/k/a')
  assert.deepEqual(client.lines(3), [
    '0: put /k/a=new was=old put /k/b=new',
    '2: put /k/a=new put /k/b=new',
    '0: delete /k/a was=new',
    '1: delete /k/a',
  ])
  assert.equal(revisionOf(client.taken.at(-1)), BigInt(keyValues.revision))
})

test('a cancelled watch is told so once and hears no more', async (t) => {
  const { client, put } = await open(t)
  client.create('/k/a')
  client.cancel(0n)
  client.cancel(0n)
  await put('/k/a')
  assert.deepEqual(client.lines(), ['0: created', '0: canceled'])
})

test('a watch of the future hears nothing before it, one of the past hears all since', async (t) => {
  const { client, keyValues, put } = await open(t)
  const first = keyValues.revision + 1
  for (const value of ['1', '2', '3']) await put('/k/a', value)
  client.create('/k/a', '', { start_revision: BigInt(first + 4) })
  client.create('/k/a', '', { start_revision: BigInt(first + 1) })
  for (const value of ['4', '5']) await put('/k/a', value)
  const heard = client.lines(1).join(' ')
  assert.equal(
    heard.replaceAll('1: put', 'put'),
    '1: created put /k/a=2 put /k/a=3 put /k/a=4 0: put /k/a=5 put /k/a=5',
  )
})

test('what was compacted is said with where the rest begins', async (t) => {
  const { client, keyValues, put } = await open(t)
  for (const value of ['1', '2', '3']) await put('/k/a', value)
  const { revision } = keyValues
  await keyValues.compact(revision - 1)
  client.create('/k/a', '', { start_revision: BigInt(revision - 2), prev_kv: true })
  client.create('/k/a', '', { start_revision: BigInt(revision - 1), prev_kv: true })
  const past = client.lines(3).join(' ')
  assert.deepEqual(client.lines().slice(0, 3), ['0: created', '0: canceled', '1: created'])
  assert.deepEqual(
    [client.taken[1]?.['compact_revision'], revisionOf(client.taken[1])],
    [BigInt(revision - 1), 0n],
  )
  assert.equal(past, '1: put /k/a=2 put /k/a=3 was=2')
})

test('a slow client holds nothing up and misses nothing: it reads the history later', async (t) => {
  const { client, connect, put, remove } = await open(t)
  const quick = connect()
  for (const who of [client, quick]) who.create('/k/', '/k0', { prev_kv: true })
  client.slow = true
  await put('/k/a', '1')
  for (const value of ['2', '3']) await put('/k/a', value)
  await put('/other')
  await remove('/k/a')
  assert.deepEqual(client.lines(1), ['0: put /k/a=1'], 'nothing is sent to who does not take it')
  client.drain()
  assert.deepEqual(client.lines(2), ['0: put /k/a=2 was=1 put /k/a=3 was=2 delete /k/a was=3'])
  await put('/k/a', '4')
  assert.deepEqual(client.lines(3), ['0: put /k/a=4'])
  assert.equal(quick.lines(1).length, 5)
})

test('a slow client whose history was compacted is told so', async (t) => {
  const { client, keyValues, put } = await open(t)
  client.create('/k/a')
  client.slow = true
  for (const value of ['1', '2', '3']) await put('/k/a', value)
  await keyValues.compact(keyValues.revision)
  client.drain()
  assert.deepEqual(client.lines(2), ['0: canceled'])
})

test('a long past comes in turns, whole revisions at a time, and then the present', async (t) => {
  const { client, keyValues, put } = await open(t)
  const first = keyValues.revision + 1
  const many = 2 * etcdWatchTurnEvents + 7
  await keyValues.transact(async (tx) => {
    for (let n = 0; n < many; n += 1) await tx.put(`/k/${n}`, bytes('x'), 0n)
  })
  const writes = Array.from({ length: etcdWatchTurnEvents }, (_, n) => put('/k/a', `${n}`))
  await Promise.all(writes)
  client.create('/k/', '/k0', { start_revision: BigInt(first) })
  const count = () => client.taken.reduce((sum, answer) => sum + (answer['events'] as Message[]).length, 0)
  await eventually(() => count() === many + etcdWatchTurnEvents, 'the past was not told whole')
  const revisions = client.taken.map((answer) => {
    return new Set((answer['events'] as Message[]).map(({ kv }) => (kv as Message)['mod_revision']))
  })
  const told = revisions.flatMap((of) => [...of])
  assert.equal(new Set(told).size, told.length, 'no revision is told in two answers')
  await put('/k/a', 'now')
  assert.equal(client.lines().at(-1), '0: put /k/a=now')
})

test('what is large is cut only for who asks for fragments, and never within an event', async (t) => {
  const { client, keyValues } = await open(t)
  client.create('/k/', '/k0', { fragment: true })
  client.create('/k/', '/k0')
  const value = new Uint8Array(etcdWatchFragmentBytesMax / 2)
  await keyValues.transact(async (tx) => {
    for (const name of ['a', 'b', 'c']) await tx.put(`/k/${name}`, value, 0n)
  })
  const parts = client.taken.slice(2).map((answer) => {
    return [answer['watch_id'], (answer['events'] as Message[]).length, answer['fragment']]
  })
  assert.deepEqual(parts, [
    [0n, 1, true],
    [0n, 1, true],
    [0n, 1, false],
    [1n, 3, false],
  ])
})

test('progress is told when it is asked for, after all that came before', async (t) => {
  const { client, put } = await open(t)
  client.create('/k/a')
  client.slow = true
  await put('/k/a', '1')
  await put('/k/a', '2')
  client.say({ progress_request: {} })
  assert.equal(client.taken.length, 2)
  client.drain()
  assert.deepEqual(client.lines(2), ['0: put /k/a=2', '-1: '])
})

test('a quiet watch that wants it is told how far the node has come', async (t) => {
  const { client, keyValues } = await open(t, 20)
  client.create('/k/a', '', { progress_notify: true })
  client.create('/k/b')
  await eventually(() => client.taken.length >= 4, 'no progress was told')
  assert.deepEqual(new Set(client.lines(2)), new Set(['0: ']))
  assert.equal(revisionOf(client.taken[2]), BigInt(keyValues.revision))
})

test('a client that asks on and never reads is cut off', async (t) => {
  const { client } = await open(t)
  client.slow = true
  client.create('/k/a')
  for (let n = 0; n <= etcdPendingResponsesMax; n += 1) client.create('/k/b', '/k/a')
  assert.deepEqual([client.ended, client.error?.code, client.taken.length], [true, 8, 1])
})

test('a stream is over once, whoever ends it, and hears nothing after', async (t) => {
  const { client, connect, service, put } = await open(t)
  client.create('/k/a')
  client.close()
  client.close()
  await put('/k/a')
  assert.equal(client.taken.length, 1)
  const other = connect()
  await service.stop()
  assert.deepEqual([other.ended, other.error?.code, client.ended], [true, 14, false])
})
