import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import {
  compactedSchema,
  deletedSchema,
  digestSchema,
  type EntryDetail,
  entriesSchema,
  entryDetailSchema,
  historySchema,
  peersSchema,
  watchChangesSchema,
  watchOpenSchema,
} from '../../src/api/registry-views.ts'
import { watchText } from '../../src/api/registry-watch.ts'
import { RevisionClock } from '../../src/api/revision-clock.ts'
import { eventValueBytesMax, revisionMarksMax, watchChangesLookedAtMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { KeyEvent } from '../../src/registry/transaction.ts'
import { type Answer, askRaw, problemIn, startTestApi, type TestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'

const TOOL = { image: 'busybox:1' }
const encode = encodeURIComponent

/** An API whose node has founded a federation. */
async function founder(t: TestContext): Promise<TestApi> {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  return api
}

function told<T>(schema: { parse(value: unknown): T }, answer: Answer): T {
  assert.equal(answer.status, 200, answer.body)
  return schema.parse(JSON.parse(answer.body))
}

async function put({ ask }: TestApi, key: string, value: object, more: object = {}): Promise<EntryDetail> {
  return told(entryDetailSchema, await ask('PUT', '/api/v1/registry/entry', { key, value, ...more }))
}

async function get({ ask }: TestApi, key: string, query = ''): Promise<EntryDetail> {
  return told(entryDetailSchema, await ask('GET', `/api/v1/registry/entry?key=${encode(key)}${query}`))
}

async function digestOf({ ask }: TestApi, query = '') {
  return told(digestSchema, await ask('GET', `/api/v1/registry/digest${query}`))
}

test('shared and local keys are written, read as they are and were, and deleted', async (t) => {
  const api = await founder(t)
  const { ask, node } = api
  const tool = await put(api, '/tools/shell', { json: TOOL })
  assert.deepEqual([tool.kind, tool.value, tool.encoding], ['shared', TOOL, 'json'])
  assert.deepEqual(
    [tool.author, tool.authorName, tool.version, tool.contested],
    [node.peerId, 'alice', 1, false],
  )
  assert.deepEqual(
    tool.claims.map(({ author, shown, value }) => [author, shown, value]),
    [[node.peerId, true, TOOL]],
  )

  const first = await put(api, '/local/note', { text: 'grüezi' })
  const second = await put(api, '/local/note', { base64: Buffer.from([0, 255]).toString('base64') })
  assert.deepEqual(
    [first.kind, first.encoding, first.value, first.author],
    ['local', 'text', 'grüezi', undefined],
  )
  assert.deepEqual([second.encoding, second.value, second.writes], ['base64', 'AP8=', 2])
  assert.equal(second.createdRevision, first.revision)
  assert.equal((await get(api, '/local/note', `&revision=${first.revision}`)).value, 'grüezi')
  // A number of more digits than JSON can hold comes out as it went in.
  assert.equal((await put(api, '/local/big', { text: '12345678901234567890' })).value, '12345678901234567890')
  assert.equal((await put(api, 'schlüssel', { text: '{"a":1}' })).key, 'schlüssel')
  assert.deepEqual((await get(api, 'schlüssel')).value, { a: 1 })

  const below = told(entriesSchema, await ask('GET', '/api/v1/registry?prefix=/local/&limit=1&keysOnly=true'))
  assert.deepEqual(
    [below.total, below.entries.map(({ key, value }) => [key, value])],
    [2, [['/local/big', undefined]]],
  )
  const past = told(
    entriesSchema,
    await ask('GET', `/api/v1/registry?prefix=/local/&revision=${first.revision}`),
  )
  assert.deepEqual(
    past.entries.map(({ value }) => value),
    ['grüezi'],
  )

  const gone = told(deletedSchema, await ask('DELETE', '/api/v1/registry?prefix=/local/'))
  assert.equal(gone.deleted, 2)
  const history = told(historySchema, await ask('GET', '/api/v1/registry/history?key=/local/note'))
  assert.deepEqual(
    history.versions.map(({ type, revision, value }) => [type, revision, value]),
    [
      ['put', first.revision, 'grüezi'],
      ['put', second.revision, 'AP8='],
      ['delete', gone.revision, undefined],
    ],
  )
  assert.ok(history.versions.every(({ timeMs = 0 }) => Math.abs(timeMs - Date.now()) < 60_000))
  assert.equal(told(deletedSchema, await ask('DELETE', '/api/v1/registry/entry?key=/tools/shell')).deleted, 1)
  assert.equal(node.federation.execution.tools.get('shell'), undefined)
})

test('what ends by itself says when, and ends', async (t) => {
  const api = await founder(t)
  const shared = await put(api, '/shared/soon', { text: 'x' }, { expiresInMs: 2_000 })
  assert.ok((shared.expiresMs ?? 0) > Date.now(), 'the record does not say when it ends')
  const local = await put(api, '/local/soon', { text: 'x' }, { expiresInMs: 2_000 })
  assert.match(local.lease?.id ?? '', /^[0-9a-f]{16}$/)
  const { registry } = api.node.federation
  const kept = () =>
    ['/shared/soon', '/local/soon'].filter((key) => registry.keyValues.get(key) !== undefined)
  await eventually(() => kept().length === 0, 'a key outlived its time')
  // A write that fails leaves no lease behind.
  const leases = registry.keyValues.leases.list().length
  const refused = { key: '/shared/no key', value: { text: 'x' }, expiresInMs: 60_000 }
  assert.equal(problemIn(await api.ask('PUT', '/api/v1/registry/entry', refused)).code, 'INVALID_INPUT')
  assert.equal(registry.keyValues.leases.list().length, leases)
})

test('what no member could read is refused before it is signed', async (t) => {
  const api = await founder(t)
  const { ask, node } = api
  const revision = node.federation.registry.revision
  const wrong: [key: string, value: object, code: string, says: RegExp][] = [
    ['/tools/x', { text: 'no JSON' }, 'INVALID_INPUT', /no JSON/],
    ['/tools/x', { json: { imag: 'busybox:1' } }, 'INVALID_INPUT', /image/],
    ['/tools/Not A Name', { json: TOOL }, 'INVALID_NAME', /cannot name a tool/],
    ['/pipelines/x', { json: { steps: [] } }, 'INVALID_INPUT', /steps/],
    ['/schedules/x', { json: { pipeline: 'x', cron: 'never' } }, 'INVALID_INPUT', /cron/],
    [
      '/dataset/x',
      { json: { description: 'x', policy: 'secret', createdBy: 'alice' } },
      'INVALID_INPUT',
      /policy/,
    ],
    [`/heads/x/${node.peerId}`, { json: { branches: { 'a..b': 'x' } } }, 'INVALID_INPUT', /branches/],
    ['/tools/x/y', { json: TOOL }, 'INVALID_INPUT', /shares no key/],
    ['/presence/somebody', { json: { addresses: [], version: '1' } }, 'INVALID_INPUT', /Only the peer/],
    ['/local/x', {}, 'INVALID_INPUT', /value/],
    ['/local/x', { text: 'a', base64: 'YQ==' }, 'INVALID_INPUT', /value/],
    ['', { text: 'a' }, 'INVALID_INPUT', /key/],
  ]
  for (const [key, value, code, says] of wrong) {
    const problem = problemIn(await ask('PUT', '/api/v1/registry/entry', { key, value }))
    assert.equal(problem.code, code, `${key} ${JSON.stringify(value)}: ${problem.detail}`)
    assert.match(problem.detail, says)
  }
  assert.equal(node.federation.registry.revision, revision, 'something was written all the same')
  for (const path of ['registry/entry?key=/nope', 'registry/history?key=/nope']) {
    assert.equal(problemIn(await ask('GET', `/api/v1/${path}`)).code, 'NOT_FOUND')
  }
  assert.equal(problemIn(await ask('DELETE', '/api/v1/registry/entry?key=/nope')).code, 'NOT_FOUND')
  assert.equal(told(deletedSchema, await ask('DELETE', '/api/v1/registry?prefix=/nope')).deleted, 0)
  // Nobody deletes everything by forgetting a word.
  assert.equal(problemIn(await ask('DELETE', '/api/v1/registry')).code, 'INVALID_INPUT')
})

test('a closed door stays closed for every route of the registry', async (t) => {
  const { url } = await founder(t)
  const headers = { authorization: 'Bearer wrong' }
  const routes = [
    'registry',
    'registry/entry?key=/x',
    'registry/history?key=/x',
    'registry/digest',
    'registry/watch',
    'peers',
  ]
  for (const path of routes) {
    assert.equal(problemIn(await askRaw(`${url}/api/v1/${path}`, { headers })).code, 'UNAUTHORIZED', path)
  }
  assert.equal(problemIn(await askRaw(`${url}/metrics`, { headers })).code, 'UNAUTHORIZED')
})

test('what was replaced is forgotten as far as is asked for, and says so', async (t) => {
  const api = await founder(t)
  const { ask } = api
  const compact = (value: object) => ask('POST', '/api/v1/registry/compaction', value)
  const first = await put(api, '/local/a', { text: '1' })
  const second = await put(api, '/local/a', { text: '2' })
  const third = await put(api, '/local/a', { text: '3' })

  const some = told(compactedSchema, await compact({ revision: second.revision }))
  assert.deepEqual(some, { keptSince: second.revision, revision: third.revision, changed: true })
  for (const query of [`entry?key=/local/a&revision=${first.revision}`, `watch?from=${first.revision}`]) {
    const problem = problemIn(await ask('GET', `/api/v1/registry/${query}`))
    assert.deepEqual([problem.code, problem.status], ['REVISION_COMPACTED', 410], query)
    assert.equal(problem.data?.compacted, second.revision)
  }
  assert.equal((await get(api, '/local/a', `&revision=${second.revision}`)).value, 2)
  const history = told(historySchema, await ask('GET', '/api/v1/registry/history?key=/local/a'))
  assert.deepEqual([history.keptSince, history.versions.map(({ value }) => value)], [second.revision, [2, 3]])
  assert.equal(problemIn(await compact({ revision: first.revision })).code, 'REVISION_COMPACTED')
  assert.equal(problemIn(await compact({ revision: third.revision + 1 })).code, 'REVISION_FUTURE')
  assert.equal(problemIn(await compact({ revision: 1, keepMs: 1 })).code, 'INVALID_INPUT')
  // Longer ago than this node knows the times of.
  assert.equal(problemIn(await compact({ keepMs: 3_600_000 })).code, 'INVALID_INPUT')
  assert.equal((await digestOf(api)).keptSince, second.revision)

  const all = told(compactedSchema, await compact({}))
  assert.deepEqual([all.keptSince, all.changed], [third.revision, true])
  assert.equal(told(compactedSchema, await compact({ keepMs: 0 })).changed, false)
  // A version from before the last compaction that is still there is told of too.
  await put(api, '/local/b', { text: 'x' })
  await compact({})
  const kept = told(historySchema, await ask('GET', '/api/v1/registry/history?key=/local/a'))
  assert.deepEqual(
    kept.versions.map(({ revision, value }) => [revision, value]),
    [[third.revision, 3]],
  )
})

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

/** A clock that a test sets wrong and right again. */
class ShiftedClock {
  shiftMs = 0
  now(): number {
    return Date.now() + this.shiftMs
  }
}

test('two members whose registries come apart are seen to, and seen to agree again', {
  timeout: 90_000,
}, async (t) => {
  const alice = await founder(t)
  const clock = new ShiftedClock()
  const bob = await startTestNode(t, 'bob', { clock })
  await bob.join((await alice.node.invite()).token)
  const peers = async () => told(peersSchema, await alice.ask('GET', '/api/v1/peers'))
  const bobSeen = async () => (await peers()).peers[0]
  const compare = () => {
    alice.node.federation.sync?.pull(bob.peerId)
    bob.federation.sync?.pull(alice.node.peerId)
  }
  await eventually(async () => {
    compare()
    return (await peers()).same === 1
  }, 'the two never agreed')
  const seen = await bobSeen()
  assert.deepEqual([seen?.name, seen?.role, seen?.connected, seen?.peer], ['bob', 'member', true, bob.peerId])
  assert.match(seen?.addresses[0] ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\//)
  await eventually(async () => (await bobSeen())?.catchUp?.done === true, 'the catch-up never ended')

  // With a clock an hour slow he takes nothing that is written now for true.
  clock.shiftMs = -3_600_000
  await put(alice, '/tools/shell', { json: TOOL })
  await eventually(async () => {
    compare()
    return (await bobSeen())?.registry.state === 'differs'
  }, 'alice never saw that bob differs')
  const apart = await peers()
  assert.deepEqual([apart.same, apart.differing, apart.unknown], [0, 1, 0])
  assert.notEqual((await bobSeen())?.registry.digest, (await digestOf(alice)).digest)
  assert.equal(bob.federation.registry.get('/tools/shell'), undefined)
  // So he gives the name away a second time.
  await bob.federation.execution.addTool('shell', { image: 'busybox:2' })

  clock.shiftMs = 0
  await eventually(async () => {
    compare()
    return (await peers()).same === 1
  }, 'the two never agreed again')
  const { digest, records } = await peers()
  assert.equal(digest, bob.federation.registry.digest())
  assert.deepEqual([(await digestOf(alice)).digest, (await digestOf(alice)).records], [digest, records])
  const tools = await digestOf(alice, '?prefix=/tools/')
  assert.equal(tools.records, 2)
  assert.notEqual(tools.digest, digest)
  const contested = await get(alice, '/tools/shell')
  assert.deepEqual([contested.contested, contested.authorName], [true, 'alice'])
  assert.deepEqual(
    contested.claims.map(({ authorName, shown }) => [authorName, shown]),
    [
      ['alice', true],
      ['bob', false],
    ],
  )
})

test('what belongs to another member is neither overwritten nor deleted', async (t) => {
  const alice = await founder(t)
  const bob = await startTestApi(t, 'bob')
  await bob.node.join((await alice.node.invite()).token)
  await put(alice, '/tools/shell', { json: TOOL })
  await put(alice, '/shared/hers', { text: 'x' })
  const has = (key: string) => bob.node.federation.registry.get(key) !== undefined
  await eventually(() => has('/tools/shell') && has('/shared/hers'), 'bob never heard of what alice wrote')
  await put(bob, '/shared/his', { text: 'x' })

  const value = { json: { image: 'busybox:2' } }
  const overwritten = await bob.ask('PUT', '/api/v1/registry/entry', { key: '/tools/shell', value })
  assert.equal(problemIn(overwritten).code, 'CONFLICT')
  const deleted = problemIn(await bob.ask('DELETE', '/api/v1/registry/entry?key=/tools/shell'))
  assert.equal(deleted.code, 'CONFLICT')
  assert.match(deleted.detail, /belongs to alice/)
  // All or none: his own key stays too.
  assert.equal(problemIn(await bob.ask('DELETE', '/api/v1/registry?prefix=/shared/')).code, 'CONFLICT')
  assert.ok(has('/shared/his'))
  const member = await bob.ask('DELETE', `/api/v1/registry/entry?key=/members/${bob.node.peerId}`)
  assert.equal(problemIn(member).code, 'FORBIDDEN')
})
