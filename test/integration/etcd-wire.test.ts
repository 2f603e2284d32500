import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd3 } from 'etcd3'
import { EtcdError } from '../../src/etcd/status.ts'
import { encode } from '../../src/etcd/wire/codec.ts'
import { FRAME_HEAD_BYTES } from '../../src/etcd/wire/frames.ts'
import { messageType } from '../../src/etcd/wire/schema.ts'
import type { Duplex } from '../../src/etcd/wire/service.ts'
import { type Ending, startEtcd } from '../support/etcd-cluster.ts'
import { RawEtcd } from '../support/etcd-raw.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { servicesOf, wireServer } from '../support/wire-server.ts'

const DEADLINE_MS = 10_000
const RANGE = '/etcdserverpb.KV/Range'
const WATCH = '/etcdserverpb.Watch/Watch'
const FOO = Buffer.from('0a03666f6f', 'hex')

interface Answer {
  readonly status: IncomingHttpHeaders[string]
  readonly grpcStatus: IncomingHttpHeaders[string]
  readonly grpcMessage: IncomingHttpHeaders[string]
  readonly bytes: number
}

function frame(message: Buffer, flag = 0): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES)
  head[0] = flag
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** One call, byte by byte as the story wants it. */
async function call(
  session: ClientHttp2Session,
  path: string,
  body: Buffer,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  const grpc = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const stream = session.request({ ...grpc, ...headers })
  stream.setTimeout(DEADLINE_MS, () => stream.destroy(new Error(`no answer to ${path}`)))
  let head: IncomingHttpHeaders = {}
  let tail: IncomingHttpHeaders = {}
  let bytes = 0
  stream.on('response', (given) => {
    head = given
  })
  stream.on('trailers', (given) => {
    tail = given
  })
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  stream.end(body)
  await once(stream, 'close')
  const said = { ...head, ...tail }
  const message = said['grpc-message'] === '' ? undefined : said['grpc-message']
  return {
    status: head[':status'] as unknown as string,
    grpcStatus: said['grpc-status'],
    grpcMessage: message,
    bytes,
  }
}

const hex = (text: string) => frame(Buffer.from(text, 'hex'))
const ALIKE: readonly (readonly [path: string, body: Buffer, headers?: OutgoingHttpHeaders])[] = [
  [RANGE, frame(FOO)],
  [RANGE, Buffer.concat([frame(FOO), frame(FOO)])],
  [RANGE, frame(FOO), { 'content-type': 'application/grpc+proto' }],
  [RANGE, frame(FOO), { 'grpc-timeout': '5S' }],
  ['/etcdserverpb.KV/Nope', frame(FOO)],
  ['/etcdserverpb.Nope/Nope', frame(FOO)],
  ['/etcdserverpb.Maintenance/Downgrade', frame(FOO)],
  ['/nope', frame(FOO)],
  ...['ff', '0bff', '0aff', '00', '08', '0801', '0c', '0f', '18ffffffffffffffffffff01', 'a31f', 'a61f'].map(
    (text) => [RANGE, hex(text)] as const,
  ),
  [WATCH, hex('0bff')],
  [RANGE, frame(FOO, 1)],
  [RANGE, frame(FOO, 1), { 'grpc-encoding': 'gzip' }],
  [RANGE, frame(FOO), { 'grpc-encoding': 'br' }],
  [RANGE, frame(Buffer.alloc(3_000_000))],
  [RANGE, Buffer.alloc(0)],
  [RANGE, Buffer.from('000000', 'hex')],
  [RANGE, Buffer.from('000000000801', 'hex')],
  ['/etcdserverpb.KV/Put', frame(FOO)],
  ['/etcdserverpb.KV/Put', frame(Buffer.alloc(0))],
  ['/etcdserverpb.Lease/LeaseRevoke', hex('0807')],
]

suite("gRPC over a real etcd's answers as etcd itself", () => {
  const undo: (() => unknown)[] = []
  const ending: Ending = {
    after: (step) => {
      undo.push(step)
    },
  }
  let etcd = ''
  let ours = ''
  before(async () => {
    etcd = (await startEtcd(ending, 1))[0] as string
    ours = (await wireServer(ending, servicesOf(etcd, ending))).address()
  })
  after(async () => {
    for (const step of undo.reverse()) await step()
  })

  test('to calls of every kind, good and bad', async () => {
    const sessions = [connect(`http://${ours}`), connect(`http://${etcd}`)] as const
    for (const [path, body, headers] of ALIKE) {
      const [mine, theirs] = [
        await call(sessions[0], path, body, headers),
        await call(sessions[1], path, body, headers),
      ]
      // Each put makes the revision larger, and so perhaps longer.
      assert.deepEqual(
        { ...mine, bytes: 0 },
        { ...theirs, bytes: 0 },
        `${path} ${body.toString('hex', 0, 20)}`,
      )
    }
    for (const session of sessions) session.close()
  })

  test('through the client for Node: put, get, transaction, lease, watch', async () => {
    const client = new Etcd3({ hosts: ours })
    await client.put('a').value('1')
    const watcher = await client.watch().prefix('a').create()
    const seen: string[] = []
    watcher.on('put', ({ key, value }) => seen.push(`${key}=${value}`))
    const lease = client.lease(30)
    await lease.put('a/leased').value('2')
    const { succeeded } = await client.if('a', 'Value', '==', '1').then(client.put('a').value('3')).commit()
    assert.equal(succeeded, true)
    assert.deepEqual(await client.getAll().prefix('a').strings(), { a: '3', 'a/leased': '2' })
    await eventually(() => seen.length === 2, 'not all events came')
    assert.deepEqual(seen, ['a/leased=2', 'a=3'])
    await lease.revoke()
    await watcher.cancel()
    client.close()
  })

  test('with a snapshot as it is there', async () => {
    const [a, b] = [connect(`http://${ours}`), connect(`http://${etcd}`)]
    const path = '/etcdserverpb.Maintenance/Snapshot'
    const [mine, theirs] = [
      await call(a, path, frame(Buffer.alloc(0))),
      await call(b, path, frame(Buffer.alloc(0))),
    ]
    assert(mine.bytes > 20_000)
    assert.deepEqual(mine, theirs)
    a.close()
    b.close()
  })
})

test('a call is over when its deadline is, and the handler hears of it', async (t) => {
  let reason: unknown
  const never = (_: unknown, { signal }: { signal: AbortSignal }) => {
    return new Promise<object>(() => {
      signal.addEventListener('abort', () => {
        reason = signal.reason
      })
    })
  }
  const server = await wireServer(t, {
    KV: { unary: { Range: never } },
    Watch: { duplex: { Watch: () => undefined } },
  })
  const session = connect(`http://${server.address()}`)
  const late = { 'grpc-timeout': '50m' }
  for (const path of [RANGE, WATCH]) {
    const { grpcStatus, grpcMessage } = await call(session, path, frame(FOO), late)
    assert.deepEqual([grpcStatus, grpcMessage], ['4', 'context deadline exceeded'])
  }
  assert.equal((reason as EtcdError).code, 4)
  session.close()
})

test('a call that is taken back is cancelled, and what the handler says then is dropped', async (t) => {
  const answers: ((answer: object) => void)[] = []
  let cancelled = 0
  const server = await wireServer(t, {
    KV: {
      unary: {
        Range: (_, { signal }) => {
          signal.addEventListener('abort', () => cancelled++)
          return new Promise((resolve) => answers.push(resolve))
        },
      },
    },
  })
  const session = connect(`http://${server.address()}`)
  const stream = session.request({ ':method': 'POST', ':path': RANGE, 'content-type': 'application/grpc' })
  stream.end(frame(FOO))
  await eventually(() => answers.length === 1, 'the call did not arrive')
  stream.close(8)
  await eventually(() => cancelled === 1, 'the call was not cancelled')
  answers[0]?.({ count: 1 })
  const rest = call(session, RANGE, frame(FOO))
  await eventually(() => answers.length === 2, 'the next call did not arrive')
  answers[1]?.({ count: 1 })
  assert.equal((await rest).grpcStatus, '0')
  session.close()
})

test('handlers fail in words, and their defects do not end the server', async (t) => {
  const server = await wireServer(t, {
    KV: {
      unary: {
        Range: () => {
          throw new EtcdError(11, 'etcdserver: mvcc: 100 %\nof it')
        },
        Put: () => Promise.reject(new Error('a defect')),
        DeleteRange: () => ({ deleted: 1.5 }),
      },
    },
    Watch: {
      duplex: {
        Watch: (stream) => {
          stream.onMessage(() => {
            throw new Error('a defect')
          })
          stream.onClose(() => {
            throw new Error('another')
          })
        },
      },
    },
  })
  const session = connect(`http://${server.address()}`)
  const codeAndText = async (path: string) => {
    const { grpcStatus, grpcMessage } = await call(session, path, frame(Buffer.alloc(0)))
    return [grpcStatus, grpcMessage]
  }
  assert.deepEqual(await codeAndText(RANGE), ['11', 'etcdserver: mvcc: 100 %25%0Aof it'])
  assert.deepEqual(await codeAndText('/etcdserverpb.KV/Put'), ['13', 'mao: a defect'])
  assert.equal((await codeAndText('/etcdserverpb.KV/DeleteRange'))[0], '13')
  assert.deepEqual(await codeAndText(WATCH), ['13', 'mao: a defect'])
  const unserved = await codeAndText('/etcdserverpb.Cluster/MemberAdd')
  assert.deepEqual(unserved, ['12', "mao: this node does not serve MemberAdd of etcd's service Cluster"])
  session.close()
})

test('a token is asked of every call, and what is no gRPC is told so', async (t) => {
  const server = await wireServer(
    t,
    { KV: { unary: { Range: (_, { token, peer }) => ({ count: `${token} ${peer}`.length }) } } },
    {
      authorize: (token) =>
        token === 'right' ? undefined : new EtcdError(16, 'etcdserver: invalid auth token'),
    },
  )
  const session = connect(`http://${server.address()}`)
  assert.equal((await call(session, RANGE, frame(FOO), { token: 'right' })).grpcStatus, '0')
  assert.equal((await call(session, RANGE, frame(FOO), { token: 'wrong' })).grpcStatus, '16')
  assert.equal((await call(session, RANGE, frame(FOO))).grpcStatus, '16')
  assert.equal((await call(session, RANGE, frame(FOO), { 'content-type': 'application/json' })).status, 415)
  assert.equal(
    (await call(session, RANGE, frame(FOO), { 'content-type': 'application/grpc-web' })).status,
    415,
  )
  session.close()
})

test('a reader who stands still stops the writer, who goes on when it reads', async (t) => {
  const request = encode(messageType('WatchRequest'), { progress_request: {} })
  let heard = 0
  let written = 0
  const reason = 'x'.repeat(1_000)
  const server = await wireServer(t, {
    Watch: {
      duplex: {
        Watch: (stream: Duplex) => {
          stream.onMessage(() => {
            heard++
            for (let i = 0; i < 100; i++) stream.write({ cancel_reason: reason })
            written += 100
          })
          stream.onEnd(() => stream.end())
        },
      },
    },
  })
  const session = connect(`http://${server.address()}`)
  const stream = session.request({ ':method': 'POST', ':path': WATCH, 'content-type': 'application/grpc' })
  for (let i = 0; i < 200; i++) stream.write(frame(request))
  stream.end()
  await once(stream, 'response')
  await sleep(300)
  const whenBlocked = heard
  assert(whenBlocked < 20, `${whenBlocked} requests were taken though nobody read the answers`)
  let bytes = 0
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  await once(stream, 'close')
  assert.equal(heard, 200)
  assert(bytes > written * reason.length)
  session.close()
})

test('at the end calls come to theirs, watches are told, and late ones are cut', async (t) => {
  let finish: (answer: object) => void = () => undefined
  const server = await wireServer(t, {
    KV: {
      unary: {
        Range: () =>
          new Promise((resolve) => {
            finish = resolve
          }),
        Put: () => new Promise<object>(() => undefined),
      },
    },
    Watch: { duplex: { Watch: (stream) => stream.write({ created: true }) && undefined } },
  })
  const session = connect(`http://${server.address()}`)
  session.on('error', () => undefined)
  const inTime = call(session, RANGE, frame(FOO))
  const watch = call(session, WATCH, Buffer.alloc(0))
  const never = call(session, '/etcdserverpb.KV/Put', frame(FOO)).catch(() => 'cut')
  await sleep(100)
  const stopped = server.stop()
  assert.deepEqual(
    [(await watch).grpcStatus, (await watch).grpcMessage],
    ['14', 'etcdserver: server stopped'],
  )
  finish({ count: 1 })
  assert.equal((await inTime).grpcStatus, '0')
  await stopped
  await never
  await server.stop()
})

/** Names of servers are no addresses. */
const named = (address: string) => address.replace('127.0.0.1', 'localhost')

test('one port speaks TLS: gRPC and JSON, to clients with a certificate where one is asked for', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = (name: string) => join(directory, name)
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync(
    'openssl',
    ['req', '-x509', ...key, ...subject, '-keyout', file('key'), '-out', file('cert')],
    {
      stdio: 'ignore',
    },
  )
  const tls = { key: readFileSync(file('key')), cert: readFileSync(file('cert')) }
  const services = { KV: { unary: { Range: () => ({ count: 7 }) } } }
  const open = await wireServer(t, services, { tls })
  const session = connect(`https://${named(open.address())}`, { ca: tls.cert })
  assert.equal((await call(session, RANGE, frame(FOO))).grpcStatus, '0')
  const json = { ':method': 'POST', ':path': '/v3/kv/range', 'content-type': 'application/json' }
  const stream = session.request({ ...json })
  stream.end('{}')
  assert.equal(String((await stream.toArray())[0]), '{"count":"7"}')
  session.close()
  const client = new Etcd3({
    hosts: `https://${named(open.address())}`,
    credentials: { rootCertificate: tls.cert },
  })
  assert.equal((await client.getAll().prefix('a').exec()).count, '7')
  client.close()

  const [, port] = open.address().split(':')
  const asked = httpsRequest({ host: 'localhost', port, path: '/v3/kv/range', method: 'POST', ca: tls.cert })
  asked.end('{}')
  const [answer] = (await once(asked, 'response')) as [Readable]
  assert.equal(Buffer.concat(await answer.toArray()).toString(), '{"count":"7"}')

  const mutual = await wireServer(t, services, { tls: { ...tls, ca: tls.cert } })
  const known = connect(`https://${named(mutual.address())}`, { ca: tls.cert, cert: tls.cert, key: tls.key })
  assert.equal((await call(known, RANGE, frame(FOO))).grpcStatus, '0')
  known.close()
  const stranger = connect(`https://${named(mutual.address())}`, { ca: tls.cert })
  await assert.rejects(call(stranger, RANGE, frame(FOO)))
  stranger.destroy()
  const plain = new RawEtcd(open.address())
  await assert.rejects(plain.revision())
  plain.close()
})

test('a port that is taken, and a certificate that is none, are said to be so', async (t) => {
  const first = await wireServer(t, {})
  const port = Number(first.address().split(':')[1])
  await assert.rejects(wireServer(t, {}, { port }), { code: 'PORT_IN_USE' })
  await assert.rejects(wireServer(t, {}, { tls: { cert: 'x', key: 'y' } }), { code: 'INVALID_CONFIG' })
  // An address that this machine has not: no other port helps.
  const elsewhere = { host: '192.0.2.1' }
  await assert.rejects(wireServer(t, {}, elsewhere), { code: 'INVALID_CONFIG', message: /etcd\.host/ })
})
