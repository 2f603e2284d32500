import assert from 'node:assert/strict'
import { onEveryBackend, type Story } from '../support/etcd-backend.ts'
import { bytes } from '../support/etcd-words.ts'
import { eventually } from '../support/eventually.ts'

const AUTH_OFF = 'etcdserver: authentication is not enabled'
const base64 = (content: Buffer | string) => Buffer.from(content).toString('base64')

type Json = Record<string, unknown>
interface Answer extends Json {
  readonly header?: Json
}

/** The answer without its header, which must say where the store is. */
async function ask({ gateway }: Story, path: string, body: object): Promise<Json> {
  const answer = await gateway(path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  const { header, ...rest } = answer.body as Answer
  assert.deepEqual(Object.keys(header ?? {}), ['cluster_id', 'member_id', 'revision', 'raft_term'])
  assert.match(String(header?.revision), /^\d+$/)
  return rest
}

/** Reads what a stream of the gateway says, a line at a time. */
async function listen({ addresses, after }: Story, path: string, body: object) {
  const abort = new AbortController()
  after(() => abort.abort())
  const { signal } = abort
  const answer = await fetch(`http://${addresses[0]}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal,
  })
  assert.equal(answer.status, 200)
  const lines: Json[] = []
  const read = async () => {
    let text = ''
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString()
      const whole = text.split('\n')
      text = whole.pop() ?? ''
      for (const line of whole) if (line !== '') lines.push((JSON.parse(line) as { result: Json }).result)
    }
  }
  // It ends when the story does.
  read().catch(() => undefined)
  return { lines, heard: (count: number) => eventually(() => lines.length >= count, `not ${count} lines`) }
}

onEveryBackend('etcd: the JSON gateway', (tell) => {
  tell('both', 'puts, reads and deletes; what is nothing is left out', async (story) => {
    const { raw, prefix } = story
    const [key, end] = [base64(`${prefix}a`), base64(`${prefix}b`)]
    assert.deepEqual(await ask(story, '/v3/kv/put', { key, value: base64('1') }), {})
    const first = await raw.revision()
    const kv = {
      key,
      create_revision: `${first}`,
      mod_revision: `${first}`,
      version: '1',
      value: base64('1'),
    }
    assert.deepEqual(await ask(story, '/v3/kv/range', { key }), { kvs: [kv], count: '1' })
    const put = await ask(story, '/v3/kv/put', { key, value: '', prev_kv: true })
    assert.deepEqual(put, { prev_kv: kv })
    const { value: _, ...empty } = { ...kv, mod_revision: `${first + 1}`, version: '2' }
    assert.deepEqual(await ask(story, '/v3/kv/range', { key, range_end: end }), { kvs: [empty], count: '1' })
    const deleted = await ask(story, '/v3/kv/deleterange', { key, prev_kv: true })
    assert.deepEqual(deleted, { deleted: '1', prev_kvs: [empty] })
    assert.deepEqual(await ask(story, '/v3/kv/range', { key }), {})
    assert.deepEqual(await ask(story, '/v3/kv/deleterange', { key }), {})
  })

  tell('both', 'takes names, enums and numbers in every form', async (story) => {
    const { raw, key, prefix } = story
    for (const name of ['a', 'b', 'c']) await raw.put({ key: key(name), value: bytes(name) })
    const [from, to] = [base64(prefix), base64(`${prefix}z`)]
    const names = async (request: object) => {
      const { kvs, count, more } = (await ask(story, '/v3/kv/range', request)) as {
        kvs?: { key: string }[]
      } & Json
      const shown = (kvs ?? []).map((kv) => Buffer.from(kv.key, 'base64').toString().slice(prefix.length))
      return `${shown} of ${count}${more === true ? ' and more' : ''}`
    }
    const last = { limit: '1', sort_order: 'DESCEND', sort_target: 'MOD' }
    assert.equal(await names({ key: from, range_end: to, ...last }), 'c of 3 and more')
    const camel = { limit: 2, sortOrder: 1, sortTarget: 0, keysOnly: true }
    assert.equal(await names({ key: from, rangeEnd: to, ...camel }), 'a,b of 3 and more')
    assert.equal(await names({ key: from, range_end: to, count_only: true }), ' of 3')
    assert.equal(await names({ key: base64(`${prefix}a`), nonsense: [1], revision: '0' }), 'a of 1')
  })

  tell('local', 'runs transactions', async (story) => {
    const { prefix, raw } = story
    const key = base64(`${prefix}a`)
    const value = base64('1')
    const put = { requestPut: { key, value } }
    const free = { key, target: 'VERSION', result: 'EQUAL', version: '0' }
    const request = { compare: [free], success: [put, { request_range: { key } }], failure: [] }
    const done = await ask(story, '/v3/kv/txn', request)
    const now = `${await raw.revision()}`
    const header = { revision: now }
    const kvs = [{ key, create_revision: now, mod_revision: now, version: '1', value }]
    const responses = [{ response_put: { header } }, { response_range: { header, kvs, count: '1' } }]
    assert.deepEqual(done, { succeeded: true, responses })
    const other = {
      compare: [free],
      success: [put],
      failure: [{ requestDeleteRange: { key, prev_kv: true } }],
    }
    const { responses: failed, ...rest } = await ask(story, '/v3/kv/txn', other)
    const gone = { header: { revision: `${Number(now) + 1}` }, deleted: '1', prev_kvs: kvs }
    assert.deepEqual([failed, rest], [[{ response_delete_range: gone }], {}])
  })

  tell('local', 'carries every byte', async (story) => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const key = base64(Buffer.concat([story.key(''), every]))
    await ask(story, '/v3/kv/put', { key, value: base64(every) })
    const { kvs } = (await ask(story, '/v3/kv/range', { key })) as { kvs: { key: string; value: string }[] }
    assert.deepEqual([kvs[0]?.key, kvs[0]?.value], [key, base64(every)])
    assert((await story.raw.range({ key: Buffer.from(key, 'base64') })).kvs[0]?.value.equals(every))
  })

  tell('local', 'grants, asks after, keeps and revokes leases', async (story) => {
    const ID = '909'
    assert.deepEqual(await ask(story, '/v3/lease/grant', { TTL: 60, ID: 909 }), { ID, TTL: '60' })
    const key = base64(`${story.prefix}a`)
    await ask(story, '/v3/kv/put', { key, value: key, lease: ID })
    const { kvs } = (await ask(story, '/v3/kv/range', { key })) as { kvs: { lease: string }[] }
    assert.equal(kvs[0]?.lease, ID)
    const asked = await ask(story, '/v3/lease/timetolive', { ID, keys: true })
    assert.deepEqual({ ...asked, TTL: '' }, { ID, TTL: '', grantedTTL: '60', keys: [key] })
    assert.equal((await ask(story, '/v3/kv/lease/timetolive', { ID })).grantedTTL, '60')
    const { leases } = (await ask(story, '/v3/lease/leases', {})) as { leases: { ID: string }[] }
    assert(leases.some((lease) => lease.ID === ID))
    const kept = await story.gateway('/v3/lease/keepalive', { ID })
    const { result } = kept.body as { result: Json }
    assert.deepEqual({ ...result, header: '' }, { header: '', ID, TTL: '60' })
    assert.deepEqual(await ask(story, '/v3/lease/revoke', { ID }), {})
    assert.deepEqual(await ask(story, '/v3/kv/range', { key }), {})
    assert.deepEqual(await ask(story, '/v3/lease/timetolive', { ID }), { ID, TTL: '-1' })
  })

  tell('both', 'streams a watch, a line for each answer', async (story) => {
    const { raw, key, prefix } = story
    await raw.put({ key: key('a'), value: bytes('1') })
    const create_request = { key: base64(prefix), range_end: base64(`${prefix}z`), prev_kv: true }
    const { lines, heard } = await listen(story, '/v3/watch', { create_request })
    await heard(1)
    await raw.put({ key: key('a'), value: bytes('2') })
    await heard(2)
    await raw.delete({ key: key('a') })
    await heard(3)
    const now = await raw.revision()
    const name = base64(`${prefix}a`)
    const one = { key: name, create_revision: `${now - 2}`, mod_revision: `${now - 2}`, version: '1' }
    const two = { ...one, mod_revision: `${now - 1}`, version: '2' }
    const [created, put, gone] = lines.map(({ header: _, ...rest }) => rest)
    assert.deepEqual(created, { created: true })
    const [was, is] = [
      { ...one, value: base64('1') },
      { ...two, value: base64('2') },
    ]
    assert.deepEqual(put, { events: [{ kv: is, prev_kv: was }] })
    const event = { type: 'DELETE', kv: { key: name, mod_revision: `${now}` }, prev_kv: is }
    assert.deepEqual(gone, { events: [event] })
  })

  tell('local', 'a watch from before the compaction is told so', async (story) => {
    const { raw, key } = story
    for (const value of ['1', '2']) await raw.put({ key: key('a'), value: bytes(value) })
    const now = await raw.revision()
    await raw.compact({ revision: now, physical: true })
    const create_request = { key: base64(key('a')), start_revision: `${now - 1}` }
    const { lines, heard } = await listen(story, '/v3/watch', { create_request })
    await heard(2)
    const { header, ...over } = lines[1] as Answer
    assert.deepEqual(over, { canceled: true, compact_revision: `${now}` })
    assert.equal(header?.revision, undefined)
  })

  tell('local', 'refuses with the code in the body and a status to match', async (story) => {
    const refusal = async (path: string, body: unknown, expected: number, code: number, words: string) => {
      const answer = await story.gateway(path, body)
      assert.deepEqual(answer, { status: expected, body: { error: words, message: words, code } })
    }
    const key = base64(story.key('a'))
    await refusal('/v3/kv/range', {}, 400, 3, 'etcdserver: key is not provided')
    const future = 'etcdserver: mvcc: required revision is a future revision'
    await refusal('/v3/kv/range', { key, revision: '999999' }, 400, 11, future)
    const noLease = 'etcdserver: requested lease not found'
    await refusal('/v3/lease/revoke', { ID: '4242' }, 404, 5, noLease)
    await refusal('/v3/kv/lease/revoke', { ID: 4242 }, 404, 5, noLease)
    await refusal('/v3/kv/put', { key, lease: 4242 }, 404, 5, noLease)
    await ask(story, '/v3/lease/grant', { ID: 910, TTL: 60 })
    await refusal('/v3/lease/grant', { ID: 910, TTL: 60 }, 412, 9, 'etcdserver: lease already exists')
    await refusal('/v3/auth/authenticate', { name: 'root', password: 'x' }, 412, 9, AUTH_OFF)
    await refusal('/v3/kv/range', '{', 400, 3, 'unexpected EOF')
    const odd = await story.gateway('/v3/kv/range', { key: '###' })
    assert.deepEqual([odd.status, (odd.body as Json).code], [400, 3])
    const word = await story.gateway('/v3/kv/range', { key, limit: 'many' })
    assert.deepEqual([word.status, (word.body as Json).code], [400, 3])
  })

  tell('local', 'tells what it is, how it is, and what it has not', async (story) => {
    const { addresses, gateway } = story
    const get = (path: string) => fetch(`http://${addresses[0]}${path}`)
    const version = (await (await get('/version')).json()) as Json
    assert.match(String(version.etcdserver), /^3\.4\./)
    assert.match(String(version.etcdcluster), /^3\.4\./)
    assert.deepEqual(await (await get('/health')).json(), { health: 'true' })
    assert.equal((await gateway('/v3/nonsense', {})).status, 404)
    assert.equal((await get('/v3/kv/range')).status, 405)
    const { members } = (await gateway('/v3/cluster/member/list', {})).body as { members: unknown[] }
    assert.equal(members.length, story.backend.members)
    const { version: spoken } = await ask(story, '/v3/maintenance/status', {})
    assert.match(String(spoken), /^3\.4\./)
  })
})
