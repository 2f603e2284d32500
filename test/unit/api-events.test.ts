import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventView } from '../../src/api/event-view.ts'
import { EventHub } from '../../src/api/events.ts'
import {
  eventHeartbeatMs,
  eventStreamsMax,
  eventsKeptMax,
  eventsPendingMax,
  eventValueBytesMax,
} from '../../src/base/limits.ts'

interface Counted {
  type: string
  number: number
}

/** A hub whose events the test makes up. */
async function hub() {
  const listeners = new Set<(event: Counted) => void>()
  const source = {
    onEvent(listener: (event: Counted) => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const events = new EventHub<Counted>({ source, view: (event) => event })
  await events.start()
  const tell = (number: number, type = 'run') => {
    for (const listener of listeners) listener({ type, number })
  }
  return { events, tell, listeners }
}

interface Message {
  id: string | undefined
  event: string
  data: { missed?: boolean; number?: number }
}

function messagesIn(text: string): Message[] {
  const blocks = text.split('\n\n').filter((block) => block !== '' && !block.startsWith(':'))
  return blocks.map((block) => {
    const fields = new Map(
      block.split('\n').map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]),
    )
    return {
      id: fields.get('id'),
      event: fields.get('event') ?? '',
      data: JSON.parse(fields.get('data') ?? ''),
    }
  })
}

/** What the next read of a stream brings. */
async function next(stream: AsyncGenerator<string>): Promise<Message[]> {
  const { value, done } = await stream.next()
  assert.equal(done, false, 'the stream has ended')
  return messagesIn(value as string)
}

test('a reader hears what happens from when it came', async () => {
  const { events, tell } = await hub()
  tell(1)
  const stream = events.read({ signal: new AbortController().signal })
  const [open] = await next(stream)
  assert.deepEqual([open?.event, open?.data], ['open', { missed: false }])
  tell(2)
  tell(3)
  const heard = await next(stream)
  assert.deepEqual(
    heard.map(({ event, data }) => [event, data.number]),
    [
      ['run', 2],
      ['run', 3],
    ],
  )
  await stream.return(undefined)
})

test('a reader who comes back hears what was missed, once and in order', async () => {
  const { events, tell } = await hub()
  const { signal } = new AbortController()
  const first = events.read({ signal })
  await next(first)
  tell(1)
  const [one] = await next(first)
  await first.return(undefined)
  tell(2)
  tell(3)
  assert.ok(one?.id)
  const again = events.read({ after: one.id, signal })
  const [open, ...missed] = await next(again)
  assert.deepEqual(open?.data, { missed: false })
  assert.deepEqual(
    missed.map(({ data }) => data.number),
    [2, 3],
  )
  await again.return(undefined)
})

test('a reader who heard nothing yet can come back too', async () => {
  const { events, tell } = await hub()
  const { signal } = new AbortController()
  tell(1)
  const first = events.read({ signal })
  const [open] = await next(first)
  await first.return(undefined)
  tell(2)
  assert.ok(open?.id)
  const again = events.read({ after: open.id, signal })
  assert.deepEqual(
    (await next(again)).map(({ data }) => data.number),
    [undefined, 2],
  )
  await again.return(undefined)
})

test('who was away for too long, or in another life of the node, is told that events are missing', async () => {
  const { events, tell } = await hub()
  const { signal } = new AbortController()
  const first = events.read({ signal })
  const [open] = await next(first)
  assert.ok(open?.id)
  for (let number = 0; number <= eventsKeptMax; number += 1) tell(number)
  for (const after of [open.id, '00000000-1', 'nonsense', `${open.id}999999`]) {
    const stream = events.read({ after, signal })
    assert.deepEqual((await next(stream))[0]?.data, { missed: true }, after)
    await stream.return(undefined)
  }
  await first.return(undefined)
})

test('only the wanted types come, also from the past', async () => {
  const { events, tell } = await hub()
  const { signal } = new AbortController()
  const types = new Set(['round'])
  const first = events.read({ types, signal })
  const [open] = await next(first)
  tell(1)
  tell(2, 'round')
  assert.deepEqual(
    (await next(first)).map(({ data }) => data.number),
    [2],
  )
  const again = events.read({ types, after: open?.id ?? '', signal })
  assert.deepEqual(
    (await next(again)).map(({ data }) => data.number),
    [undefined, 2],
  )
  await Promise.all([first.return(undefined), again.return(undefined)])
})

test('a reader who is too slow is cut off after what fits, and the others go on', async () => {
  const { events, tell } = await hub()
  const { signal } = new AbortController()
  const slow = events.read({ signal })
  await next(slow)
  for (let number = 0; number < eventsPendingMax + 10; number += 1) tell(number)
  assert.equal((await next(slow)).length, eventsPendingMax)
  assert.equal((await slow.next()).done, true)
})

test('a quiet stream says that it is still there', async (t) => {
  const { events } = await hub()
  const stream = events.read({ signal: new AbortController().signal })
  await next(stream)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const quiet = stream.next()
  await Promise.resolve()
  t.mock.timers.tick(eventHeartbeatMs)
  assert.equal((await quiet).value, ': still here\n\n')
  await stream.return(undefined)
})

test('a stream ends when its signal aborts, and a hub that stopped listens no more', async () => {
  const { events, listeners } = await hub()
  const stopping = new AbortController()
  const stream = events.read({ signal: stopping.signal })
  await next(stream)
  const waiting = stream.next()
  stopping.abort()
  assert.equal((await waiting).done, true)
  await events.stop()
  await events.stop()
  assert.equal(listeners.size, 0)
})

test('there are at most so many streams, and a place is free again when one ends', async () => {
  const { events } = await hub()
  const { signal } = new AbortController()
  const streams = Array.from({ length: eventStreamsMax }, () => events.read({ signal }))
  for (const stream of streams) await next(stream)
  assert.throws(() => events.checkRoom(), { code: 'QUEUE_FULL' })
  await streams[0]?.return(undefined)
  events.checkRoom()
  await Promise.all(streams.map((stream) => stream.return(undefined)))
})

test('a change of the registry is told with its value, when that is small', () => {
  const entryOf = (value: Uint8Array) => {
    const facts = {
      key: '/tools/a',
      author: 'peer',
      version: 2,
      timeMs: 5,
      sinceMs: 1,
      revision: 9,
      contested: false,
    }
    return {
      type: 'registry',
      change: { key: '/tools/a', entry: { ...facts, value }, previous: undefined, revision: 9 },
    } as const
  }
  const told = {
    key: '/tools/a',
    revision: 9,
    author: 'peer',
    version: 2,
    timeMs: 5,
    contested: false,
    deleted: false,
  }
  const json = entryOf(new TextEncoder().encode('{"image":"a:1"}'))
  assert.deepEqual(eventView(json), { type: 'registry', ...told, value: { image: 'a:1' } })
  assert.deepEqual(eventView(entryOf(new Uint8Array([255]))), {
    type: 'registry',
    ...told,
    value: { base64: '/w==' },
  })
  const large = eventView(entryOf(new Uint8Array(eventValueBytesMax + 1)))
  assert.deepEqual(large, { type: 'registry', ...told, valueBytes: eventValueBytesMax + 1 })
  const gone = { key: '/tools/a', entry: undefined, previous: undefined, revision: 10 }
  assert.deepEqual(eventView({ type: 'registry', change: gone }), {
    type: 'registry',
    key: '/tools/a',
    deleted: true,
    revision: 10,
  })
})
