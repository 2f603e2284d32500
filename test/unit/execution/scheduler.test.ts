import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { HOUR_MS, MINUTE_MS } from '../../../src/base/limits.ts'
import { type Logger, silentLogger } from '../../../src/base/logger.ts'
import type { Pipeline } from '../../../src/execution/catalogue/pipeline.ts'
import type { Run, Trigger } from '../../../src/execution/runs/run.ts'
import { advance, endRun, newRun } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'
import { Ledger } from '../../../src/execution/schedules/ledger.ts'
import type { Schedule } from '../../../src/execution/schedules/schedule.ts'
import { Scheduler } from '../../../src/execution/schedules/scheduler.ts'
import { SlotRuns } from '../../../src/execution/schedules/slot-runs.ts'
import type { Collection, Item } from '../../../src/registry/collection.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const THREE = Date.parse('2026-11-21T03:00:00Z')
const QUARTER = 15 * MINUTE_MS
const quarterly: Schedule = { pipeline: 'work', cron: '*/15 * * * *' }
const pipeline: Pipeline = {
  steps: [
    {
      ...{ name: 'measure', tool: 'shell', cmd: null, env: null, docker_socket: false },
      ...{ input_dataset: null, output_dataset: 'results' },
    },
  ],
}

interface Desk {
  nowMs: number
  schedule: Schedule
  recordedMs: number
  /** What the queue answers with. */
  refuse?: NodeError | undefined
  readonly store: RunStore
  readonly ledger: Ledger
  readonly slots: () => number[]
  /** Looks once, at the present of `nowMs`. */
  look(): Promise<void>
  restart(): Promise<void>
  finish(run: Run | undefined): Promise<void>
}

/** A scheduler on a real store and ledger, with a clock that is moved by hand. */
async function deskIn(
  t: TestContext,
  schedule: Schedule,
  nowMs: number,
  recordedMs = nowMs - 24 * HOUR_MS,
): Promise<Desk> {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  let looked = 0
  let wake = () => undefined as unknown
  let [scheduler, store, ledger]: [Scheduler?, RunStore?, Ledger?] = []
  const item = (): Item<Schedule> =>
    ({ name: 'work', value: desk.schedule, entry: { timeMs: desk.recordedMs } }) as Item<Schedule>
  const schedules: Pick<Collection<Schedule>, 'list' | 'get' | 'watch'> = {
    list: () => {
      looked += 1
      return [item()]
    },
    get: () => item(),
    watch: (onItem) => {
      wake = () => onItem('work', undefined)
      return () => undefined
    },
  }
  let made = 0
  const open = async () => {
    store = new RunStore({ database, log: silentLogger })
    await store.load()
    ledger = new Ledger(database)
    const [runStore, clock] = [store, { now: () => desk.nowMs }]
    const newId = () => {
      made += 1
      return `run-${String(made).padStart(4, '0')}`
    }
    const runs = new SlotRuns({
      submissions: {
        submit: async (name, options = {}) => {
          const trigger: Trigger = options.trigger ?? { kind: 'request' }
          if (desk.refuse !== undefined) throw desk.refuse
          const plan = pipeline.steps
          const run = newRun({ id: newId(), pipeline: name, plan, trigger, timeMs: desk.nowMs })
          await runStore.save(run)
          return run
        },
        keepEnded: (run) => runStore.save(run),
      },
      catalogue: { pipelines: { get: () => ({ value: pipeline }) } } as never,
      ...{ store, ledger, newId, clock, log: silentLogger },
    })
    const claimed = { follow: () => assert.fail('nothing is claimed here') }
    const rest = { memberSinceMs: () => 0, self: 'amy', clock, log: silentLogger }
    scheduler = new Scheduler({ schedules, ledger, runs, claimed, ...rest })
    await scheduler.start()
    await eventually(() => looked > 0, 'the schedules were not looked at')
  }
  const desk: Desk = {
    ...{ nowMs, schedule, recordedMs },
    get store() {
      return store as RunStore
    },
    get ledger() {
      return ledger as Ledger
    },
    slots: () => (store as RunStore).list().map(({ slot }) => slot),
    look: async () => {
      // One look may be under way with the time before: the second one has begun after it.
      for (const target of [looked + 1, looked + 2]) {
        wake()
        await eventually(() => looked >= target, 'the schedules were not looked at')
      }
    },
    restart: async () => {
      await scheduler?.stop()
      looked = 0
      await open()
    },
    finish: async (run) => {
      assert(run !== undefined)
      const at = { timeMs: desk.nowMs, reason: 'stopped' }
      await (store as RunStore).save(endRun(advance(run, 'pulling', desk.nowMs), 'cancelled', at))
    },
  }
  await open()
  t.after(() => scheduler?.stop())
  return desk
}

test('every slot is run once, whatever happens to the node and to its clock', async (t) => {
  const desk = await deskIn(t, quarterly, THREE)
  desk.recordedMs = THREE - 1
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE])
  await desk.restart()
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE], 'a restart repeats nothing')
  await desk.finish(desk.store.list().at(-1))
  // As a crash leaves it that came between the run and the note of it.
  await desk.ledger.pass('work', THREE - QUARTER)
  await desk.restart()
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE], 'the run itself says that the slot is seen to')

  desk.nowMs = THREE + QUARTER + 5
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE, THREE + QUARTER])
  await desk.finish(desk.store.list().at(-1))

  // The clock is set back by an hour and comes to the same slots once more.
  for (desk.nowMs = THREE - HOUR_MS; desk.nowMs <= THREE + QUARTER; desk.nowMs += QUARTER) {
    await desk.look()
    for (const run of desk.store.list()) if (run.state === 'queued') await desk.finish(run)
  }
  assert.deepEqual(
    desk.slots(),
    [THREE, THREE + QUARTER],
    'what was scheduled before the record concerns it not',
  )

  // It is wrongly put a year ahead, and set right again.
  desk.nowMs = THREE + 365 * 24 * HOUR_MS
  await desk.look()
  const wrong = desk.slots().at(-1) as number
  assert(wrong > THREE + 364 * 24 * HOUR_MS)
  await desk.finish(desk.store.list().at(-1))
  desk.nowMs = THREE + 2 * QUARTER
  await desk.restart()
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE, THREE + QUARTER, wrong, THREE + 2 * QUARTER], 'the schedule goes on')
})

test('what was missed runs as the schedule has it, and what is passed over is told', async (t) => {
  const desk = await deskIn(t, { ...quarterly, missed: 'none' }, THREE)
  await desk.look()
  desk.nowMs = THREE + 4 * QUARTER + 2 * MINUTE_MS
  await desk.restart()
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE])
  const problem = desk.ledger.get('work')?.problem
  assert.equal(problem?.kind, 'missed')
  assert.match(problem?.reason ?? '', /4 slots were missed .* runs none/)

  desk.schedule = { ...quarterly, missed: 'all' }
  desk.nowMs = THREE + 8 * QUARTER
  await desk.restart()
  await desk.look()
  const caughtUp = [5, 6, 7, 8].map((quarters) => THREE + quarters * QUARTER)
  assert.deepEqual(
    desk.slots().slice(1),
    caughtUp,
    'all of them, one behind the other, though the first waits',
  )
})

test('a slot that overlaps is skipped with a word, or waits', async (t) => {
  const desk = await deskIn(t, quarterly, THREE)
  await desk.look()
  desk.nowMs = THREE + QUARTER
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE])
  const problem = desk.ledger.get('work')?.problem
  assert.deepEqual([problem?.kind, problem?.slot], ['overlap', THREE + QUARTER])
  assert.match(problem?.reason ?? '', /run run-0001 of an earlier slot has not ended/)
  await desk.finish(desk.store.list()[0])
  await desk.restart()
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE], 'it stays skipped, also when the first has ended')

  desk.schedule = { ...quarterly, overlap: 'queue' }
  for (let more = 2; more <= 40; more += 1) {
    desk.nowMs = THREE + more * QUARTER
    await desk.look()
  }
  assert.equal(desk.slots().length, 1 + 24, 'what waits is bounded')
  assert.match(desk.ledger.get('work')?.problem?.reason ?? '', /24 runs of earlier slots have not ended/)
})

test('a run that the queue will not have is told as a run that was refused', async (t) => {
  const desk = await deskIn(t, quarterly, THREE - 1, THREE - 1)
  desk.nowMs = THREE
  desk.refuse = new NodeError('QUEUE_FULL', '1000 runs wait already; try again when some have ended')
  await desk.look()
  const [run] = desk.store.list()
  assert.deepEqual([run?.state, run?.code, run?.slot], ['rejected', 'QUEUE_FULL', THREE])
  assert.equal(run?.reason, desk.refuse.message)
  const problem = desk.ledger.get('work')?.problem
  assert.deepEqual([problem?.kind, problem?.code, problem?.slot], ['refused', 'QUEUE_FULL', THREE])
  desk.refuse = undefined
  await desk.look()
  assert.equal(desk.slots().length, 1, 'the slot is over')
  desk.nowMs = THREE + QUARTER
  await desk.look()
  assert.equal(desk.store.list().at(-1)?.state, 'queued', 'the next one is tried again')
})

test('a schedule that is paused runs nothing, and nothing of it afterwards', async (t) => {
  const desk = await deskIn(t, { ...quarterly, paused: true, missed: 'all' }, THREE)
  await desk.look()
  desk.nowMs = THREE + 4 * QUARTER + 1
  await desk.look()
  assert.deepEqual(desk.slots(), [])
  desk.schedule = { ...quarterly, missed: 'all' }
  desk.recordedMs = desk.nowMs
  await desk.look()
  assert.deepEqual(desk.slots(), [])
  desk.nowMs = THREE + 5 * QUARTER
  await desk.look()
  assert.deepEqual(desk.slots(), [THREE + 5 * QUARTER])
})

test('a registry that fails to tell its schedules does not end the node: they are looked at again', async (t) => {
  const said: string[] = []
  const error = (_: unknown, message: string) => said.push(message)
  const log = Object.assign(Object.create(silentLogger), { error }) as Logger
  let wake = () => undefined as unknown
  let looks = 0
  const scheduler = new Scheduler({
    schedules: {
      list: () => {
        looks += 1
        if (looks === 1) throw new Error('not now')
        return []
      },
      get: () => undefined,
      watch: (onItem) => {
        wake = () => onItem('work', undefined)
        return () => undefined
      },
    },
    ledger: { load: async () => undefined, list: () => [] } as never,
    runs: {} as never,
    claimed: { follow: () => undefined },
    memberSinceMs: () => 0,
    self: 'amy',
    clock: { now: () => THREE },
    log,
  })
  t.after(() => scheduler.stop())
  await scheduler.start()
  await eventually(() => said.length > 0, 'nothing was said')
  assert.deepEqual(said, ['the schedules were not looked at'])
  wake()
  await eventually(() => looks === 2, 'the schedules were not looked at again')
  assert.equal(said.length, 1)
})
