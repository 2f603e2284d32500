import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../../src/base/logger.ts'
import { Monitor, notificationSchema } from '../../../src/monitoring/monitor.ts'

/** A registry that remembers what was put, and a tree of files held in memory. */
function desk(files: Record<string, string>, dataset = 'd') {
  const puts = new Map<string, unknown>()
  const registry = {
    async put(key: string, value: Uint8Array) {
      puts.set(key, JSON.parse(new TextDecoder().decode(value)))
    },
  }
  const repository = {
    listFiles: async () => Object.keys(files).map((path) => ({ path, oid: path })),
    readBlob: async (oid: string) => new TextEncoder().encode(files[oid]),
  }
  const self = () => ({ peer: 'peer-a', name: 'alice' })
  const monitor = new Monitor({
    registry,
    self,
    mayTell: (dataset) => dataset === 'd',
    clock: { now: () => 42 },
    log: silentLogger,
  })
  const step = {
    run: 'r1',
    pipeline: 'p',
    step: 'assess',
    tool: 'quality',
    dataset,
    commit: 'c',
    repository,
  }
  return { puts, review: () => monitor.review(step) }
}

test('a tree without control files and insights has no report', async () => {
  const { puts, review } = desk({ 'data.csv': 'a,b' })
  assert.equal(await review(), undefined)
  assert.equal(puts.size, 0)
})

test('a spike is in the report and under /notifications/ of its tool and member', async () => {
  const files = {
    'control-1.csv': '100\n',
    'control-2.csv': '100',
    'control-3.csv': ' 120 ',
    'x/control-9.csv': '1',
  }
  const { puts, review } = desk(files)
  const report = await review()
  assert.equal(report?.verdict, 'spike')
  assert.deepEqual(
    report?.snapshots.map(({ file, value }) => [file, value]),
    [
      ['control-1.csv', 100],
      ['control-2.csv', 100],
      ['control-3.csv', 120],
    ],
  )
  assert.equal(report?.rollingAverage, 100)
  assert.equal(report?.difference, 20)
  const notification = notificationSchema.parse(puts.get('/notifications/quality/peer-a'))
  assert.equal(notification.gainPercent, 20)
  assert.equal(notification.timeMs, 42)
  assert.equal(notification.node, 'alice')
})

test('counts without leading zeros are sorted as numbers, other names as text', async () => {
  const counts = desk({ 'control-10.csv': '3', 'control-9.csv': '2', 'control-8.csv': '1' })
  assert.deepEqual(
    (await counts.review())?.snapshots.map((s) => s.value),
    [1, 2, 3],
  )
  const dates = desk({
    'control-2026-11-02.csv': '2',
    'control-2026-10-31.csv': '1',
    'control-2026-11-11.csv': '3',
  })
  assert.deepEqual(
    (await dates.review())?.snapshots.map((s) => s.value),
    [1, 2, 3],
  )
})

test('a control file without a number is left out and told of', async () => {
  const { review } = desk({
    'control-1.csv': '1',
    'control-2.csv': 'n/a',
    'control-3.csv': '',
    'control-4.csv': 'x'.repeat(2_000),
  })
  const report = await review()
  assert.equal(report?.verdict, 'too-few-snapshots')
  assert.equal(report?.problems.length, 3)
  assert.match(report?.problems[0] ?? '', /control-2\.csv: does not hold one number/)
})

test('insights are published as they are; bad ones only make a problem', async () => {
  const good = desk({ 'insights.json': '{ "licences": { "MIT": 3 } }' })
  assert.equal(await good.review(), undefined)
  assert.deepEqual(good.puts.get('/insights/quality/peer-a'), { licences: { MIT: 3 } })
  const bad = desk({ 'insights.json': '{ nope' })
  assert.equal((await bad.review())?.problems.length, 1)
  assert.equal(bad.puts.size, 0)
  const large = desk({ 'insights.json': JSON.stringify('x'.repeat(60_000)) })
  assert.match((await large.review())?.problems[0] ?? '', /at most 49152 are published/)
})

test('what a run makes of a dataset that stays here is judged and told to nobody else', async () => {
  const files = {
    'insights.json': '{}',
    'control-1.csv': '100\n',
    'control-2.csv': '101\n',
    'control-3.csv': '900\n',
  }
  const shared = desk(files)
  assert.equal((await shared.review())?.verdict, 'spike')
  assert.equal(shared.puts.size, 2)
  const diary = desk(files, 'diary')
  assert.equal((await diary.review())?.verdict, 'spike')
  assert.equal(diary.puts.size, 0)
})
