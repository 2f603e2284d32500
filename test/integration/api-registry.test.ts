import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactedSchema, deletedSchema, entriesSchema, historySchema } from '../../src/api/registry-views.ts'
import { leasesMax } from '../../src/base/limits.ts'
import { successionOf } from '../../src/federation/successions.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { digestOf, founder, get, put, TOOL, told } from '../support/registry-api.ts'

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

test('a key that is written again and again uses up no leases', async (t) => {
  const api = await founder(t)
  const { keyValues } = api.node.federation.registry
  const { leases } = keyValues
  const soon = { expiresInMs: 3_600_000 }
  for (let round = 0; round < 3; round++) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => put(api, '/local/beat', { text: `${i}` }, soon)))
    await put(api, '/shared/beat', { text: `${round}` }, soon)
  }
  const [id = 0n, ...more] = leases.list()
  assert.deepEqual(more, [])
  assert.deepEqual(leases.timeToLive(id)?.keys, ['/local/beat'])
  // What is to stay, or is deleted, needs none.
  await put(api, '/local/beat', { text: 'stays' })
  assert.deepEqual(leases.list(), [])
  await put(api, '/local/beat', { text: 'x' }, soon)
  await put(api, '/local/other', { text: 'x' }, soon)
  told(deletedSchema, await api.ask('DELETE', '/api/v1/registry?prefix=/local/'))
  assert.deepEqual(leases.list(), [])

  // The leases of etcd's clients are theirs, also when nothing hangs on them.
  const theirs = await leases.grant(0n, 3_600)
  await keyValues.transact((tx) => tx.put('/local/theirs', Buffer.from('x'), theirs.id))
  await put(api, '/local/theirs', { text: 'ours' })
  assert.deepEqual(leases.list(), [theirs.id])
})

test('where there are as many leases as there may be, those of keys that others replaced are given back', async (t) => {
  const api = await founder(t)
  const { keyValues } = api.node.federation.registry
  const { leases } = keyValues
  const soon = { expiresInMs: 3_600_000 }
  await put(api, '/local/a', { text: 'x' }, soon)
  await put(api, '/local/b', { text: 'x' }, soon)
  // As an etcd client does it.
  await keyValues.transact((tx) => tx.delete({ from: '/local/a', to: undefined }))
  while (leases.list().length < leasesMax) {
    const room = Math.min(1_000, leasesMax - leases.list().length)
    await Promise.all(Array.from({ length: room }, () => leases.grant(0n, 3_600)))
  }
  assert.ok((await put(api, '/local/c', { text: 'x' }, soon)).lease)
  const full = { key: '/local/d', value: { text: 'x' }, ...soon }
  assert.equal(problemIn(await api.ask('PUT', '/api/v1/registry/entry', full)).code, 'QUEUE_FULL')
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

test('which key follows its own is said by no client, nor what an operator endorses or lists', async (t) => {
  const api = await founder(t)
  const self = api.node.peerId
  const thief = await generateIdentity()
  const value = {
    text: Buffer.from(successionOf(api.node.federation.genesis.federation, self, thief)).toString(),
  }
  const keys = [`/successions/${self}`, `/endorsements/${self}`, `/departures/${thief.peerId}/0/${self}`]
  for (const key of keys) {
    for (const more of [{}, { expiresInMs: 60_000 }]) {
      const answer = await api.ask('PUT', '/api/v1/registry/entry', { key, value, ...more })
      assert.equal(answer.status, 403, `${key} ${answer.body}`)
    }
  }
  assert.equal(api.node.federation.members.role(self), 'operator')
  assert.equal(api.node.federation.members.role(thief.peerId), undefined)
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
