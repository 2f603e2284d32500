import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { besidesOpen, openRefusal } from '../../src/api/mao/door.ts'
import { networkOf } from '../../src/base/networks.ts'
import { configSchema } from '../../src/config.ts'
import type { Principal } from '../../src/identity/scopes.ts'

test('one network of 64 bits is counted as one, however its addresses are written', () => {
  for (const [address, network] of [
    ['2001:db8::1:2:3:4', '2001:db8:0:0'],
    ['2001:db8::9:2:3:4', '2001:db8:0:0'],
    ['2001:db8:0:0:9:2:3:4', '2001:db8:0:0'],
    ['2001:db8:0:1:9:2:3:4', '2001:db8:0:1'],
    ['2001:DB8::1', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    ['64:ff9b:0:7::192.0.2.1', '64:ff9b:0:7'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    [undefined, 'unknown'],
  ] as const) {
    assert.equal(networkOf(address), network, address)
  }
})

test('who comes without a token to an open route is nobody who decides, and no page of a browser', async () => {
  const app = new Hono<{ Variables: { principal: Principal } }>()
  const guard = async () => new Response('token wanted', { status: 401 })
  app.use(besidesOpen('open', { guard, limits: { request: () => Promise.resolve() } }))
  app.all('*', (c) => c.text(c.get('principal').scope))
  const incoming = { socket: { remoteAddress: '127.0.0.1' } }
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await app.request(path, { headers }, { incoming })
    return answer.status === 200 ? answer.text() : answer.status
  }
  assert.equal(await ask('/registry/tools'), 'member')
  assert.equal(await ask('/api/v1/tools'), 401)
  for (const site of ['cross-site', 'same-site']) {
    assert.equal(await ask('/pipeline', { 'sec-fetch-site': site }), 401, site)
  }
  assert.equal(await ask('/pipeline', { 'sec-fetch-site': 'same-origin' }), 'member')
  assert.equal(await ask('/pipeline', { via: '1.1 proxy' }), 401)
})

test('a node whose API is meant for others does not leave routes open', () => {
  const refusal = (settings: object) =>
    openRefusal(configSchema.parse({ dataDirectory: '/tmp/x', ...settings }))
  assert.equal(refusal({ maoApi: 'open' }), undefined)
  assert.equal(refusal({ maoApi: 'open', api: { host: '::1' } }), undefined)
  assert.equal(refusal({ maoApi: 'token', api: { host: '0.0.0.0' } }), undefined)
  assert.match(
    refusal({ maoApi: 'open', api: { host: '0.0.0.0' } }) ?? '',
    /listens on 0\.0\.0\.0.*maoApi to token/,
  )
  const behind = { maoApi: 'open', api: { allowedHosts: ['node.example.org'] } }
  assert.match(refusal(behind) ?? '', /node\.example\.org.*maoApi to token/)
  assert.equal(refusal({ maoApi: 'open', api: { allowedHosts: ['localhost:8081'] } }), undefined)
})
