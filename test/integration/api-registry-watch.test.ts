import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { deletedSchema, watchChangesSchema, watchOpenSchema } from '../../src/api/registry-views.ts'
import { watchText } from '../../src/api/registry-watch.ts'
import { RevisionClock } from '../../src/api/revision-clock.ts'
import { eventValueBytesMax, revisionMarksMax, watchChangesLookedAtMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { KeyEvent } from '../../src/registry/transaction.ts'
import { problemIn, type TestApi } from '../support/api.ts'
import { founder, put, TOOL, told } from '../support/registry-api.ts'

/** A watch as a browser would hold it. */
async function watch(t: TestContext, { url, token }: TestApi, query: string, lastId?: string) {
  const leaving = new AbortController()
  t.after(() => leaving.abort())
  const headers = {
    authorization: `Bearer ${token}`,
    ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
  }
  const response = await fetch(`${url}/api/v1/registry/watch${query}`, { headers, signal: leaving.signal })
  assert.equal(response.status, 200)
  assert.ok(response.body)
  const heard: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (message) => heard.push(message) })
  const chunks = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  const next = async (event: string): Promise<EventSourceMessage> => {
    while (heard.length === 0) {
      const { value, done } = await withDeadline(chunks.next(), 20_000, `The next ${event}`)
      assert.ok(done !== true, `the stream ended before ${event}`)
      parser.feed(value)
    }
    const message = heard.shift() as EventSourceMessage
    assert.equal(message.event, event)
    return message
  }
  const changes = async () => {
    const message = await next('changes')
    return { id: message.id, ...watchChangesSchema.parse(JSON.parse(message.data)) }
  }
  return { next, changes, leave: () => leaving.abort() }
}

test('a watch tells every change once, in order, also to who comes back', async (t) => {
  const api = await founder(t)
  const before = await put(api, '/local/w/a', { text: 'before' })
  const past = await watch(t, api, `?prefix=/local/w/&from=${before.revision}`)
  const opened = watchOpenSchema.parse(JSON.parse((await past.next('open')).data))
  assert.equal(opened.from, before.revision)
  assert.equal((await past.changes()).changes[0]?.value, 'before')

  const reader = await watch(t, api, '?prefix=/local/w/')
  await reader.next('open')
  const put1 = await put(api, '/local/w/a', { json: { n: 1 } })
  await put(api, '/local/other', { text: 'not watched' })
  const told1 = await reader.changes()
  assert.deepEqual([told1.id, told1.revision], [String(put1.revision), put1.revision])
  assert.deepEqual(told1.changes, [
    { key: '/local/w/a', type: 'put', value: { n: 1 }, encoding: 'json', writes: 2 },
  ])
  reader.leave()

  await put(api, '/local/w/b', { text: 'x'.repeat(eventValueBytesMax + 1) })
  const gone = told(deletedSchema, await api.ask('DELETE', '/api/v1/registry?prefix=/local/w/'))
  const again = await watch(t, api, '?prefix=/local/w/', told1.id)
  await again.next('open')
  const large = await again.changes()
  assert.deepEqual(
    [large.changes[0]?.value, large.changes[0]?.valueBytes],
    [undefined, eventValueBytesMax + 1],
  )
  const deleted = await again.changes()
  assert.equal(deleted.revision, gone.revision)
  assert.deepEqual(
    deleted.changes.map(({ type, key }) => [type, key]),
    [
      ['delete', '/local/w/a'],
      ['delete', '/local/w/b'],
    ],
  )
  const shared = await watch(t, api, '?prefix=/tools/')
  await shared.next('open')
  await put(api, '/tools/shell', { json: TOOL })
  assert.equal((await shared.changes()).changes[0]?.authorName, 'alice')

  const beyond = await api.ask(
    'GET',
    `/api/v1/registry/watch?from=${api.node.federation.registry.revision + 2}`,
  )
  assert.equal(problemIn(beyond).code, 'REVISION_FUTURE')
  assert.equal(problemIn(await api.ask('GET', '/api/v1/registry/watch?from=0')).code, 'INVALID_INPUT')
})

test('a watch gives each revision whole, lives when it is quiet, and ends when its past is gone', async (t) => {
  const { node } = await founder(t)
  const { keyValues } = node.federation.registry
  const { signal } = new AbortController()
  const view = ({ type, kv }: KeyEvent) => ({ type, key: kv.key })
  const from = keyValues.revision + 1
  const keys = Array.from({ length: watchChangesLookedAtMax * 2 }, (_, n) => `/local/w/${n}`)
  const put = (written: readonly string[]) =>
    keyValues.transact(async (tx) => {
      for (const key of written) await tx.put(key, new Uint8Array(1), 0n)
    })
  await put(keys)
  await put(['/local/elsewhere'])
  const reader = watchText({ keyValues, prefix: '/local/w/', from, view, signal, heartbeatMs: 50 })
  t.after(() => reader.return(undefined))
  const next = async () => {
    const { value = '' } = await withDeadline(reader.next(), 15_000, 'The next event')
    const [, id, event, data = ''] = /^(?:id: (\d+)\n)?event: (\w+)\ndata: (.*)\n\n$/.exec(value) ?? []
    return { id: Number(id), event, data: JSON.parse(data) }
  }
  assert.deepEqual((await next()).data, { revision: keyValues.revision, keptSince: 0, from })
  const whole = await next()
  assert.deepEqual([whole.id, whole.event, whole.data.changes.length], [from, 'changes', keys.length])
  // What is none of the reader's business moves it on all the same.
  const quiet = await next()
  assert.deepEqual([quiet.id, quiet.event], [from + 1, 'progress'])
  await put(['/local/w/late'])
  await put(['/local/w/late'])
  await keyValues.compact(keyValues.revision)
  const last = await next()
  assert.deepEqual([last.event, last.data.keptSince], ['compacted', keyValues.revision])
  assert.equal((await reader.next()).done, true)
})

test('the times of revisions are known to the second, as far back as this node has counted', () => {
  let nowMs = 0
  const at = (ms: number) => {
    nowMs = ms
  }
  const revisions = new RevisionClock({ now: () => nowMs })
  assert.deepEqual(
    [revisions.timeOf(1), revisions.revisionAt(1e15), revisions.sinceMs],
    [undefined, undefined, undefined],
  )
  at(1_000_000)
  revisions.begin(7)
  assert.deepEqual(
    [revisions.timeOf(7), revisions.revisionAt(999_000), revisions.revisionAt(1_000_000)],
    [undefined, undefined, 7],
  )
  at(1_005_000)
  revisions.tell(8)
  at(1_005_500)
  revisions.tell(9)
  at(1_009_000)
  revisions.tell(10)
  assert.deepEqual(
    [8, 9, 10, 11].map((revision) => revisions.timeOf(revision)),
    [1_005_000, 1_005_000, 1_009_000, 1_009_000],
  )
  // Never a revision that came later than the time that is asked for.
  assert.deepEqual(
    [1_004_999, 1_005_000, 1_008_999, 1_009_000].map((ms) => revisions.revisionAt(ms)),
    [7, 8, 8, 10],
  )
  for (let n = 0; n < revisionMarksMax; n += 1) {
    at(1_020_000 + n * 1_000)
    revisions.tell(11 + n)
  }
  assert.equal(revisions.timeOf(10), undefined)
  assert.equal(revisions.sinceMs, 1_009_000)
  assert.equal(revisions.revisionAt(1_010_000), 10)
})
