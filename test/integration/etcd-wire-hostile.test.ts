import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
} from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { etcdConnectionsMax, etcdHeldBytesMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { HeldBytes } from '../../src/etcd/wire/call-scope.ts'
import { Endpoints } from '../../src/etcd/wire/endpoints.ts'
import type { GrpcServer } from '../../src/etcd/wire/grpc-server.ts'
import { GrpcSession } from '../../src/etcd/wire/grpc-session.ts'
import type { CallContext } from '../../src/etcd/wire/service.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { wireServer } from '../support/wire-server.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const RANGE = '/etcdserverpb.KV/Range'
/** Of silence and of half a head of a request, with room for a busy machine. */
const CUT_TIMEOUT_MS = 25_000
const TYPES = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, window: 8, continuation: 9 }

/** A frame of HTTP/2 (RFC 9113 §4.1). */
function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

async function victim(t: TestContext): Promise<GrpcServer> {
  return wireServer(t, {
    KV: { unary: { Range: () => ({ count: 1 }), Put: () => ({}) } },
    Watch: { duplex: { Watch: (call) => call.onMessage(() => call.write({ created: true })) } },
  })
}

/** A socket of an attacker; how it ends is its own affair. */
function attacker(t: TestContext, server: GrpcServer): Socket {
  const [host, port] = server.address().split(':')
  const socket = connect({ host: host as string, port: Number(port) })
  socket.on('error', () => undefined)
  socket.resume()
  t.after(() => socket.destroy())
  return socket
}

function session(t: TestContext, server: GrpcServer): ClientHttp2Session {
  // The attacker's own memory is no bound.
  const opened = connectHttp2(`http://${server.address()}`, { maxSessionMemory: 1_000 })
  opened.on('error', () => undefined)
  t.after(() => opened.destroy())
  return opened
}

const gone = (socket: Socket) =>
  eventually(() => socket.destroyed, 'the server did not hang up', CUT_TIMEOUT_MS)

/** An honest client is served as ever. */
async function serves(server: GrpcServer): Promise<void> {
  const answer = await fetch(`http://${server.address()}/v3/kv/range`, { method: 'POST', body: '{}' })
  assert.equal(await answer.text(), '{"count":"1"}')
}

/** A small generator with a seed, so that a failure can be had again. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
}

test('bytes that are no protocol are hung up on', async (t) => {
  const server = await victim(t)
  const seed = Date.now() % 100_000
  t.diagnostic(`seed ${seed}`)
  const next = random(seed)
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => next() >>> 24))
  const openings: Buffer[] = [
    Buffer.from('GET\r\n\r\n'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n and on'),
    Buffer.from('PRINT / HTTP/1.1\r\n\r\n'),
    Buffer.from('POST /v3/kv/range HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n'),
    Buffer.from('POST /v3/kv/range HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
    Buffer.from('CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'),
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
    Buffer.alloc(100_000, 'a'),
    ...Array.from({ length: 40 }, () => noise(200)),
    ...Array.from({ length: 40 }, () =>
      Buffer.concat([PREFACE, frame(TYPES.settings, 0, 0, Buffer.alloc(0)), noise(200)]),
    ),
    ...Array.from({ length: 40 }, () => {
      // Frames that are well cut, but otherwise anything.
      const payload = noise(next() % 60)
      return Buffer.concat([
        PREFACE,
        frame(TYPES.settings, 0, 0, Buffer.alloc(0)),
        frame(next() % 12, next() & 255, next() % 5, payload),
        noise(20),
      ])
    }),
  ]
  const sockets = openings.map((bytes) => {
    const socket = attacker(t, server)
    socket.write(bytes)
    socket.end()
    return socket
  })
  for (const socket of sockets) await gone(socket)
  await serves(server)
})

test('who says nothing, or half of it, or a byte at a time, is cut off', async (t) => {
  const server = await victim(t)
  const openings = [
    '',
    'P',
    'PRI * HTTP/2.0\r\n',
    PREFACE,
    'POST /v3/kv/range HT',
    'POST /v3/kv/range HTTP/1.1\r\nhost: a\r\n',
  ]
  const sockets = openings.map((opening) => {
    const socket = attacker(t, server)
    socket.write(opening)
    return socket
  })
  const dribbling = attacker(t, server)
  dribbling.write('GET /health HTTP/1.1\r\n')
  sockets.push(dribbling)
  while (!dribbling.destroyed && sockets.some((socket) => !socket.destroyed)) {
    dribbling.write('a: b\r\n')
    await sleep(200)
    if (dribbling.bytesWritten > 10_000) break
  }
  for (const socket of sockets) await gone(socket)
  await serves(server)
})

test('calls that are opened and taken back without end cost their client the connection', async (t) => {
  const server = await victim(t)
  const client = session(t, server)
  await once(client, 'connect')
  for (let round = 0; round < 400 && !client.destroyed; round++) {
    for (let i = 0; i < 20 && !client.destroyed; i++) {
      const stream = client.request({ ':method': 'POST', ':path': RANGE, 'content-type': 'application/grpc' })
      stream.on('error', () => undefined)
      stream.close(8)
    }
    await sleep(1)
  }
  await eventually(() => client.destroyed, 'the connection was not ended')
  await serves(server)
})

test('headers beyond all measure are refused', async (t) => {
  const server = await victim(t)
  const large = attacker(t, server)
  large.write(`GET /health HTTP/1.1\r\nhost: a\r\na: ${'x'.repeat(200_000)}\r\n\r\n`)
  await gone(large)
  const client = session(t, server)
  const stream = client.request({
    ':method': 'POST',
    ':path': RANGE,
    'content-type': 'application/grpc',
    big: 'x'.repeat(60_000),
  })
  let answered: unknown
  stream.on('response', (headers) => {
    answered = headers['grpc-status']
  })
  stream.on('error', () => undefined)
  stream.end()
  await once(stream, 'close').catch(() => undefined)
  assert.notEqual(answered, '0')
  const endless = attacker(t, server)
  // A head that goes on and on in CONTINUATION frames.
  const start = Buffer.concat([
    PREFACE,
    frame(TYPES.settings, 0, 0, Buffer.alloc(0)),
    frame(TYPES.headers, 0, 1, Buffer.alloc(0)),
  ])
  endless.write(start)
  for (let i = 0; i < 200; i++) endless.write(frame(TYPES.continuation, 0, 1, Buffer.alloc(1_000, 0x40)))
  await gone(endless)
  await serves(server)
})

test('frames and messages of ten megabytes are refused before they are there', async (t) => {
  const server = await victim(t)
  const socket = attacker(t, server)
  socket.write(Buffer.concat([PREFACE, frame(TYPES.settings, 0, 0, Buffer.alloc(0))]))
  socket.write(frame(TYPES.data, 0, 1, Buffer.alloc(1_000), 10 << 20))
  await gone(socket)
  const client = session(t, server)
  const stream = client.request({ ':method': 'POST', ':path': RANGE, 'content-type': 'application/grpc' })
  const head = Buffer.alloc(5)
  head.writeUInt32BE(10 << 20, 1)
  stream.on('error', () => undefined)
  stream.resume()
  stream.write(head)
  const [headers] = (await once(stream, 'response')) as [Record<string, string>]
  assert.equal(headers['grpc-status'], '8')
  assert.equal(headers['grpc-message'], 'grpc: received message larger than max (10485760 vs. 2097152)')
  stream.end(Buffer.alloc(1 << 20))
  await once(stream, 'close')
  await serves(server)
})

test('floods of pings, settings and windows end their connection, or harm nobody', async (t) => {
  const server = await victim(t)
  const settings = frame(TYPES.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))
  for (const flood of [
    frame(TYPES.ping, 0, 0, Buffer.alloc(8)),
    settings,
    frame(TYPES.window, 0, 0, Buffer.from([0, 0, 0, 1])),
    frame(TYPES.priority, 0, 3, Buffer.from([0, 0, 0, 1, 5])),
  ]) {
    const socket = attacker(t, server)
    socket.pause()
    socket.write(Buffer.concat([PREFACE, settings]))
    const many = Buffer.concat(Array(2_000).fill(flood))
    for (let i = 0; i < 100 && !socket.destroyed; i++) {
      if (socket.write(many)) continue
      // Who is answered and does not read is not read any more either.
      await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(100)])
    }
    await serves(server)
    socket.destroy()
  }
})

test('parts of requests that are never ended are held only so far', async (t) => {
  const server = await victim(t)
  const client = session(t, server)
  let refused = 0
  const part = Buffer.alloc(1_900_000)
  part.writeUInt32BE(2_000_000, 1)
  const calls = Math.ceil(etcdHeldBytesMax / part.length) + 10
  for (let i = 0; i < calls; i++) {
    const stream = client.request({ ':method': 'POST', ':path': RANGE, 'content-type': 'application/grpc' })
    stream.on('error', () => undefined)
    stream.on('response', (headers) => {
      if (headers['grpc-status'] === '8') refused++
    })
    stream.write(part)
  }
  await eventually(() => refused > 0, 'no call was refused')
  await serves(server)
  client.destroy()
})

test('who does not answer whether it lives is cut off, and who does stays', async (t) => {
  const sessions: GrpcSession[] = []
  const http2 = createHttp2Server()
  const endpoints = new Endpoints({})
  const gateway = { serve: () => assert.fail('is no gRPC') }
  const [nothing, held] = [() => undefined, new HeldBytes(1)]
  const parts = { endpoints, gateway, held, authorize: nothing, ended: nothing, log: silentLogger }
  http2.on('session', (opened) => {
    const served = new GrpcSession(opened, parts)
    served.serve()
    sessions.push(served)
  })
  http2.listen(0, '127.0.0.1')
  await once(http2, 'listening')
  t.after(() => http2.close())
  const { port } = http2.address() as AddressInfo
  const silent = connect({ host: '127.0.0.1', port })
  silent.on('error', () => undefined)
  silent.resume()
  silent.write(Buffer.concat([PREFACE, frame(TYPES.settings, 0, 0, Buffer.alloc(0))]))
  await eventually(() => sessions.length === 1, 'the first did not connect')
  const alive = connectHttp2(`http://127.0.0.1:${port}`)
  t.after(() => alive.destroy())
  let asked = 0
  alive.on('ping', () => asked++)
  await eventually(() => sessions.length === 2, 'the second did not connect')
  for (let round = 1; round <= 3; round++) {
    for (const one of sessions) one.ping()
    await eventually(() => asked >= round, 'the living was not asked')
    // Its answer is on its way.
    await sleep(50)
  }
  await gone(silent)
  assert.equal(alive.destroyed, false)
})

test('who goes away in the middle of a call leaves nothing behind', async (t) => {
  const pending: ((answer: object) => void)[] = []
  let cancelled = 0
  const range = (_: unknown, { signal }: CallContext) => {
    signal.addEventListener('abort', () => cancelled++)
    return new Promise<object>((resolve) => pending.push(resolve))
  }
  const server = await wireServer(t, { KV: { unary: { Range: range, Put: () => ({}) } } })
  const client = session(t, server)
  for (const type of ['application/grpc', 'application/json']) {
    const path = type === 'application/json' ? '/v3/kv/range' : RANGE
    const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': type })
    stream.on('error', () => undefined)
    stream.end(type === 'application/json' ? '{}' : Buffer.alloc(5))
  }
  const socket = attacker(t, server)
  socket.write('POST /v3/kv/range HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}')
  await eventually(() => pending.length === 3, 'the calls did not arrive')
  client.destroy()
  socket.destroy()
  await eventually(() => cancelled === 3, 'not all calls were cancelled')
  for (const answer of pending) answer({ count: 1 })
  const answer = await fetch(`http://${server.address()}/v3/kv/put`, { method: 'POST', body: '{}' })
  assert.equal(await answer.text(), '{}')
})

test('a defect at the door refuses the call, and the next is heard', async (t) => {
  let calls = 0
  const authorize = () => {
    calls++
    if (calls < 3) throw new Error('a defect')
    return undefined
  }
  const server = await wireServer(t, { KV: { unary: { Range: () => ({ count: 1 }) } } }, { authorize })
  const client = session(t, server)
  const stream = client.request({ ':method': 'POST', ':path': RANGE, 'content-type': 'application/grpc' })
  stream.end(Buffer.alloc(5))
  const [headers] = (await once(stream, 'response')) as [Record<string, string>]
  assert.equal(headers['grpc-status'], '13')
  const refused = await fetch(`http://${server.address()}/v3/kv/range`, { method: 'POST', body: '{}' })
  assert.equal(refused.status, 500)
  await serves(server)
})

test('half a handshake of TLS does not delay the end', async (t) => {
  const directory = await temporaryDirectory(t)
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-subj',
    '/CN=a',
  ]
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const server = await wireServer(t, {}, { tls: { key: readFileSync(key), cert: readFileSync(cert) } })
  const half = attacker(t, server)
  half.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]))
  const garbage = attacker(t, server)
  garbage.write('GET / HTTP/1.1\r\n\r\n')
  await gone(garbage)
  await server.stop()
  await gone(half)
})

test('a body of the gateway without end is refused, and its sender cut off in the end', async (t) => {
  const server = await victim(t)
  const socket = attacker(t, server)
  let answer = ''
  socket.on('data', (piece) => {
    answer += piece
  })
  socket.write('POST /v3/kv/put HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n')
  const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`
  while (!socket.destroyed) {
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
    await sleep(1)
    if (answer !== '' && socket.bytesWritten > 6 << 20) await sleep(100)
  }
  assert.match(answer, /^HTTP\/1\.1 429 /)
  await serves(server)
})

test('more connections than are allowed are turned away', async (t) => {
  const server = await victim(t)
  const sockets = Array.from({ length: etcdConnectionsMax + 20 }, () => attacker(t, server))
  await eventually(() => sockets.filter(({ destroyed }) => destroyed).length >= 20, 'all were let in')
  for (const socket of sockets) socket.destroy()
  const again = () =>
    serves(server).then(
      () => true,
      () => false,
    )
  await eventually(again, 'no connection came free')
})
