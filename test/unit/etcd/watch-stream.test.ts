import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { etcdPendingResponsesMax, etcdWatchesPerStreamMax } from '../../../src/base/limits.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { EtcdError } from '../../../src/etcd/status.ts'
import {
  type Event,
  PUT_EVENT,
  type WatchCreateRequest,
  type WatchResponse,
} from '../../../src/etcd/types.ts'
import { WatchStream } from '../../../src/etcd/watch-stream.ts'

/** A client that takes what it is sent as long as it is not slow. */
class Client extends EventEmitter {
  readonly taken: WatchResponse[] = []
  slow = false
  ended = false

  write(response: WatchResponse): boolean {
    this.taken.push(response)
    return !this.slow
  }

  end(): this {
    this.ended = true
    return this
  }

  create(fields: Partial<WatchCreateRequest> = {}): void {
    const defaults = { start_revision: '0', filters: [], prev_kv: false, watch_id: '0' }
    const range = { key: Buffer.from('/tools/'), range_end: Buffer.from('/tools0') }
    this.emit('data', { create_request: { ...range, ...defaults, ...fields } })
  }
}

function open() {
  const client = new Client()
  const header = () => ({ cluster_id: '1', member_id: '1', revision: '7', raft_term: '1' })
  const gone: WatchStream[] = []
  const stream = new WatchStream({
    call: client,
    header,
    revision: () => 7,
    gone: (over) => gone.push(over),
    log: silentLogger,
  })
  stream.serve()
  return { client, stream, gone }
}

const put: Event = { type: PUT_EVENT, kv: { mod_revision: '8' }, prev_kv: undefined }

test('a stream carries many watches, each under its own id', () => {
  const { client, stream } = open()
  client.create()
  client.create({ watch_id: '5', range_end: Buffer.alloc(0), key: Buffer.from('/tools/a') })
  client.create({ watch_id: '5' })
  client.create()
  assert.deepEqual(
    client.taken.map(({ watch_id, canceled }) => [watch_id, canceled ?? false]),
    [
      ['0', false],
      ['5', false],
      ['-1', true],
      ['1', false],
    ],
  )
  stream.tell('/tools/a', put, 8)
  stream.tell('/tools/b', put, 9)
  const told = client.taken.slice(4).map(({ watch_id }) => watch_id)
  assert.deepEqual(told, ['0', '5', '1', '0', '1'])
})

test('a cancelled watch is told so once and hears no more', () => {
  const { client, stream } = open()
  client.create()
  client.emit('data', { cancel_request: { watch_id: '0' } })
  client.emit('data', { cancel_request: { watch_id: '0' } })
  stream.tell('/tools/a', put, 8)
  assert.deepEqual(
    client.taken.map(({ created, canceled }) => [created ?? false, canceled ?? false]),
    [
      [true, false],
      [false, true],
    ],
  )
})

test('a watch that starts in the future hears nothing before it', () => {
  const { client, stream } = open()
  client.create({ start_revision: '9' })
  stream.tell('/tools/a', put, 8)
  stream.tell('/tools/a', put, 9)
  assert.equal(client.taken.length, 2)
})

test('filters leave out puts', () => {
  const { client, stream } = open()
  client.create({ filters: [0] })
  stream.tell('/tools/a', put, 8)
  assert.equal(client.taken.length, 1)
})

test('progress is told when it is asked for, after all that came before', () => {
  const { client, stream } = open()
  client.create()
  stream.tell('/tools/a', put, 8)
  client.emit('data', { progress_request: {} })
  assert.deepEqual(client.taken.at(-1)?.watch_id, '-1')
  assert.equal(client.taken.length, 3)
})

test('a stream carries no more watches than it may', () => {
  const { client } = open()
  for (let n = 0; n <= etcdWatchesPerStreamMax; n += 1) client.create()
  assert.match(client.taken.at(-1)?.cancel_reason ?? '', /at most 1000 watches/)
})

test('a slow client gets everything in order once it reads again', () => {
  const { client, stream } = open()
  client.slow = true
  client.create()
  for (const revision of [8, 9]) stream.tell('/tools/a', put, revision)
  assert.equal(client.taken.length, 1)
  client.slow = false
  client.emit('drain')
  assert.equal(client.taken.length, 3)
})

test('a client that never reads is cut off, and takes no memory any more', () => {
  const { client, stream, gone } = open()
  client.slow = true
  client.create()
  const errors: unknown[] = []
  client.on('error', (error) => errors.push(error))
  for (let n = 0; n <= etcdPendingResponsesMax + 5; n += 1) stream.tell('/tools/a', put, 8)
  const [error] = errors
  assert(error instanceof EtcdError)
  assert.deepEqual([errors.length, error.code, gone.length], [1, status.RESOURCE_EXHAUSTED, 1])
})

test('a stream is over once, whoever ends it', () => {
  const { client, stream, gone } = open()
  client.emit('end')
  client.emit('close')
  client.emit('cancelled')
  stream.end()
  assert.deepEqual([client.ended, gone.length], [true, 1])
})
