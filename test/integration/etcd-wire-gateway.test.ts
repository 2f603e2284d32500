import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { EtcdError } from '../../src/etcd/status.ts'
import { type Ending, startEtcd } from '../support/etcd-cluster.ts'
import { eventually } from '../support/eventually.ts'
import { servicesOf, wireServer } from '../support/wire-server.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const FOO = base64('foo')
const DEADLINE_MS = 10_000

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly body: string
}

async function ask(address: string, path: string, body: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(`http://${address}${path}`, {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(DEADLINE_MS),
    ...init,
  })
  return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }
}

/** The first lines of a stream that would go on. */
async function lines(address: string, path: string, body: string, count: number): Promise<string[]> {
  const abort = new AbortController()
  const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(DEADLINE_MS)])
  const answer = await fetch(`http://${address}${path}`, { method: 'POST', body, signal })
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString()
    if (text.split('\n').length > count) break
  }
  abort.abort()
  return text.split('\n').slice(0, count)
}

/** Requests that change nothing, or the same each time: asked of both, one after the other. */
const ALIKE: readonly (readonly [path: string, body: string])[] = [
  ['/v3/kv/range', `{"key":"${FOO}"}`],
  ['/v3/kv/range', `{"key":"${FOO}","keys_only":true,"sortOrder":"DESCEND"}`],
  ['/v3/kv/range', `{"key":"${FOO}","sort_order":2,"sort_target":"MOD"}`],
  ['/v3/kv/range', `{"key":"${FOO}","sort_order":"BAD"}`],
  ['/v3/kv/range', `{"key":"${FOO}","sort_order":"1"}`],
  ['/v3/kv/range', `{"key":"${FOO}","sort_order":99}`],
  ['/v3/kv/range', `{"key":"${FOO}","nope":true}`],
  ['/v3/kv/range', `{"KEY":"${FOO}"}`],
  ['/v3/kv/range', `{"key":"${FOO}","range_end":"AA==","count_only":true}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":"1"}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":" 1"}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":"-3"}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":"x"}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":"1 x"}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":""}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":1.5}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":1e2}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":true}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":{}}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":01}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":-}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":99999999999999999999}`],
  ['/v3/kv/range', `{"key":"${FOO}","limit":"1","limit":"x"}`],
  ['/v3/kv/range', `{"key":"${FOO}","keys_only":"true"}`],
  ['/v3/kv/range', `{"key":"${FOO}"} trailing`],
  ['/v3/kv/range', `{"key":"${FOO}"}{"key":"${FOO}"}`],
  ['/v3/kv/range', `{"key":"${FOO}","revision":"9999"}`],
  ['/v3/kv/range', `{"key":"${FOO}",`],
  ['/v3/kv/range', `{"key":"${FOO}" "limit":1}`],
  ['/v3/kv/range', `{"key":"${FOO}",}`],
  ['/v3/kv/range', '{"key" "a"}'],
  ['/v3/kv/range', '{"key":[98,97]}'],
  ['/v3/kv/range', '{"key":[300]}'],
  ['/v3/kv/range', '{"key":[98 97]}'],
  ['/v3/kv/range', '{"key":12}'],
  ['/v3/kv/range', '{"key":{}}'],
  ['/v3/kv/range', '{"key":tru}'],
  ['/v3/kv/range', '{"key":nul'],
  ['/v3/kv/range', '{"key":null,"limit":null}'],
  ['/v3/kv/range', '{"key":""}'],
  ['/v3/kv/range', '{"key":"abc'],
  ['/v3/kv/range', '{"key":"\\u005am9v"}'],
  ['/v3/kv/range', '{"key":"\\x"}'],
  ['/v3/kv/range', '{"key":"\\u00"}'],
  ['/v3/kv/range', '{"key":"a\tb"}'],
  ...[
    'Z',
    'Zm9v-_8',
    'Zm9vZg',
    'Zm9vZg=',
    'Zm9vZg==',
    'Zg==Zg==',
    'Z===',
    '=',
    'Zm9v=',
    'Zm=v',
    'Zm\\n9v',
  ].map((text) => ['/v3/kv/range', `{"key":"${text}"}`] as const),
  ['/v3/kv/range', "{'key':1}"],
  ...['', ' ', '{}', 'null', '[]', '"x"', '12', 'true', '}', 'x'].map(
    (text) => ['/v3/kv/range', text] as const,
  ),
  ['/v3/kv/txn', '{}'],
  ['/v3/kv/txn', '{"success":null}'],
  ['/v3/kv/txn', '{"success":{}}'],
  ['/v3/kv/txn', '{"success":[{"request_txn":{}}]}'],
  [
    '/v3/kv/txn',
    `{"compare":[{"target":"VERSION","key":"${FOO}","result":"GREATER","version":"0"}],"success":[{"requestRange":{"key":"${FOO}"}}]}`,
  ],
  ['/v3/kv/txn', `{"compare":[{"target":"CREATE","key":"${FOO}","createRevision":0,"mod_revision":1}]}`],
  ['/v3/kv/deleterange', '{"key":"bm9uZQ=="}'],
  ['/v3/kv/compaction', '{"revision":"9999"}'],
  ['/v3/kv/put', '{}'],
  ['/v3/kv/put', `{"key":"${FOO}","lease":12345}`],
  ['/v3/lease/timetolive', '{"ID":"77"}'],
  ['/v3/kv/lease/timetolive', '{"ID":"77","keys":true}'],
  ['/v3/lease/revoke', '{"ID":"77"}'],
  ['/v3/kv/lease/revoke', '{"ID":77}'],
  ['/v3/lease/leases', '{}'],
  ['/v3/kv/lease/leases', '{}'],
  ['/v3/lease/keepalive', '{"ID":77}{"ID":78}'],
  ['/v3/lease/keepalive', ''],
  ['/v3/cluster/member/list', '{}'],
  ['/v3/maintenance/alarm', '{}'],
  ['/v3/maintenance/alarm', '{"action":"GET","alarm":"NOSPACE"}'],
  ['/v3/maintenance/hash', '{"revision":"abc"}'],
  ['/v3/maintenance/transfer-leadership', '{}'],
  ['/v3/auth/authenticate', '{"name":"a","password":"b"}'],
  ['/v3/auth/authenticate', '{"name":1}'],
  ['/v3/auth/enable', '{}'],
  ['/v3/watch', 'xx'],
  ['/v3/watch', '{'],
  ['/v3/watch', '[]'],
  ['/v3/nope', '{}'],
  ['/v3/kv/range/', '{}'],
  ['/nope', '{}'],
  ['/', '{}'],
]

suite("the gateway over a real etcd's gRPC answers as etcd's own", () => {
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
    assert.equal((await ask(etcd, '/v3/kv/put', `{"key":"${FOO}","value":"YmFy"}`)).status, 200)
  })
  after(async () => {
    for (const step of undo.reverse()) await step()
  })

  test('to requests of every kind', async () => {
    for (const [path, body] of ALIKE) {
      assert.deepEqual(await ask(ours, path, body), await ask(etcd, path, body), `${path} ${body}`)
    }
  })

  test('to puts, and to a transaction with all kinds of operations', async () => {
    const writing: readonly (readonly [path: string, body: string])[] = [
      ['/v3/kv/put', `{"key":"${base64('a')}","value":"MQ==","prev_kv":true}`],
      ['/v3/kv/put', `{"key":"${base64('a')}","value":[49,50],"prevKv":true}`],
      [
        '/v3/kv/txn',
        `{"success":[{"request_range":{"key":"${base64('a')}"}},{"requestPut":{"key":"${base64('a')}","prev_kv":true}},{"request_delete_range":{"key":"${FOO}","prev_kv":true}},{"request_put":{"key":"${FOO}","value":"YmFy"}}]}`,
      ],
    ]
    for (const [path, body] of writing) {
      // Once before, so that both find the same.
      await ask(ours, path, body)
      const answers = [await ask(ours, path, body), await ask(etcd, path, body)]
      const [mine, theirs] = answers.map(({ body: text, ...rest }) => ({
        ...rest,
        // Each write has a revision of its own, and so a version.
        body: text.replaceAll(/"(revision|mod_revision|create_revision|version)":"\d+"/g, '"$1":"n"'),
      }))
      assert.deepEqual(mine, theirs, body)
    }
  })

  test('to a message that is too large', async () => {
    const body = `{"key":"${FOO}","value":"${'A'.repeat(3_000_000)}"}`
    assert.deepEqual(await ask(ours, '/v3/kv/put', body), await ask(etcd, '/v3/kv/put', body))
  })

  test('to other methods of HTTP', async () => {
    for (const [method, path] of [
      ['GET', '/v3/kv/range'],
      ['PUT', '/v3/kv/put'],
      ['GET', '/health'],
      ['GET', '/nope'],
    ] as const) {
      const init = method === 'PUT' ? { method } : { method, body: null }
      assert.deepEqual(await ask(ours, path, '{}', init), await ask(etcd, path, '{}', init), path)
    }
    assert.deepEqual(JSON.parse((await ask(ours, '/version', '', { method: 'GET', body: null })).body), {
      etcdserver: '3.4.0',
      etcdcluster: '3.4.0',
    })
  })

  test('with the events of a watch, line by line', async () => {
    for (const [body, count] of [
      [`{"create_request":{"key":"${FOO}","start_revision":2}}`, 2],
      [`{"createRequest":{"key":"${FOO}"}}{"create_request":{"key":"${FOO}","watch_id":"7"}} `, 2],
      [`{"create_request":{"key":"${FOO}"}} {"cancel_request":{}}`, 2],
    ] as const) {
      assert.deepEqual(
        await lines(ours, '/v3/watch', body, count),
        await lines(etcd, '/v3/watch', body, count),
        body,
      )
    }
  })
})

test('a null where an operation should be is refused', async (t) => {
  const txn = () => assert.fail('was handed on')
  const ours = (await wireServer(t, { KV: { unary: { Txn: txn } } })).address()
  const { status, body } = await ask(ours, '/v3/kv/txn', '{"success":[null]}')
  assert.deepEqual([status, (JSON.parse(body) as { code: number }).code], [400, 3])
})

test('what is not served is said to be so, and what fails half-way ends its stream with a reason', async (t) => {
  const ours = await wireServer(t, {
    Maintenance: {
      duplex: {
        Snapshot: (call) => {
          call.onMessage(() => {
            call.write({ blob: Buffer.from('part') })
            call.end(new EtcdError(14, 'etcdserver: <gone>'))
          })
        },
      },
    },
    Watch: { duplex: { Watch: (call) => call.end(new EtcdError(7, 'no')) } },
  })
  const address = ours.address()
  const add = await ask(address, '/v3/cluster/member/add', '{}')
  assert.deepEqual([add.status, (JSON.parse(add.body) as { code: number }).code], [501, 12])
  assert.equal(
    (await ask(address, '/v3/maintenance/snapshot', '')).body,
    '{"result":{"blob":"cGFydA=="}}\n{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: \\u003cgone\\u003e","http_status":"Service Unavailable"}}\n',
  )
  assert.equal((await ask(address, '/v3/watch', '{}')).status, 403)
})

test('web pages and other names are turned away, and tokens are heard', async (t) => {
  const tokens: (string | undefined)[] = []
  const server = await wireServer(
    t,
    { KV: { unary: { Range: (_, { token }) => ({ count: Number(token) }) } } },
    {
      hosts: (host) => /^(127\.0\.0\.1|localhost):\d+$/.test(host),
      authorize: (token, method) => {
        tokens.push(token)
        assert.equal(method, '/etcdserverpb.KV/Range')
        return token === undefined ? new EtcdError(16, 'etcdserver: invalid auth token') : undefined
      },
    },
  )
  const statusWith = async (headers: Record<string, string>) => {
    const [host, port] = server.address().split(':')
    const request = httpRequest({ host, port, path: '/v3/kv/range', method: 'POST', headers })
    request.end('{}')
    const [answer] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }]
    answer.resume()
    return answer.statusCode
  }
  assert.equal(await statusWith({}), 401)
  assert.equal(await statusWith({ authorization: '5' }), 200)
  assert.equal(await statusWith({ authorization: 'Bearer 5' }), 200)
  assert.equal(await statusWith({ authorization: '5', origin: 'http://127.0.0.1:1' }), 403)
  assert.equal(await statusWith({ authorization: '5', origin: 'null' }), 403)
  assert.equal(await statusWith({ authorization: '5', host: 'attacker.example:2379' }), 403)
  assert.deepEqual(tokens, [undefined, '5', '5'])
})

test('a client that goes away ends its watch, and one that does not read stops it', async (t) => {
  let written = 0
  let blocked = false
  let closed = false
  const server = await wireServer(t, {
    Watch: {
      duplex: {
        Watch: (call) => {
          const blob = 'x'.repeat(10_000)
          const pour = () => {
            while (call.write({ cancel_reason: blob })) written++
            blocked = true
          }
          call.onMessage(pour)
          call.onDrain(pour)
          call.onClose(() => {
            closed = true
          })
        },
      },
    },
  })
  const [host, port] = server.address().split(':')
  const request = httpRequest({ host, port, path: '/v3/watch', method: 'POST' })
  request.on('error', () => undefined)
  request.end('{"create_request":{}}')
  const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream]
  await eventually(() => blocked, 'the stream was never blocked')
  const before = written
  answer.resume()
  await eventually(() => written > before + 5_000, 'the stream did not go on')
  answer.pause()
  request.destroy()
  await eventually(() => closed, 'the watch did not end')
})

test('at the end idle connections go, calls come to theirs, and watches are told', async (t) => {
  let finish: ((answer: object) => void) | undefined
  const server = await wireServer(t, {
    KV: {
      unary: {
        Put: () => ({}),
        Range: () =>
          new Promise<object>((resolve) => {
            finish = resolve
          }),
      },
    },
    Watch: { duplex: { Watch: (call) => call.onMessage(() => call.write({ created: true })) } },
  })
  const address = server.address()
  assert.equal((await ask(address, '/v3/kv/put', '{}')).status, 200)
  const watch = ask(address, '/v3/watch', '{"create_request":{}}')
  const slow = ask(address, '/v3/kv/range', '{}')
  await eventually(() => finish !== undefined, 'the call did not arrive')
  const stopped = server.stop()
  finish?.({ count: 1 })
  assert.equal((await slow).body, '{"count":"1"}')
  const told = (await watch).body
  assert.match(told, /^\{"result":\{"created":true\}\}\n\{"error":\{"grpc_code":14,.*server stopped/)
  await stopped
  await assert.rejects(ask(address, '/v3/kv/put', '{}'))
})
