import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { EtcdError, STATUS } from '../../src/etcd/status.ts'
import { startTestApi } from '../support/api.ts'
import { RawEtcd } from '../support/etcd-raw.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { wireServer } from '../support/wire-server.ts'

const NOTHING = Buffer.alloc(5)

test('each call is counted once, by the status that it ended with, whichever way it came', async (t) => {
  const server = await wireServer(t, {
    KV: {
      unary: {
        Range: () => ({ count: 1 }),
        Put: () => {
          throw new EtcdError(STATUS.OUT_OF_RANGE, 'too far')
        },
        Txn: () => new Promise(() => undefined),
      },
    },
    Watch: {
      duplex: {
        Watch: (call) => {
          call.onMessage(() => call.write({ created: true }))
        },
      },
    },
    Lease: { duplex: { LeaseKeepAlive: (call) => call.onEnd(() => call.end()) } },
  })
  const counted = (expected: Record<string, number>) =>
    eventually(
      () => {
        const told = Object.fromEntries(server.calls)
        return Object.keys(told).length === Object.keys(expected).length
          ? Object.entries(expected).every(([name, count]) => told[name] === count)
          : false
      },
      `what is counted is not ${JSON.stringify(expected)}`,
    )
  const raw = new RawEtcd(server.address())
  t.after(() => raw.close())
  const post = async (path: string, body = '{}') => {
    const answer = await fetch(`http://${server.address()}/v3/${path}`, { method: 'POST', body })
    return answer.text()
  }
  const session = connect(`http://${server.address()}`)
  t.after(() => session.destroy())
  const open = (path: string, type: string, body: Buffer | string) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': `application/${type}`,
    })
    stream.on('error', () => undefined)
    stream.write(body)
    return stream
  }

  await raw.range({ key: Buffer.from('a') })
  await post('kv/range')
  await counted({ OK: 2 })
  await assert.rejects(raw.put({ key: Buffer.from('a') }))
  await post('kv/put')
  await counted({ OK: 2, OUT_OF_RANGE: 2 })
  // Not served, not readable.
  await assert.rejects(raw.compact({ revision: 1 }))
  await post('kv/compaction')
  await post('kv/range', 'no JSON')
  await counted({ OK: 2, OUT_OF_RANGE: 2, UNIMPLEMENTED: 2, INVALID_ARGUMENT: 1 })
  // Who goes away has taken the call back.
  const gone = [open('/etcdserverpb.KV/Txn', 'grpc', NOTHING), open('/v3/kv/txn', 'json', '{}')]
  const watches = [
    open('/etcdserverpb.Watch/Watch', 'grpc', NOTHING),
    open('/v3/watch', 'json', '{"create_request":{}}'),
  ]
  for (const watch of watches) await once(watch, 'data')
  for (const stream of [...gone, ...watches]) stream.close(8)
  await counted({ OK: 2, OUT_OF_RANGE: 2, UNIMPLEMENTED: 2, INVALID_ARGUMENT: 1, CANCELLED: 4 })
  const ends = open('/etcdserverpb.Lease/LeaseKeepAlive', 'grpc', NOTHING)
  ends.resume()
  ends.end()
  await counted({ OK: 3, OUT_OF_RANGE: 2, UNIMPLEMENTED: 2, INVALID_ARGUMENT: 1, CANCELLED: 4 })
})

test('the metrics of a node tell them', async (t) => {
  const port = await freePort()
  const { node, ask } = await startTestApi(t, 'alice', { etcd: { serve: 'always', port } })
  await node.createFederation({ name: 'lab' })
  const raw = new RawEtcd(`127.0.0.1:${port}`)
  t.after(() => raw.close())
  await raw.range({ key: Buffer.from('a') })
  await assert.rejects(raw.range({ key: Buffer.from('a'), revision: 1_000_000 }))
  const { body } = await ask('GET', '/metrics')
  const lines = body.split('\n').filter((line) => line.startsWith('mao_etcd_calls_total'))
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*"(\w+)"\} /, '$1 ')),
    ['OK 1', 'OUT_OF_RANGE 1'],
  )
})
