import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMaoPath } from '../../src/api/mao/door.ts'
import { pythonJson } from '../../src/api/mao/python-json.ts'
import { pythonTime } from '../../src/api/mao/runs.ts'
import { isLoopback } from '../../src/base/loopback.ts'
import type { TreeFile } from '../../src/datasets/git/repository.ts'
import { fileText, laidOver, placeOf } from '../../src/execution/gateway/raw-entry.ts'
import { Insights } from '../../src/monitoring/insights.ts'

test('JSON is written as Python writes it', () => {
  // What `json.dumps` of Python 3 makes of the same values.
  const cases: [unknown, string][] = [
    [{ a: 1, b: [true, null, 'x'], c: {} }, '{"a": 1, "b": [true, null, "x"], "c": {}}'],
    ['Zürich "☂" 😀 \u2028', '"Z\\u00fcrich \\"\\u2602\\" \\ud83d\\ude00 \\u2028"'],
    ['\n\t\u0001\u007f', '"\\n\\t\\u0001\\u007f"'],
    [[], '[]'],
    [{ gone: undefined, é: 1.5 }, '{"\\u00e9": 1.5}'],
    [null, 'null'],
  ]
  for (const [value, text] of cases) assert.equal(pythonJson(value), text)
  assert.equal(pythonTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678)), '2026-01-02 03:04:05+00:00')
  assert.equal(pythonTime(undefined), 'None')
})

test("only the predecessor's paths are open where they are, and only to this machine", () => {
  for (const path of ['/', '/registry/tools', '/registry/tools/', '/jobs/x', '/write', '/pipeline/run']) {
    assert.ok(isMaoPath(path), path)
  }
  for (const path of [
    '/registry',
    '/registry/tools/x/y',
    '/api/v1/tools',
    '/pipeline/x',
    '/writes',
    '/git/x',
  ]) {
    assert.ok(!isMaoPath(path), path)
  }
  for (const near of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', '::ffff:127.0.0.1', 'LOCALHOST'])
    assert.ok(isLoopback(near), near)
  for (const far of ['10.0.0.1', '127.evil.com', '::ffff:10.0.0.1', '::', '', undefined]) {
    assert.ok(!isLoopback(far), far)
  }
})

test('a raw key names a dataset and a file, or nothing', () => {
  assert.deepEqual(placeOf('/raw/packages/one'), { dataset: 'packages', path: 'one.json' })
  assert.deepEqual(placeOf('/raw/packages/a/b.json'), { dataset: 'packages', path: 'a/b.json.json' })
  for (const key of [
    '/raw/packages',
    '/raw/Packages/x',
    '/raw/packages/../x',
    '/raw/packages/.git/x',
    '/x/y',
  ]) {
    assert.equal(placeOf(key), undefined, key)
  }
  assert.deepEqual(['{"a":1}', 'words', ''].map(fileText), ['{"a":1}', '"words"', '""'])
})

test('new files are laid over old ones, and never a file over a directory', () => {
  const file = (path: string, oid = path): TreeFile => ({ path, mode: '100644', oid })
  const present = [file('a.json'), file('deep/b.json')]
  const fresh = [file('a.json', 'new'), file('deep', 'x'), file('a.json/c.json'), file('deep/d.json')]
  const { files, misfits } = laidOver(present, fresh)
  assert.deepEqual(
    files.map(({ path, oid }) => `${path} ${oid}`),
    ['a.json new', 'deep/b.json deep/b.json', 'deep/d.json deep/d.json'],
  )
  assert.deepEqual(misfits, ['deep', 'a.json/c.json'])
})

test("insights: this node's own first, then the newest; also under the names of old", () => {
  const entries = [
    { tool: 'skan', author: 'amy', timeMs: 3 },
    { tool: 'skan', author: 'bob', timeMs: 1 },
    { tool: 'skan', author: 'eve', timeMs: 5 },
    { tool: 'audit', author: 'amy', timeMs: 2 },
  ].map(({ tool, author, timeMs }) => ({
    ...{ key: `/insights/${tool}/${author}`, value: Buffer.from(`"${tool} of ${author}"`), author, timeMs },
    ...{ version: 1, sinceMs: timeMs, revision: 1, contested: false },
  }))
  const registry = { list: (prefix: string) => entries.filter(({ key }) => key.startsWith(prefix)) }
  const members = {
    get: (peer: string) => ({ peer, name: `node-${peer}`, role: 'member', sinceMs: 0 }) as never,
  }
  const insights = new Insights({ registry, members, peer: 'bob' })
  assert.deepEqual(
    insights.list().map(({ tool, node }) => `${tool} ${node}`),
    ['audit node-amy', 'skan node-bob', 'skan node-eve', 'skan node-amy'],
  )
  assert.equal(insights.at('insights/skan'), '"skan of bob"')
  assert.equal(insights.at('/insight/skan/node-amy'), '"skan of amy"')
  assert.equal(insights.at('insights/skan/nobody'), undefined)
  assert.equal(insights.at('tools/skan'), undefined)
})
