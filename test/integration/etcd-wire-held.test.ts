/** What clients make the etcd surface keep in memory: only so much, in whatever way they go about it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { etcdHeldBytesMax } from '../../src/base/limits.ts'
import type { GrpcServer } from '../../src/etcd/wire/grpc-server.ts'
import { eventually } from '../support/eventually.ts'
import { wireServer } from '../support/wire-server.ts'

const WAIT_MS = 30_000
const BIG = 2_000_000
/** Of so large answers, or parts of requests, a few more than may be held. */
const TOO_MANY = Math.ceil(etcdHeldBytesMax / BIG) + 12
const WATCH = '/etcdserverpb.Watch/Watch'
const GRPC = 'application/grpc'
const JSON_TYPE = 'application/json'
const big = { value: Buffer.alloc(BIG, 'x') }
/** A message that says nothing, in gRPC's frame and as JSON. */
const ASKED = Buffer.alloc(5)
const CREATE = Buffer.from('{"create_request":{}}')

/** Answers with large things, at once or a little later; and to `Range` with a small one. */
function generous(t: TestContext): Promise<GrpcServer> {
  return wireServer(t, {
    KV: {
      unary: {
        Range: () => ({ count: 1 }),
        Put: () => new Promise((resolve) => setImmediate(resolve, { prev_kv: big })),
        DeleteRange: () => ({ prev_kvs: [big] }),
      },
    },
    Watch: { duplex: { Watch: (call) => call.onMessage(() => call.write({ events: [{ kv: big }] })) } },
  })
}

/** A client that takes of each answer only what its window has room for. */
function client(t: TestContext, server: GrpcServer, window: number): ClientHttp2Session {
  const settings = { initialWindowSize: window }
  const session = connect(`http://${server.address()}`, { settings, maxSessionMemory: 1_000 })
  session.on('error', () => undefined)
  t.after(() => session.destroy())
  return session
}

function ask(session: ClientHttp2Session, path: string, type: string, body: Buffer) {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type })
  stream.on('error', () => undefined)
  stream.write(body)
  const told = { refused: false }
  stream.on('response', (headers) => {
    told.refused ||= headers['grpc-status'] === '8' || headers[':status'] === 429
  })
  // What was begun to be answered is broken off.
  stream.on('close', () => (told.refused = true))
  return { stream, told }
}

/** Another client is served as ever. */
async function serves(server: GrpcServer): Promise<void> {
  const answer = await fetch(`http://${server.address()}/v3/kv/range`, { method: 'POST', body: '{}' })
  assert.equal(await answer.text(), '{"count":"1"}')
}

for (const { what, path, type, body, ends } of [
  { what: 'watches', path: WATCH, type: GRPC, body: ASKED, ends: false },
  { what: 'watches through the gateway', path: '/v3/watch', type: JSON_TYPE, body: CREATE, ends: false },
  { what: 'calls', path: '/etcdserverpb.KV/DeleteRange', type: GRPC, body: ASKED, ends: true },
  { what: 'slow calls', path: '/etcdserverpb.KV/Put', type: GRPC, body: ASKED, ends: true },
  {
    what: 'calls through the gateway',
    path: '/v3/kv/deleterange',
    type: JSON_TYPE,
    body: Buffer.from('{}'),
    ends: true,
  },
  {
    what: 'slow calls through the gateway',
    path: '/v3/kv/put',
    type: JSON_TYPE,
    body: Buffer.from('{}'),
    ends: true,
  },
]) {
  test(`answers to ${what} that nobody reads are kept only so far`, async (t) => {
    const server = await generous(t)
    const slow = client(t, server, 0)
    const calls = Array.from({ length: TOO_MANY }, () => ask(slow, path, type, body))
    if (ends) for (const { stream } of calls) stream.end()
    const refused = () => calls.filter(({ told }) => told.refused).length
    await eventually(() => refused() > 0, 'nothing was refused', WAIT_MS)
    assert(refused() < calls.length, 'everything was refused')
    await serves(server)
  })
}

test('what calls held is given back when they are over', async (t) => {
  const server = await generous(t)
  const slow = client(t, server, 0)
  const calls = Array.from({ length: TOO_MANY }, () => ask(slow, WATCH, GRPC, ASKED))
  await eventually(() => calls.some(({ told }) => told.refused), 'nothing was refused', WAIT_MS)
  const going = calls.map(({ stream }) => stream).filter((stream) => !stream.closed)
  for (const stream of going) stream.close(constants.NGHTTP2_CANCEL)
  const again = () => ask(slow, WATCH, GRPC, ASKED)
  await eventually(
    async () => {
      const { stream, told } = again()
      await once(stream, 'response')
      return !told.refused
    },
    'there is no room although nobody holds anything',
    WAIT_MS,
  )
})

test('what was read is not counted, however much it is', async (t) => {
  const server = await generous(t)
  for (const [path, type, body] of [
    [WATCH, GRPC, ASKED],
    ['/v3/watch', JSON_TYPE, CREATE],
  ] as const) {
    const { stream } = ask(client(t, server, 1_000_000), path, type, body)
    let [read, asked] = [0, 1]
    stream.on('data', (piece: Buffer) => {
      read += piece.length
      if (read < asked * BIG || asked > TOO_MANY) return
      asked++
      stream.write(body)
    })
    await eventually(() => read >= TOO_MANY * BIG, `${path} came to its end early`, WAIT_MS)
    stream.close()
  }
})

test('requests of the gateway that never end are held only so far', async (t) => {
  const server = await generous(t)
  const endless = client(t, server, 65_535)
  const part = Buffer.concat([Buffer.from('{"x":"'), big.value])
  const calls = Array.from({ length: TOO_MANY }, () => ask(endless, '/v3/watch', JSON_TYPE, part))
  await eventually(() => calls.some(({ told }) => told.refused), 'no request was refused', WAIT_MS)
  await serves(server)
})
