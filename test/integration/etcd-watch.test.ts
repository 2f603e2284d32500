import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { Etcd3 } from 'etcd3'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { decode, encode } from '../../src/etcd/wire/codec.ts'
import { messageType } from '../../src/etcd/wire/schema.ts'
import { eventually } from '../support/eventually.ts'
import { startKeyValueNode } from '../support/key-value-node.ts'

const KIB = 1024
const HEAD_BYTES = 5
const CREATE = { create_request: { key: Buffer.from('/local/'), range_end: Buffer.from('/local0') } }

async function serve(t: TestContext) {
  const { registry, members, identity, keyValues } = await startKeyValueNode(t)
  const parts = { registry, members, self: identity.peerId, host: '127.0.0.1', log: silentLogger }
  const surface = new EtcdSurface({ ...parts, port: 0 })
  await surface.start()
  t.after(() => surface.stop())
  const put = (key: string, value: Uint8Array) => keyValues.transact((tx) => tx.put(key, value, 0n))
  return { surface, keyValues, put, parts, address: surface.address() }
}

/** A client that opens a watch on an HTTP/2 stream and reads it when it is told to. */
async function slowClient(t: TestContext, address: string) {
  const session = connect(`http://${address}`)
  t.after(() => session.destroy())
  await once(session, 'connect')
  const headers = { ':method': 'POST', ':path': '/etcdserverpb.Watch/Watch', te: 'trailers' }
  const stream = session.request({ ...headers, 'content-type': 'application/grpc' }, { endStream: false })
  const message = encode(messageType('WatchRequest'), CREATE, HEAD_BYTES)
  message.fill(0, 0, HEAD_BYTES)
  message.writeUInt32BE(message.length - HEAD_BYTES, 1)
  stream.write(message)
  await once(stream, 'response')
  let unread = Buffer.alloc(0)
  const revisions: number[] = []
  let answers = 0
  const read = () => {
    stream.on('data', (piece: Buffer) => {
      unread = Buffer.concat([unread, piece])
      while (unread.length >= HEAD_BYTES && unread.length >= HEAD_BYTES + unread.readUInt32BE(1)) {
        const end = HEAD_BYTES + unread.readUInt32BE(1)
        const { events } = decode(messageType('WatchResponse'), unread.subarray(HEAD_BYTES, end))
        for (const { kv } of events as { kv: { mod_revision: bigint } }[])
          revisions.push(Number(kv.mod_revision))
        unread = unread.subarray(end)
        answers += 1
      }
    })
  }
  return { read, revisions, answers: () => answers }
}

test('for a client that does not read nothing is queued, and it finds all that it missed', async (t) => {
  const { keyValues, put, address } = await serve(t)
  const client = await slowClient(t, address)
  const first = keyValues.revision + 1
  const count = 4_000
  await Promise.all(Array.from({ length: count }, (_, n) => put(`/local/${n}`, new Uint8Array(KIB))))
  client.read()
  await eventually(() => client.revisions.length === count, 'the client did not catch up', 20_000)
  assert.deepEqual(
    client.revisions,
    Array.from({ length: count }, (_, n) => first + n),
  )
  // What fits the windows of HTTP/2 was sent one by one; all the rest was read from the history, many at a time.
  assert(client.answers() < count / 4, `${client.answers()} answers for ${count} events`)
  await put('/local/a', new Uint8Array())
  await eventually(() => client.revisions.length === count + 1, 'the client hears no more')
})

test('a watch goes on over a restart of the surface, without a gap', async (t) => {
  const { surface, put, parts, address } = await serve(t)
  const etcd = new Etcd3({ hosts: address })
  t.after(() => etcd.close())
  const seen: string[] = []
  const watcher = await etcd.watch().prefix('/local/').create()
  watcher.on('put', (kv) => void seen.push(kv.value.toString()))
  const say = (word: string) => put('/local/a', Buffer.from(word))
  await say('before')
  await eventually(() => seen.length === 1, 'the watch heard nothing')
  await surface.stop()
  await say('meanwhile')
  const again = new EtcdSurface({ ...parts, port: Number(address.split(':').at(-1)) })
  await again.start()
  await say('after')
  await eventually(() => seen.length === 3, 'the watch did not come back', 20_000)
  assert.deepEqual(seen, ['before', 'meanwhile', 'after'])
  await watcher.cancel()
  await again.stop()
})

test('many watches hear what is theirs, and no more', async (t) => {
  const { put, address } = await serve(t)
  const etcd = new Etcd3({ hosts: address })
  t.after(() => etcd.close())
  const seen = new Map<string, string[]>()
  const watchers = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const watcher = await etcd.watch().key(`/local/${n}`).create()
      watcher.on('put', (kv) => {
        seen.set(`${n}`, [...(seen.get(`${n}`) ?? []), `${kv.key}=${kv.value}`])
      })
      return watcher
    }),
  )
  const writes = Array.from({ length: 300 }, (_, n) => put(`/local/${n % 150}`, Buffer.from(`${n}`)))
  await Promise.all(writes)
  await eventually(() => [...seen.values()].flat().length === 200, 'events are missing')
  for (const [n, words] of seen) {
    assert.deepEqual(words, [`/local/${n}=${n}`, `/local/${n}=${Number(n) + 150}`])
  }
  await Promise.all(watchers.map((watcher) => watcher.cancel()))
})
