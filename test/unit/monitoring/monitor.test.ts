import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import type { WatchOptions } from '../../../src/monitoring/alarms.ts'
import { Monitor, notificationSchema } from '../../../src/monitoring/monitor.ts'
import type { Message } from '../../../src/monitoring/notify/message.ts'

const base = await mkdtemp(join(tmpdir(), 'mao-test-'))
const database = await openDatabase(base)
after(async () => {
  await database.close()
  await rm(base, { recursive: true, force: true })
})
let series = 0

/** A registry that remembers what was put, and a tree of files held in memory; each desk has a pipeline of its own. */
function desk(files: Record<string, string>, dataset = 'd', watch: WatchOptions = {}) {
  const messages: Message[] = []
  series += 1
  const puts = new Map<string, unknown>()
  const registry = {
    isOpen: true,
    async put(key: string, value: Uint8Array) {
      if (!registry.isOpen) throw new Error('the registry takes nothing now')
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
    watchOf: () => watch,
    quietMs: 1_000,
    deliveries: {
      async tell(message: Message) {
        messages.push(message)
        return []
      },
    },
    database,
    clock: { now: () => 42 },
    log: silentLogger,
  })
  const step = {
    run: 'r1',
    pipeline: `p${series}`,
    step: 'assess',
    tool: 'quality',
    dataset,
    commit: 'c',
    repository,
  }
  const review = (commit = 'c') => monitor.review({ ...step, commit })
  return { puts, messages, files, registry, review }
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

test('a spike that lasts is told once, and again when it has been steady in between', async () => {
  const { files, messages, review } = desk({
    'control-1.csv': '100',
    'control-2.csv': '100',
    'control-3.csv': '120',
  })
  assert.equal((await review('c3'))?.suppressed, undefined)
  files['control-4.csv'] = '150'
  const lasting = await review('c4')
  assert.equal(lasting?.verdict, 'spike')
  assert.match(lasting?.suppressed ?? '', /was told at/)
  files['control-5.csv'] = '136'
  assert.equal((await review('c5'))?.verdict, 'steady')
  files['control-6.csv'] = '200'
  assert.equal((await review('c6'))?.suppressed, undefined)
  assert.deepEqual(
    messages.map(({ data }) => data.commit),
    ['c3', 'c6'],
  )
  assert.match(messages[0]?.text ?? '', /120 is 20 % away from the mean 100 of the two before it/)
})

test('a crash between a spike and the word of it makes no second message', async () => {
  const { messages, review } = desk({ 'control-1.csv': '1', 'control-2.csv': '1', 'control-3.csv': '2' })
  await review('c3')
  await review('c3')
  assert.equal(messages.length, 2)
  assert.equal(messages[0]?.id, messages[1]?.id)
})

test('a tool is judged by the detector that is named for it', async () => {
  const files = Object.fromEntries(
    [10, 12, 11, 13, 12, 11, 13].map((value, index) => [`control-${index}.csv`, String(value)]),
  )
  const usual = await desk(files).review()
  assert.equal(usual?.detector, 'rolling-average')
  assert.equal(usual?.verdict, 'spike')
  const watch = { detector: { detector: 'mad', window: 20, threshold: 3.5 } } as const
  const robust = await desk(files, 'd', watch).review()
  assert.equal(robust?.verdict, 'steady')
  assert.match(robust?.why ?? '', /modified z-score/)
})

test('people outside hear of a spike also while the registry takes nothing', async () => {
  const { registry, messages, puts, review } = desk({
    'control-1.csv': '1',
    'control-2.csv': '1',
    'control-3.csv': '2',
  })
  registry.isOpen = false
  const report = await review()
  assert.equal(messages.length, 1)
  assert.match(report?.problems[0] ?? '', /takes nothing now/)
  // Looked at again, nobody has taken it for told.
  registry.isOpen = true
  await review()
  assert.ok([...puts.keys()].some((key) => key.startsWith('/notifications/')))
})

test('values beyond all measure are left out, and no figure of a report is infinite', async () => {
  const { review } = desk({
    'control-1.csv': '1e-310',
    'control-2.csv': '1e-90',
    'control-3.csv': '1.7e308',
    'control-4.csv': '1e-90',
    'control-5.csv': '1e99',
  })
  const report = await review()
  assert.equal(report?.problems.length, 2)
  assert.equal(report?.verdict, 'spike')
  for (const [name, figure] of Object.entries(report ?? {})) {
    if (typeof figure === 'number') assert.ok(Number.isFinite(figure), name)
  }
})

test('a newest control file that cannot be read is not judged by an older one', async () => {
  const { messages, review } = desk({
    'control-1.csv': '10',
    'control-2.csv': '10',
    'control-3.csv': '99',
    'control-4.csv': 'oops',
  })
  const report = await review()
  assert.equal(report?.verdict, 'too-few-snapshots')
  assert.match(report?.why ?? '', /newest control file is not judged: control-4\.csv/)
  assert.equal(messages.length, 0)
})
