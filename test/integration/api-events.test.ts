import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { withDeadline } from '../../src/base/wait.ts'
import { startTestApi, type TestApi } from '../support/api.ts'

/** An event stream as a browser would hold it. */
async function follow({ url, token }: TestApi, query = '', lastId?: string) {
  const leaving = new AbortController()
  const resume = lastId === undefined ? {} : { 'last-event-id': lastId }
  const headers = { authorization: `Bearer ${token}`, ...resume }
  const response = await fetch(`${url}/api/v1/events${query}`, { headers, signal: leaving.signal })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.ok(response.body)
  const heard: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (message) => heard.push(message) })
  const chunks = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  /** The next message; undefined at the end of the stream. */
  const next = async (): Promise<EventSourceMessage | undefined> => {
    while (heard.length === 0) {
      const { value, done } = await withDeadline(chunks.next(), 15_000, 'The next event')
      if (done === true) return undefined
      parser.feed(value)
    }
    return heard.shift()
  }
  /** The first message of that type from here on. */
  const until = async (event: string): Promise<EventSourceMessage> => {
    for (let message = await next(); message !== undefined; message = await next()) {
      if (message.event === event) return message
    }
    throw new Error(`the stream ended without ${event}`)
  }
  return { next, until, leave: () => leaving.abort() }
}

test('a reader that was cut off comes back and misses nothing', async (t) => {
  const api = await startTestApi(t, 'alice')
  const first = await follow(api, '?types=federation,registry')
  assert.equal((await first.next())?.event, 'open')
  await api.node.createFederation({ name: 'lab' })
  const founded = await first.until('federation')
  assert.equal(JSON.parse(founded.data).name, 'lab')
  first.leave()

  await api.ask('POST', '/api/v1/tools', { name: 'shell', image: 'busybox:1' })
  await api.ask('DELETE', '/api/v1/tools/shell')
  const again = await follow(api, '?types=registry', founded.id)
  assert.deepEqual(JSON.parse((await again.until('open')).data), { missed: false })
  const added = JSON.parse((await again.until('registry')).data)
  assert.deepEqual([added.key, added.deleted, added.value.image], ['/tools/shell', false, 'busybox:1'])
  const removed = JSON.parse((await again.until('registry')).data)
  assert.deepEqual([removed.key, removed.deleted], ['/tools/shell', true])
  again.leave()

  const stranger = await follow(api, '', '0badcafe-7')
  assert.deepEqual(JSON.parse((await stranger.until('open')).data), { missed: true })
  stranger.leave()
})

test('a node that stops lets its readers go at once', async (t) => {
  const api = await startTestApi(t, 'alice')
  const readers = await Promise.all([follow(api), follow(api)])
  for (const reader of readers) await reader.until('open')
  const began = Date.now()
  await api.api.stop()
  assert.ok(Date.now() - began < 3_000, 'the readers held the node up')
  for (const reader of readers) assert.equal(await reader.next(), undefined)
})

test('changes of datasets are told as they happen', async (t) => {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  const reader = await follow(api, '?types=registry')
  await reader.until('open')
  await api.ask('POST', '/api/v1/datasets', { name: 'counts', description: 'numbers' })
  const change = JSON.parse((await reader.until('registry')).data)
  assert.equal(change.key, '/dataset/counts')
  assert.equal(change.value.description, 'numbers')
  reader.leave()
})

test('a stream ends with the token that opened it', async (t) => {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  const { token } = await api.node.tokens.create({ name: 'guest', scope: 'member' })
  const streams = ['/events', '/registry/watch'].map(async (path) => {
    const headers = { authorization: `Bearer ${token}` }
    const { body } = await fetch(`${api.url}/api/v1${path}`, { headers })
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
    assert.match((await reader?.read())?.value ?? '', /^event: open/m)
    return reader
  })
  const [guests, owners] = await Promise.all([Promise.all(streams), follow(api)])
  await owners.until('open')
  await api.node.tokens.revoke('guest')
  const ends = guests.map(async (reader) => {
    while ((await reader?.read())?.done === false);
  })
  await withDeadline(Promise.all(ends), 1_500, 'The end of the streams of a token that was revoked')
  // Others go on, until theirs is replaced.
  await api.ask('POST', '/api/v1/tools', { name: 'shell', image: 'busybox:1' })
  await owners.until('registry')
  await api.node.tokens.renewOwners()
  const end = async () => {
    while ((await owners.next()) !== undefined);
  }
  await withDeadline(end(), 1_500, "The end of the stream of the owner's former token")
})
