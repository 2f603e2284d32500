import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../../src/node.ts'
import { askRaw, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const BRANCH = 'raw-alice'

/** Path to text of what the node's raw entries became. */
async function saved(node: Node, dataset = 'packages'): Promise<Record<string, string>> {
  const repository = await node.federation.datasets.repository(dataset)
  const tip = await repository.resolve(BRANCH)
  if (tip === undefined) return {}
  const files = await repository.listFiles(tip)
  const texts = files.map(async ({ path, oid }) => [
    path,
    String(Buffer.from(await repository.readBlob(oid))),
  ])
  return Object.fromEntries(await Promise.all(texts))
}

async function commits(node: Node): Promise<number> {
  return (await node.federation.datasets.log('packages', BRANCH)).length
}

test('what a tool elsewhere writes can be read for a minute, and becomes a file of the dataset', async (t) => {
  const { node, ask, url, token } = await startTestApi(t, 'alice')
  await node.createFederation({ name: 'lab' })
  await node.federation.datasets.add('packages')
  await node.federation.datasets.add('private', { policy: 'local-only' })
  const { gateway } = node.federation.execution

  // As `curl -d` sends it, with a type that says otherwise.
  const form = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/x-www-form-urlencoded',
  }
  const body = JSON.stringify({ key: 'packages/npm/left-pad', value: '{"stars": 7}' })
  const written = await askRaw(`${url}/write`, { method: 'POST', headers: form, body })
  assert.deepEqual([written.status, written.body], [200, JSON.stringify('{"stars": 7}')])
  await ask('POST', '/write', { key: 'packages/words', value: 'plain words' })
  await ask('POST', '/write', { key: 'packages', value: { no: 'file' } })
  await ask('POST', '/write', { key: 'nowhere/x', value: 1 })

  const entry = node.federation.registry.get('/raw/packages/npm/left-pad')
  assert.ok(entry?.expiresMs !== undefined && entry.expiresMs - entry.timeMs <= 60_000, 'it lives too long')
  const told = async (path: string, key: string) => JSON.parse((await ask('POST', path, { key })).body)
  assert.deepEqual(await told('/read', 'raw/packages/npm/left-pad'), { stars: 7 })
  assert.deepEqual(await told('/read', 'packages/npm/left-pad'), { stars: 7 })
  assert.equal(await told('/read', '/raw/packages/words'), 'plain words')
  assert.deepEqual(await told('/inspect', 'raw/packages'), {
    '/raw/packages/npm/left-pad': '{"stars": 7}',
    '/raw/packages/words': 'plain words',
  })
  assert.equal((await ask('POST', '/read', { key: 'raw/packages/none' })).status, 404)
  assert.equal((await ask('POST', '/inspect', { key: 'local' })).status, 404)
  // All members read what is raw, and so learn the name.
  assert.equal((await ask('POST', '/write', { key: 'private/x', value: '1' })).status, 403)
  await node.federation.datasets.add('circle')
  const restricted = { read: 'granted', vote: 'members', voteSince: 0 } as const
  await node.federation.datasets.edit('circle', { access: restricted })
  assert.equal((await ask('POST', '/write', { key: 'circle/john', value: '1' })).status, 403)
  assert.equal(node.federation.registry.get('/raw/circle/john'), undefined)
  assert.equal((await ask('POST', '/write', { key: 'packages/x', value: 'x'.repeat(61 * 1024) })).status, 413)

  await gateway.save()
  const first = { 'npm/left-pad.json': '{"stars": 7}', 'words.json': '"plain words"' }
  assert.deepEqual(await saved(node), first)
  assert.equal((await node.federation.datasets.show('packages')).branches[0]?.announced, true)

  // The same once more is nothing new; another value takes the file's place, and the history keeps both.
  await ask('POST', '/write', { key: 'packages/words', value: 'plain words' })
  await gateway.save()
  assert.equal(await commits(node), 1)
  await ask('POST', '/write', { key: 'packages/words', value: '[]' })
  // A directory cannot be where a file is.
  await ask('POST', '/write', { key: 'packages/words.json/x', value: '2' })
  await gateway.save()
  assert.deepEqual(await saved(node), { ...first, 'words.json': '[]' })
  assert.equal(await commits(node), 2)
})

test('a raw entry that was taken is saved after a restart, also when it has ended in the registry', async (t) => {
  const directory = await temporaryDirectory(t)
  const before = await startTestNode(t, 'alice', { directory })
  await before.createFederation({ name: 'lab' })
  await before.federation.datasets.add('packages')
  await before.federation.execution.gateway.write('packages/one', '1')
  // Written past the gateway, as an etcd client does: the listener hears of it.
  const { registry } = before.federation
  await registry.put('/raw/packages/two', Buffer.from('2'), { expiresMs: Date.now() + 60_000 })
  await before.stop()

  const clock = { now: () => Date.now() + 120_000 }
  const after = await startTestNode(t, 'alice', { directory, clock })
  await eventually(() => after.federation.registry.get('/raw/packages/one') === undefined, 'it never ended')
  await after.federation.execution.gateway.save()
  assert.deepEqual(await saved(after), { 'one.json': '1', 'two.json': '2' })
})
