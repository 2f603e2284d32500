import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PresenceView } from '../../src/api/presence-routes.ts'
import { ApiServer } from '../../src/api/server.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'
import { startTestNode } from '../support/quiet-node.ts'

test('who is there, since when and with what version; who stops says so at once, and who comes back is there again', async (t) => {
  const before = Date.now()
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => startTestNode(t, name)))
  assert(alice && bob)
  const api = new ApiServer({ node: alice, log: silentLogger })
  t.after(() => api.stop())
  await api.start()
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  const { dataDirectory: data } = alice.config
  const bobs = async () => {
    const told = await tellJson<PresenceView[]>(data, 'presence')
    return told.find(({ name }) => name === 'bob')
  }
  await eventually(async () => (await bobs())?.version === '0.1.0', 'alice never heard of bob')
  const seen = await bobs()
  assert(seen?.online && seen.connected && (seen.startedMs ?? 0) >= before)
  const page = await maoctlHere(['--data', data, 'presence', '--online'])
  assert.match(page.stdout, /alice +operator +this node/)
  assert.match(page.stdout, /bob +member +yes/)

  await bob.stop()
  await eventually(async () => (await bobs())?.online === false, 'bob is thought to be there still')
  const gone = await maoctlHere(['--data', data, 'presence'])
  assert.match(gone.stdout, /bob +member +no +last seen 20/)
  const online = await maoctlHere(['--data', data, '--json', 'presence', '--online'])
  assert.deepEqual(
    online.json<PresenceView[]>().map(({ name }) => name),
    ['alice'],
  )

  await bob.start()
  await eventually(async () => (await bobs())?.online === true, 'bob did not come back')
  assert((await bobs())?.startedMs !== seen.startedMs, 'it was started anew')
})
