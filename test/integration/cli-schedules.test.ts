import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ScheduleDetails, ScheduleView } from '../../src/api/schedule-views.ts'
import { problemIn, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere } from '../support/maoctl.ts'

const HOUR_MS = 3_600_000

test('a schedule is made as asked, looked at, paused, resumed and removed; what cannot work is refused', {
  timeout: 60_000,
}, async (t) => {
  const alice = await startTestApi(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const { datasets, execution } = alice.node.federation
  await datasets.add('counts')
  await datasets.add('private', { policy: 'local-only' })
  await execution.addTool('shell', { image: 'mao-test/not-here:1' })
  const steps = (output_dataset: string) => ({ steps: [{ name: 'count', tool: 'shell', output_dataset }] })
  await execution.addPipeline('counting', steps('counts'))
  await execution.addPipeline('secretly', steps('private'), { shareNames: true })
  const door = ['--url', alice.url, '--token', alice.token]
  const say = (...words: string[]) => maoctlHere([...door, ...words])
  const tell = async <T>(...words: string[]): Promise<T> => {
    const ended = await maoctlHere([...door, '--json', ...words])
    assert.equal(ended.exit, 0, ended.stderr)
    return ended.json<T>()
  }

  const rule = ['--cron', '30 2 * * *', '--timezone', 'Europe/Zurich']
  const terms = [
    '--overlap',
    'queue',
    '--missed',
    'all',
    '--jitter',
    '10m',
    '--scope',
    'once',
    '--priority',
    '7',
  ]
  const made = await tell<ScheduleView>(
    'schedule',
    'add',
    'counting',
    ...rule,
    ...terms,
    '--take-over',
    '30s',
  )
  assert.deepEqual(
    [made.overlap, made.missed, made.jitterMs, made.scope, made.takeOverMs, made.priority, made.paused],
    ['queue', 'all', 600_000, 'once', 30_000, 7, false],
  )
  const shown = await tell<ScheduleDetails>('schedule', 'show', 'counting')
  assert.equal(shown.next.length, 3)
  assert.equal(shown.next[0], made.nextMs)
  assert((shown.next[2] ?? 0) - (shown.next[0] ?? 0) >= 47 * HOUR_MS)
  assert.deepEqual(shown.nextInLine, ['alice'])
  assert.match(
    (await say('schedule', 'list')).stdout,
    /^counting +30 2 \* \* \* +Europe\/Zurich +\d{4}-.*Z +no +one member +-$/m,
  )

  assert.equal((await tell<ScheduleView>('schedule', 'pause', 'counting')).nextMs, undefined)
  assert.match((await say('schedule', 'list')).stdout, /^counting .* paused +no +one member/m)
  assert.deepEqual((await tell<ScheduleDetails>('schedule', 'show', 'counting')).next, [])
  const resumed = await tell<ScheduleView>('schedule', 'resume', 'counting')
  assert.deepEqual([resumed.paused, resumed.nextMs, resumed.scope], [false, made.nextMs, 'once'])
  await tell('schedule', 'remove', 'counting')
  assert.deepEqual(await tell('schedule', 'list'), [])
  const gone = await say('schedule', 'pause', 'counting')
  assert.match(gone.stderr, /counting is not scheduled; "maoctl schedule list" lists those that are/)

  const post = (value: object) => alice.ask('POST', '/api/v1/schedules', { cron: '0 3 * * *', ...value })
  for (const [value, code, why] of [
    [{ pipeline: 'counting', scope: { k: 2 } }, 'INVALID_INPUT', /has one member, .* cannot be run by 2/],
    [{ pipeline: 'counting', takeOverMs: 5_000 }, 'INVALID_INPUT', /every member runs for itself/],
    [{ pipeline: 'counting', cron: '*/5 * * * *', jitterMs: 600_000 }, 'INVALID_INPUT', /fires every 300 s/],
    [{ pipeline: 'secretly', round: { windowMs: 1_000 } }, 'DATASET_WITHHELD', /private.* none is shared/],
    [{ pipeline: 'secretly', scope: 'once' }, 'DATASET_WITHHELD', /private never leaves this node/],
    [{ pipeline: 'counting', scope: 'twice' }, 'INVALID_INPUT', /scope/],
    [{ pipeline: 'counting', every: '5m' }, 'INVALID_INPUT', /every/],
  ] as const) {
    const problem = problemIn(await post(value))
    assert.equal(problem.code, code, problem.detail)
    assert.match(JSON.stringify(problem), why)
  }
  assert.deepEqual(execution.scheduled(), [])
  assert.equal((await say('schedule', 'add', 'counting', ...rule, '--scope', 'some')).exit, 2)

  // What comes of it is seen: the run, and who claimed its slot.
  await tell('schedule', 'add', 'counting', '--cron', '* * * * * *', '--scope', 'once')
  const ended = async () => {
    const { slots } = await tell<ScheduleDetails>('schedule', 'show', 'counting')
    return slots.some(({ claims }) => claims[0]?.state === 'failed')
  }
  await eventually(ended, 'no slot was run', 20_000)
  await tell('schedule', 'pause', 'counting')
  const { stdout } = await say('schedule', 'show', 'counting')
  assert.match(stdout, /^next: +paused$/m)
  assert.match(stdout, /^[0-9a-z]{8}-\w+ +\d{4}-.* failed +.*mao-test\/not-here:1/m)
  assert.match(stdout, /^\d{4}-.*Z +alice +failed \(errored\) +[0-9a-z]{8}-\w+ .* no$/m)
})
