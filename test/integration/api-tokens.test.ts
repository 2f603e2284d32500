import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { TokenView } from '../../src/api/token-routes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase, table } from '../../src/base/database.ts'
import { tokensMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { SCOPES, type Scope } from '../../src/identity/scopes.ts'
import { TokenBook } from '../../src/identity/token-book.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

test('a token opens what its scope says and nothing more, from the moment it is made until it is revoked', async (t) => {
  const { node, url } = await startTestApi(t, 'alice')
  const data = node.config.dataDirectory
  await node.createFederation({ name: 'observatory' })
  const tokens = new Map<Scope, string>()
  for (const scope of SCOPES) {
    const made = await maoctlHere(['--data', data, 'token', 'create', `for-${scope}`, '--scope', scope])
    assert.equal(made.exit, 0, made.stderr)
    tokens.set(scope, made.stdout.trim())
  }
  const asked: readonly [method: string, path: string, least: Scope][] = [
    ['GET', '/api/v1/federation', 'observer'],
    ['GET', '/metrics', 'observer'],
    ['GET', '/api/v1/registry', 'member'],
    ['GET', '/git/nothing.git/info/refs?service=git-upload-pack', 'member'],
    ['POST', '/api/v1/runs', 'member'],
    ['GET', '/api/v1/secrets', 'operator'],
    ['POST', '/api/v1/federation/invitations', 'operator'],
    ['PUT', '/api/v1/registry/entry?key=/members/x', 'operator'],
    ['GET', '/api/v1/tokens', 'admin'],
    // A second spelling of a path does not pass by the table.
    ['GET', '/api/v1/%74okens', 'admin'],
    // A slip of the path is told as one, and asks nobody to make a stronger token.
    ['GET', '/api/v1/nowhere', 'observer'],
    ['PATCH', '/api/v1/tokens', 'observer'],
  ]
  for (const [method, path, least] of asked) {
    for (const scope of SCOPES) {
      const answer = await askRaw(url + path, { method, ...bearer(tokens.get(scope) as string) })
      const isOpen = SCOPES.indexOf(scope) >= SCOPES.indexOf(least)
      assert.equal(
        answer.status === 403,
        !isOpen,
        `${scope} ${method} ${path}: ${answer.status} ${answer.body}`,
      )
    }
  }

  const slip = await askRaw(`${url}/api/v1/nowhere`, bearer(tokens.get('observer') as string))
  assert.equal(problemIn(slip).code, 'NOT_FOUND')

  // What is kept opens nothing: the token itself stands nowhere on the disk.
  const secret = (tokens.get('observer') as string).slice(-43)
  const found = promisify(execFile)('grep', ['-rlF', secret, data])
  await assert.rejects(found, { code: 1 })

  const listed = await maoctlHere(['--data', data, '--json', 'token', 'list'])
  assert.deepEqual(
    listed.json<TokenView[]>().map(({ name, scope }) => `${name} ${scope}`),
    ['for-admin admin', 'for-member member', 'for-observer observer', 'for-operator operator'],
  )
  assert(!listed.stdout.includes(secret))
  const again = await maoctlHere(['--data', data, 'token', 'create', 'for-member'])
  assert.match(again.stderr, /A token for-member exists .*ALREADY_EXISTS/)
  await maoctlHere(['--data', data, 'token', 'revoke', 'for-member'])
  const revoked = await askRaw(`${url}/api/v1/federation`, bearer(tokens.get('member') as string))
  assert.equal(problemIn(revoked).code, 'UNAUTHORIZED')
})

test("the owner's token can be replaced, and the one before is void at once", async (t) => {
  const { node, url, token } = await startTestApi(t, 'alice')
  const data = node.config.dataDirectory
  const renewed = await maoctlHere(['--data', data, '--yes', 'token', 'renew'])
  assert.equal(renewed.exit, 0, renewed.stderr)
  const now = (await readFile(join(data, 'api-token'), 'utf8')).trim()
  assert.notEqual(now, token)
  assert.equal((await askRaw(`${url}/api/v1/tokens`, bearer(token))).status, 401)
  assert.equal((await askRaw(`${url}/api/v1/tokens`, bearer(now))).status, 200)
})

test('a token ends, is told so for a while, survives a restart until then, and there are not too many', async (t) => {
  const directory = await temporaryDirectory(t)
  const database = await openDatabase(directory)
  t.after(() => database.close())
  let ahead = 0
  const clock = { now: () => systemClock.now() + ahead }
  const book = new TokenBook({ directory, database, clock, log: silentLogger })
  await book.open()
  const { token, known } = await book.create({ name: 'script', scope: 'member', lifeMs: 60_000 })
  const reopened = new TokenBook({ directory, database, clock, log: silentLogger })
  assert.equal(reopened.check(token), undefined, 'nothing is open before the book is')
  await reopened.open()
  assert.deepEqual(reopened.check(token), { id: known.id, name: 'script', scope: 'member' })
  assert.equal(reopened.check(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), undefined)
  ahead = 60_001
  assert.throws(() => reopened.check(token), { code: 'TOKEN_EXPIRED', message: /expired at 20/ })
  await assert.rejects(book.create({ name: 'long', scope: 'admin', lifeMs: 367 * 86_400_000 }), {
    code: 'INVALID_INPUT',
  })
  const row = { scope: 'observer', hash: '00', createdMs: 0, expiresMs: clock.now() + 60_000 }
  const many = Array.from({ length: tokensMax - 2 }, (_, count) => {
    return { type: 'put' as const, key: `id-${count}`, value: { ...row, name: `t${count}` } }
  })
  await table<unknown>(database, 'tokens').batch(many)
  await reopened.open()
  await reopened.create({ name: 'last', scope: 'observer' })
  await assert.rejects(reopened.create({ name: 'too-many', scope: 'observer' }), { code: 'QUOTA_EXCEEDED' })
})

test('who asks too often waits, on its own; and who guesses tokens keeps nobody else out', async (t) => {
  const config = { api: { port: 0, rateLimit: { perToken: 3, perAddress: 1 } } }
  const { node, url, ask } = await startTestApi(t, 'alice', config)
  const { token } = await node.tokens.create({ name: 'busy', scope: 'observer' })
  const statuses: number[] = []
  for (let count = 0; count < 31; count += 1) {
    statuses.push((await askRaw(`${url}/api/v1/federation`, bearer(token))).status)
  }
  assert.deepEqual(new Set(statuses.slice(0, 30)), new Set([200]))
  const limited = await askRaw(`${url}/api/v1/federation`, bearer(token))
  assert.equal(problemIn(limited).code, 'RATE_LIMITED')
  assert.match(String(limited.headers['retry-after']), /^([1-9]|10)$/)

  const guesses: number[] = []
  for (let count = 0; count < 11; count += 1) {
    guesses.push((await askRaw(`${url}/api/v1/federation`, bearer(`guess-${count}`))).status)
  }
  assert.deepEqual(guesses, [...new Array(10).fill(401), 429])
  assert.equal((await ask('GET', '/api/v1/federation')).status, 200)
})
