import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EntryDetail, EntryView, HistoryView, PeersView } from '../../src/api/registry-views.ts'
import { ApiServer } from '../../src/api/server.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctl, maoctlHere, tellJson } from '../support/maoctl.ts'

const TOOL = '{"image":"busybox:1"}'

/** A node with a federation of its own; `type` is `maoctl` on its data directory. */
async function founder(t: TestContext) {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  const data = api.node.config.dataDirectory
  const type = (...words: string[]) => maoctlHere(['--data', data, ...words])
  return { ...api, data, type }
}

test('keys are put from the line, a file and standard input, and shown to people and to programs', async (t) => {
  const { data, type } = await founder(t)
  const put = await type('registry', 'put', '/tools/shell', TOOL)
  assert.match(put.stdout, /^\/tools\/shell is written for all members, at revision \d+\.\n$/)
  const file = join(data, 'value')
  await writeFile(file, Buffer.from([0, 1, 255]))
  assert.match((await type('registry', 'put', '/local/bin', '--file', file)).stdout, /on this node alone/)
  const piped = await maoctl(['--data', data, 'registry', 'put', '/local/in', '-'], { input: 'two\nlines\n' })
  assert.equal(piped.exit, 0, piped.stderr)
  assert.equal((await type('registry', 'put', '/local/soon', 'x', '--expires', '10m')).exit, 0)

  const people = (await type('registry', 'get', '/tools/shell')).stdout
  assert.match(people, /^key: +\/tools\/shell$/m)
  assert.match(people, /^author: +alice \(12D3Koo/m)
  assert.match(people, /^contested: +no$/m)
  assert.match(people, /\n\n\{\n {2}"image": "busybox:1"\n\}\n$/)
  assert.match((await type('registry', 'get', '/local/bin')).stdout, /\n\nbase64: AAH\/\n$/)
  assert.match((await type('registry', 'get', '/local/in')).stdout, /\n\ntwo\nlines\n/)
  assert.match((await type('registry', 'get', '/local/soon')).stdout, /^lease: +[0-9a-f]{16}, \d+ s left$/m)
  const entry = await tellJson<EntryDetail>(data, 'registry', 'get', '/tools/shell')
  assert.deepEqual([entry.value, entry.kind], [JSON.parse(TOOL), 'shared'])

  const listed = await tellJson<EntryView[]>(data, 'registry', 'list', '/local/')
  assert.deepEqual(
    listed.map(({ key }) => key),
    ['/local/bin', '/local/in', '/local/soon'],
  )
  const keys = await type('registry', 'list', '/local/', '--keys-only', '--limit', '2')
  assert.equal(keys.stdout, '/local/bin\n/local/in\n')
  assert.match(keys.stderr, /^1 more key is there; --limit 3 shows all\.$/m)
  const table = await type('registry', 'list')
  assert.match(table.stdout, /^KEY +AUTHOR +REVISION +WRITTEN +VALUE$/m)
  assert.match(table.stdout, /^\/tools\/shell +alice +\d+ +\d{4}-.* +\{"image":"busybox:1"\}$/m)

  const digest = await type('registry', 'digest', '--prefix', '/tools/')
  assert.match(digest.stdout, /^[0-9a-f]{64}\n$/)
  assert.match(digest.stderr, /^1 record below \/tools\/, \d+ bytes\./)
  const peers = await type('peers')
  assert.equal(peers.stdout, 'There are no other members yet.\n')
})

test('a wrong word changes nothing, says what is wrong, and ends with its number', async (t) => {
  const { data, node, type } = await founder(t)
  await type('registry', 'put', '/local/a', '1')
  const { revision } = node.federation.registry
  const wrong: [words: string[], exit: number, says: RegExp][] = [
    [['get', '/nope'], 3, /^maoctl: The registry shows nothing at \/nope; .+ \(NOT_FOUND\)\n$/],
    [['history', '/nope'], 3, /NOT_FOUND/],
    [['del', '/nope'], 3, /NOT_FOUND/],
    [['put', '/tools/x', 'no JSON'], 2, /members read it as JSON/],
    [['put', '/tools/x', '{"imag":1}'], 2, /image/],
    [['put', '/tools/x/y', TOOL], 2, /\/local\//],
    [['put', '/local/x'], 2, /--file/],
    [['put', '/local/x', 'a', '--file', 'b'], 2, /--file/],
    [['put', '/local/x', '--file', '/nope/nope'], 2, /it does not exist/],
    [['put', '/local/x', 'a', '--expires', 'soon'], 2, /a time looks like/],
    [['put', '/local/x', 'a', '--expires', '1s'], 2, /expiresInMs/],
    [['del'], 2, /--prefix/],
    [['del', '/local/a', '--prefix', '/local/'], 2, /--prefix/],
    [['compact'], 2, /add --yes/],
    [['compact', '1', '--keep', '1h', '--yes'], 2, /not both/],
    [['compact', '9999', '--yes'], 2, /REVISION_FUTURE/],
    [['compact', 'x', '--yes'], 2, /a whole number/],
    [['watch', '--from-revision', '9999'], 2, /maoctl registry digest/],
  ]
  for (const [words, exit, says] of wrong) {
    const ended = await type('registry', ...words)
    assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stderr}`)
    assert.match(ended.stderr, says, words.join(' '))
    assert.equal(ended.stdout, '', words.join(' '))
  }
  assert.equal(node.federation.registry.revision, revision)
  const foreign = await maoctlHere(['--url', 'http://127.0.0.1:9', '--token', 'x'.repeat(43), 'peers'])
  assert.equal(foreign.exit, 6)
  const closed = await maoctlHere(['--data', data, '--token', 'x'.repeat(43), 'registry', 'list'])
  assert.equal(closed.exit, 5)
  assert.match(closed.stderr, /UNAUTHORIZED/)
})

test('several keys are deleted, and history is forgotten, by who says yes', async (t) => {
  const { data, type } = await founder(t)
  for (const key of ['/local/a', '/local/b']) await type('registry', 'put', key, '1')
  const asked = await type('registry', 'del', '--prefix', '/local/')
  assert.equal(asked.exit, 2)
  assert.match(asked.stderr, /Delete 2 keys below \/local\/, \/local\/a the first\? .*--yes/)
  const gone = await type('--yes', 'registry', 'del', '--prefix', '/local/')
  assert.match(gone.stdout, /^2 keys are deleted, at revision \d+\.\n$/)
  assert.match(
    (await type('registry', 'del', '--prefix', '/local/')).stdout,
    /^There is no key below \/local\/\.\n$/,
  )
  // One key is deleted without a question, by its name or as the only one below a prefix.
  for (const words of [['/local/c'], ['--prefix', '/local/']]) {
    await type('registry', 'put', '/local/c', '1')
    assert.equal((await type('registry', 'del', ...words)).exit, 0)
  }

  const history = await type('registry', 'history', '/local/a')
  assert.match(history.stdout, /^\d+ +\d{4}-\S+ \S+ +put +1 +1\n\d+ +\d{4}-\S+ \S+ +delete +-$/m)
  assert.equal(history.stderr, 'History is kept from the beginning.\n')
  const { versions } = await tellJson<HistoryView>(data, 'registry', 'history', '/local/a')
  assert.deepEqual(
    versions.map(({ type }) => type),
    ['put', 'delete'],
  )

  await type('registry', 'put', '/local/a', '2')
  const compacted = await type('--yes', 'registry', 'compact')
  assert.match(compacted.stdout, /^History is kept since revision \d+\.\n$/)
  assert.match(
    (await type('--yes', 'registry', 'compact', '--keep', '0s')).stdout,
    /^There was nothing to forget/,
  )
  const watched = await type('registry', 'watch', '/local/', '--from-revision', '1')
  assert.equal(watched.exit, 3)
  assert.match(
    watched.stderr,
    /oldest that are kept are those of \d+; "maoctl registry list".*\(REVISION_COMPACTED\)\n$/,
  )
  assert.equal((await type('registry', 'get', '/local/a', '--revision', '1')).exit, 3)
})

test('a watch goes on where it was cut, and misses nothing', { timeout: 90_000 }, async (t) => {
  const { api, node, url, data, type } = await founder(t)
  const port = Number(new URL(url).port)
  const from = String(node.federation.registry.revision + 1)
  const words = ['registry', 'watch', '/local/w/', '--from-revision', from, '--count', '3']
  let heard = ''
  const watching = maoctl(['--data', data, '--json', ...words], { onStderr: (text) => (heard += text) })
  await eventually(() => heard.includes('Watching the keys below /local/w/'), 'the watch never began')
  await type('registry', 'put', '/local/w/a', '1')
  await type('registry', 'put', '/local/elsewhere', '1')

  await api.stop()
  const { keyValues } = node.federation.registry
  const put = (key: string, value: string) => keyValues.transact((tx) => tx.put(key, Buffer.from(value), 0n))
  await put('/local/w/b', '2')
  Object.assign(node.config.api, { port })
  const again = new ApiServer({ node, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  await eventually(() => heard.includes('Going on with revision'), 'the watch never came back')
  await put('/local/w/c', '3')

  const ended = await watching
  assert.equal(ended.exit, 0, ended.stderr)
  const changes = ended.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    changes.map(({ key, type, value }) => [key, type, value]),
    [
      ['/local/w/a', 'put', 1],
      ['/local/w/b', 'put', 2],
      ['/local/w/c', 'put', 3],
    ],
  )
  const people = await type(...words)
  assert.match(
    people.stdout,
    /^\d+ put {4}\/local\/w\/a: 1\n\d+ put {4}\/local\/w\/b: 2\n\d+ put {4}\/local\/w\/c: 3\n$/,
  )
})

test('peers are listed with what they hold, those too that are away', { timeout: 90_000 }, async (t) => {
  const { data, node, type } = await founder(t)
  const bob = await startTestApi(t, 'bob')
  await bob.node.join((await node.invite()).token)
  await eventually(async () => {
    node.federation.sync?.pullAll()
    return (await tellJson<PeersView>(data, 'peers')).same === 1
  }, 'the two never agreed')
  const together = (await type('peers')).stdout
  assert.match(together, /^NAME +PEER +CONNECTED +ADDRESS +LAST CATCH-UP +DIGEST +REGISTRY$/m)
  const tail = bob.node.peerId.slice(-10)
  const row = new RegExp(
    `^bob +${tail} +(?:yes|for .*) +/ip4/127\\.0\\.0\\.1/tcp/\\d+ .*[0-9a-f]{12} +same$`,
    'm',
  )
  assert.match(together, row)
  assert.match(together, /^1 of 1 peer holds the same registry as this node \([0-9a-f]{12}\)\.$/m)
  assert.ok(!together.includes('\x1b'), 'colours in what is no terminal')

  await bob.api.stop()
  await bob.node.stop()
  await eventually(() => node.connectedPeers().length === 0, 'bob never went')
  assert.match((await type('peers')).stdout, new RegExp(`^bob +${tail} +no, last seen \\d{4}-`, 'm'))
})
