import assert from 'node:assert/strict'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { requestBytesMax } from '../../src/base/limits.ts'
import { openToken } from '../../src/identity/access-token.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a request under another name is refused, however near the name comes', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const { port } = new URL(url)
  const authorization = `Bearer ${token}`
  const wrong = [
    '127.0.0.1.evil.com',
    `127.0.0.1.evil.com:${port}`,
    `evil.com:${port}`,
    '127.0.0.1',
    `127.0.0.1:${Number(port) + 1}`,
    `127.0.0.2:${port}`,
    `localhost.:${port}`,
  ]
  for (const host of wrong) {
    const answer = await askRaw(`${url}/api/v1/federation`, { headers: { host, authorization } })
    assert.equal(problemIn(answer).code, 'HOST_FORBIDDEN', `Host: ${host}`)
    assert.equal(answer.status, 403)
    // The free routes tell a rebound page no more than the others.
    assert.equal((await askRaw(`${url}/healthz`, { headers: { host } })).status, 403)
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
    const answer = await askRaw(`${url}/api/v1/federation`, { headers: { host, authorization } })
    assert.equal(answer.status, 200, `Host: ${host}`)
  }
})

test('a name that the settings add is answered, exactly', async (t) => {
  const api = { port: 0, allowedHosts: ['node.example.org'] }
  const { url } = await startTestApi(t, 'alice', { api })
  assert.equal((await askRaw(`${url}/healthz`, { headers: { host: 'node.example.org' } })).status, 200)
  assert.equal((await askRaw(`${url}/healthz`, { headers: { host: 'x.node.example.org' } })).status, 403)
})

test('a page of another origin is refused, also with the token', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const { port } = new URL(url)
  const authorization = `Bearer ${token}`
  for (const origin of [
    'https://evil.com',
    'null',
    `http://127.0.0.1.evil.com:${port}`,
    `http://evil.com@127.0.0.1:${port}`,
  ]) {
    const answer = await askRaw(`${url}/api/v1/federation`, { headers: { origin, authorization } })
    assert.equal(problemIn(answer).code, 'ORIGIN_FORBIDDEN', origin)
    assert.equal(answer.status, 403)
  }
  const own = await askRaw(`${url}/api/v1/federation`, { headers: { origin: url, authorization } })
  assert.equal(own.status, 200)
})

test('a path with two slashes is nothing, with the token and without', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  for (const path of ['//api/v1/federation', '/api//v1/federation', '//healthz', '//api']) {
    const [open, closed] = await Promise.all([
      askRaw(url + path, { headers: { authorization: `Bearer ${token}` } }),
      askRaw(url + path),
    ])
    assert.deepEqual([open.status, closed.status], [404, 404], path)
  }
})

test('without the token there is nothing to see but that the node is alive', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const closed = [
    '/api/v1/federation',
    '/api/v1/openapi.json',
    '/api/v1/events',
    '/git/x.git/info/refs',
    '/nowhere',
    '/',
  ]
  for (const path of closed) {
    const answer = await askRaw(url + path)
    assert.equal(problemIn(answer).code, 'UNAUTHORIZED', path)
    assert.equal(answer.status, 401)
    assert.match(answer.headers['www-authenticate'] ?? '', path.startsWith('/git/') ? /^Basic/ : /^Bearer/)
  }
  for (const credentials of [
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    'Bearer',
    token,
    `Digest ${token}`,
  ]) {
    const answer = await askRaw(`${url}/api/v1/federation`, { headers: { authorization: credentials } })
    assert.equal(answer.status, 401, credentials)
  }
  for (const path of ['/healthz', '/readyz']) assert.equal((await askRaw(url + path)).status, 200)
})

test('a browser gets the page without the token, under the right name alone', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const accept = 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'
  const front = await askRaw(url, { headers: { accept } })
  assert.equal(front.status, 200)
  assert.equal(front.headers['content-type'], 'text/html; charset=utf-8')
  for (const [, path = ''] of front.body.matchAll(/(?:src|href)="(\/[^"]*)"/g)) {
    const part = await askRaw(url + path)
    assert.equal(part.status, 200, path)
    assert.match(String(part.headers['content-security-policy']), /default-src 'none'/)
    assert.ok(!part.body.includes(token))
  }
  const rebound = await askRaw(url, { headers: { accept, host: 'evil.com' } })
  assert.equal(problemIn(rebound).code, 'HOST_FORBIDDEN')
  // Whoever asks for no page meets the doors of the API there.
  const authorization = `Bearer ${token}`
  assert.equal((await askRaw(url)).status, 401)
  const { body, headers } = await askRaw(url, { headers: { authorization } })
  assert.deepEqual([body, headers['content-type']], ['"hello"', 'application/json; charset=utf-8'])
})

/** One request for each of the predecessor's routes. */
const MAO_ROUTES = [
  'GET /',
  'GET /registry/tools',
  'GET /registry/tools/x',
  'POST /registry/tools',
  'DELETE /registry/tools/x',
  'GET /registry/datasets',
  'GET /registry/datasets/x',
  'POST /registry/datasets',
  'DELETE /registry/datasets/x',
  'GET /registry/pipelines/x',
  'GET /pipeline',
  'POST /pipeline/init',
  'POST /pipeline/run',
  'POST /bare-repo/init',
  'GET /jobs',
  'DELETE /jobs/x',
  'POST /write',
  'POST /read',
  'POST /inspect',
]

/** The statuses of all of them. */
async function maoStatuses(url: string, headers: Record<string, string>, before = ''): Promise<Set<number>> {
  const asked = MAO_ROUTES.map((route) => {
    const [method = '', path = ''] = route.split(' ')
    const json: Record<string, string> = method === 'POST' ? { 'content-type': 'application/json' } : {}
    const body = method === 'POST' ? { body: '{}' } : {}
    return askRaw(url + before + path, { method, headers: { ...headers, ...json }, ...body })
  })
  return new Set((await Promise.all(asked)).map(({ status }) => status))
}

test("the predecessor's routes stand behind the same doors", async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const authorization = `Bearer ${token}`
  const host = `127.0.0.1.evil.com:${new URL(url).port}`
  assert.deepEqual(await maoStatuses(url, { authorization, host }), new Set([403]))
  assert.deepEqual(await maoStatuses(url, { authorization, origin: 'https://evil.com' }), new Set([403]))
  assert.deepEqual(await maoStatuses(url, { authorization }, '/'), new Set([404]))
  assert.deepEqual(await maoStatuses(url, {}), new Set([401]))
  // With the token they say what is missing: a federation, or a field.
  assert.deepEqual(await maoStatuses(url, { authorization }), new Set([200, 409, 422]))
})

test("the predecessor's routes can be open to this machine alone, still by name and origin", async (t) => {
  const { url, token } = await startTestApi(t, 'alice', { maoApi: 'open' })
  const host = `127.0.0.1.evil.com:${new URL(url).port}`
  assert.deepEqual(await maoStatuses(url, {}), new Set([200, 409, 422]))
  assert.deepEqual(await maoStatuses(url, { host }), new Set([403]))
  assert.deepEqual(await maoStatuses(url, { origin: 'null' }), new Set([403]))
  assert.deepEqual(await maoStatuses(url, {}, '/'), new Set([404]))
  // Whoever passes requests on may do so for anybody.
  assert.deepEqual(await maoStatuses(url, { 'x-forwarded-for': '127.0.0.1' }), new Set([401]))
  assert.deepEqual(await maoStatuses(url, { authorization: `Bearer ${token}x` }), new Set([401]))
  assert.equal((await askRaw(`${url}/api/v1/federation`)).status, 401)
  assert.equal((await askRaw(`${url}/registry/../api/v1/federation`)).status, 401)
})

test("the predecessor's routes can be off", async (t) => {
  const { url, token } = await startTestApi(t, 'alice', { maoApi: 'off' })
  assert.deepEqual(await maoStatuses(url, { authorization: `Bearer ${token}` }), new Set([404]))
  assert.deepEqual(await maoStatuses(url, {}), new Set([401]))
})

test('git may send the token as the password of any user', async (t) => {
  const { url, token } = await startTestApi(t, 'alice')
  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
  const ask = async (path: string, pair: string) =>
    (await askRaw(url + path, { headers: basic(pair) })).status
  // Past the door there is no such dataset, nor a federation.
  assert.equal(await ask('/git/x.git/info/refs?service=git-upload-pack', `git:${token}`), 409)
  assert.equal(await ask('/git/x.git/info/refs?service=git-upload-pack', `${token}:git`), 401)
  // Git alone knows no better way.
  assert.equal(await ask('/api/v1/federation', `git:${token}`), 401)
})

test('the token is made once, and its owner alone can read it', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'api-token')
  const token = await openToken(directory)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.ok(token.length >= 43, 'the token has less than 256 bits')
  assert.equal(await openToken(directory), token)
  await chmod(path, 0o644)
  assert.equal(await openToken(directory), token)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await writeFile(path, 'short\n')
  await assert.rejects(openToken(directory), { code: 'INVALID_CONFIG' })
})

test('the whereabouts of the API stand in the data directory for as long as it runs', async (t) => {
  const { node, api, url } = await startTestApi(t, 'alice')
  const path = join(node.config.dataDirectory, 'api.json')
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { url, pid: process.pid })
  await api.stop()
  await assert.rejects(readFile(path), { code: 'ENOENT' })
  await assert.rejects(askRaw(`${url}/healthz`), { code: 'ECONNREFUSED' })
})

test('a port that is taken is told as such', async (t) => {
  const { url } = await startTestApi(t, 'alice')
  const port = Number(new URL(url).port)
  await assert.rejects(startTestApi(t, 'bob', { api: { port } }), { code: 'PORT_IN_USE' })
})

test('what cannot be read is a problem with every place named, and never a stack', async (t) => {
  const { url, ask, token } = await startTestApi(t, 'alice')
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }

  const invalid = problemIn(await ask('POST', '/api/v1/federation', { name: 'Not A Name', descriptoin: 'x' }))
  assert.equal(invalid.code, 'INVALID_INPUT')
  const problems = invalid.data?.problems as { path: string }[]
  assert.deepEqual(problems.map((problem) => problem.path).sort(), ['', 'name'])
  assert.match(invalid.detail, /descriptoin/)

  const broken = await askRaw(`${url}/api/v1/federation`, { method: 'POST', headers, body: '{"name":' })
  assert.equal(problemIn(broken).code, 'INVALID_INPUT')
  const empty = await askRaw(`${url}/api/v1/federation`, { method: 'POST', headers })
  assert.equal(problemIn(empty).code, 'INVALID_INPUT')
  const otherType = { ...headers, 'content-type': 'text/plain' }
  const plain = await askRaw(`${url}/api/v1/federation`, { method: 'POST', headers: otherType, body: 'x' })
  assert.equal(problemIn(plain).code, 'INVALID_INPUT')

  const large = JSON.stringify({ name: 'x'.repeat(requestBytesMax) })
  const chunked = { ...headers, 'transfer-encoding': 'chunked' }
  for (const sent of [headers, chunked]) {
    const answer = await askRaw(`${url}/api/v1/federation`, { method: 'POST', headers: sent, body: large })
    assert.equal(problemIn(answer).code, 'TOO_LARGE')
  }
  const short = { method: 'POST', headers: chunked, body: '{"name":"Not A Name"}' }
  assert.equal(problemIn(await askRaw(`${url}/api/v1/federation`, short)).code, 'INVALID_INPUT')
  assert.equal(problemIn(await ask('GET', '/api/v1/runs?limit=0')).code, 'INVALID_INPUT')
  assert.equal(problemIn(await ask('GET', '/api/v1/nothing-here')).code, 'NOT_FOUND')
  assert.equal(problemIn(await ask('GET', '/api/v1/datasets')).code, 'NO_FEDERATION')
  for (const answer of [broken, empty, plain]) assert.doesNotMatch(answer.body, /\bat .*\.ts|node_modules/)
})
