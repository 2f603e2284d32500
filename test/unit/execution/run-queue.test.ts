import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { isNodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import type { PipelineStep } from '../../../src/execution/catalogue/pipeline.ts'
import { parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import type { EngineState } from '../../../src/execution/engines/engines.ts'
import { queueTerms, RunQueue } from '../../../src/execution/queue/queue.ts'
import { requestDigestOf } from '../../../src/execution/queue/request-digest.ts'
import { Submissions, type SubmitOptions } from '../../../src/execution/queue/submissions.ts'
import { isEnded, type Run } from '../../../src/execution/runs/run.ts'
import { RunIds } from '../../../src/execution/runs/run-ids.ts'
import { advance, endRun, finishStep, retryStep } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'
import { executionSettingsSchema } from '../../../src/execution/settings.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const GIB = 1024 ** 3

const LOCAL: EngineState = {
  ...{ id: 'local', up: true, cpus: 4, memoryBytes: 4 * GIB, diskBytes: GIB, gpus: [] },
}

/** A queue on a real store whose runs end when the test says so. */
async function queueOn(
  t: TestContext,
  directory: string,
  p: { engineWaitMs?: number; engine?: EngineState } = {},
) {
  const database = await openDatabase(directory)
  const store = new RunStore({ database, log: silentLogger })
  await store.load()
  const world = { engine: p.engine ?? LOCAL, looks: 0, now: () => Date.now() }
  const clock = { now: () => world.now() }
  const doors = new Map<string, () => void>()
  const run = async (id: string, signal: AbortSignal) => {
    const opened = new Promise<void>((resolve) => doors.set(id, resolve))
    const cut = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    await store.save(advance(store.get(id), 'pulling', clock.now()))
    await Promise.race([opened, cut])
    if (signal.aborted) {
      await store.save(endRun(store.get(id), 'cancelled', { timeMs: clock.now() }))
      return
    }
    for (const state of ['staging', 'running', 'committing'] as const) {
      await store.save(advance(store.get(id), state, clock.now()))
    }
    await store.save(finishStep(store.get(id), clock.now()))
    await store.save(endRun(store.get(id), 'succeeded', { timeMs: clock.now() }))
  }
  const mend = async () => undefined
  const look = async () => {
    world.looks += 1
    return [world.engine]
  }
  const queueSettings = { engineWaitMs: p.engineWaitMs ?? 60_000, queuedPerOwner: 2 }
  const settings = executionSettingsSchema.parse({ queue: queueSettings, concurrency: 1 })
  const queue = new RunQueue({ store, run, mend, look, ...queueTerms(settings), clock, log: silentLogger })
  const ids = new RunIds(clock)
  const newest = store.list().at(-1)
  if (newest !== undefined) ids.follow(newest.id)
  const submissions = new Submissions({
    ...{ catalogue: catalogueOf(), store, queue, settings: settings.queue, clock, log: silentLogger },
    logs: { remove: async () => undefined },
    newId: () => ids.next(),
  })
  let closed = false
  const close = async () => {
    if (closed) return
    closed = true
    await queue.stop()
    await database.close()
  }
  t.after(close)
  const end = async (id: string): Promise<Run> => {
    await eventually(() => doors.has(id), `run ${id} never began`)
    doors.get(id)?.()
    return store.until(id, isEnded, AbortSignal.timeout(5_000))
  }
  queue.start()
  const ended = (id: string) => store.until(id, isEnded, AbortSignal.timeout(5_000))
  return { store, queue, submissions, world, end, ended, close }
}

function stepOf(name: string, resources?: PipelineStep['resources']): PipelineStep {
  const { pipeline } = parsePipeline([
    { name, tool: 't', output_dataset: 'd', ...(resources && { resources }) },
  ])
  return pipeline.steps[0] as PipelineStep
}

function catalogueOf() {
  const plan = (name: string) => ({ name, steps: [stepOf('s')] })
  return { plan, checkServices: () => undefined }
}

test('what waits is on the disk, keeps its turn over a restart, and gets its allocation when it begins', async (t) => {
  const directory = await temporaryDirectory(t)
  const before = await queueOn(t, directory)
  const first = await before.submissions.submit('p')
  const second = await before.submissions.submit('p', { priority: 1, owner: 'peer' })
  const third = await before.submissions.submit('p', { priority: 9 })
  assert.deepEqual(
    before.queue.line().map(({ run }) => run.id),
    [third.id, second.id],
  )
  await before.end(first.id)
  const begun = await before.store.until(third.id, ({ state }) => state === 'pulling')
  assert.deepEqual(begun.allocation, { engine: 'local', cpus: 1, memoryBytes: GIB, diskBytes: 0, gpus: [] })
  await before.close()
  const after = await queueOn(t, directory)
  assert.equal(after.store.get(third.id).state, 'cancelled')
  assert.equal((await after.end(second.id)).state, 'succeeded')
})

test('a key stands for one run, at one instant, after a restart, and never for two requests', async (t) => {
  const directory = await temporaryDirectory(t)
  const before = await queueOn(t, directory)
  const asked: SubmitOptions = { requestKey: 'k', priority: 2, slot: 5 }
  const twins = await Promise.all([1, 2, 3].map(() => before.submissions.submit('p', asked)))
  assert.equal(new Set(twins.map(({ id }) => id)).size, 1)
  assert.equal(before.store.list().length, 1)
  const other = await before.submissions.submit('p', { ...asked, owner: 'peer' })
  assert.notEqual(other.id, twins[0]?.id, 'keys of different owners meet')
  await before.close()
  const after = await queueOn(t, directory)
  assert.equal((await after.submissions.submit('p', asked)).id, twins[0]?.id)
  for (const options of [{ ...asked, priority: 3 }, { requestKey: 'k' }]) {
    await assert.rejects(after.submissions.submit('p', options), (error) => isNodeError(error, 'CONFLICT'))
  }
  assert.equal(
    requestDigestOf({ a: { b: 1, c: [2] } }, { d: 3 }),
    requestDigestOf({ a: { c: [2], b: 1 } }, { d: 3 }),
  )
})

test('a run waits no longer than it was to, and one that waits for its time begins then', async (t) => {
  const { submissions, ended, end, store } = await queueOn(t, await temporaryDirectory(t))
  const first = await submissions.submit('p')
  const hasty = await submissions.submit('p', { waitMsMax: 60 })
  const late = await ended(hasty.id)
  assert.deepEqual([late.state, late.code], ['timed-out', 'TIMED_OUT'])
  assert.match(late.reason ?? '', /waited longer than it was to.*it waited because .*/)
  await end(first.id)
  const notBeforeMs = Date.now() + 120
  const timed = await submissions.submit('p', { notBeforeMs })
  const begun = await store.until(timed.id, ({ state }) => state === 'pulling', AbortSignal.timeout(5_000))
  assert.ok((begun.transitions.at(-1)?.timeMs ?? 0) >= notBeforeMs)
  await end(timed.id)
})

test('a run waits for an engine that is down as long as the settings say, and begins when it answers', async (t) => {
  const engine = { ...LOCAL, up: false, problem: 'nobody answers', cpus: 0, memoryBytes: 0 }
  const hasty = await queueOn(t, await temporaryDirectory(t), { engineWaitMs: 40, engine })
  const ended = await hasty.ended((await hasty.submissions.submit('p')).id)
  assert.deepEqual([ended.state, ended.code], ['errored', 'ENGINE_UNAVAILABLE'])
  assert.equal(ended.reason, 'the engine local does not answer: nobody answers')
  const { submissions, queue, world, end } = await queueOn(t, await temporaryDirectory(t), { engine })
  const first = await submissions.submit('p')
  assert.equal(queue.line()[0]?.why, 'the engine local does not answer: nobody answers')
  world.engine = LOCAL
  // Whoever comes has the engine looked at anew.
  const second = await submissions.submit('p')
  assert.equal((await end(first.id)).state, 'succeeded')
  assert.equal((await end(second.id)).state, 'succeeded')
})

test('a run that the machinery failed begins again at its time, and says so until then', async (t) => {
  const { submissions, queue, store, end } = await queueOn(t, await temporaryDirectory(t))
  const { id } = await submissions.submit('p', { notBeforeMs: Date.now() + 60_000 })
  const pulled = advance(store.get(id), 'pulling', Date.now())
  const again = { timeMs: Date.now(), notBeforeMs: Date.now() + 150, reason: 'the disk was full' }
  await store.save(retryStep(pulled, again))
  queue.pump()
  assert.match(queue.line()[0]?.why ?? '', /^begins again at .*Z after: the disk was full$/)
  assert.equal((await end(id)).steps[0]?.retries, 1)
})

test('a time that comes while the queue is being looked at is not missed', async (t) => {
  const { submissions, queue, world, end } = await queueOn(t, await temporaryDirectory(t))
  for (const offset of [1, 2, 3, 4]) {
    const notBeforeMs = Date.now() + 60_000
    const { id } = await submissions.submit('p', { notBeforeMs })
    // A millisecond passes between any two looks at the clock, and then it stands.
    let nowMs = notBeforeMs - offset
    world.now = () => Math.min(nowMs++, notBeforeMs)
    queue.pump()
    assert.equal((await end(id)).state, 'succeeded')
    world.now = () => Date.now()
  }
})

test('what no engine has is refused at the door, and one owner cannot fill the queue', async (t) => {
  const { submissions, store } = await queueOn(t, await temporaryDirectory(t))
  const plan = { name: 'huge', steps: [stepOf('s', { cpus: 64 })] }
  await assert.rejects(submissions.submitPlan(plan), (error) => {
    return (
      isNodeError(error, 'NO_PLACE') &&
      /64 processors, and the engines of this node have at most 4/.test(error.message)
    )
  })
  await submissions.submit('p')
  for (const _ of [1, 2]) await submissions.submit('p', { owner: 'peer' })
  await assert.rejects(submissions.submit('p', { owner: 'peer' }), (error) =>
    isNodeError(error, 'QUEUE_FULL'),
  )
  await submissions.submit('p')
  assert.equal(store.list().length, 4)
})

test('the bounds of the queue hold against many at one instant', async (t) => {
  const { submissions, store } = await queueOn(t, await temporaryDirectory(t))
  const first = await submissions.submit('p')
  await store.until(first.id, ({ state }) => state === 'pulling')
  const many = Array.from({ length: 20 }, () => submissions.submit('p', { owner: 'peer' }))
  const taken = (await Promise.allSettled(many)).filter(({ status }) => status === 'fulfilled')
  assert.equal(taken.length, 2)
})

test('a run that ended before it came into the queue makes the oldest make room, with their logs', async (t) => {
  const { submissions, store } = await queueOn(t, await temporaryDirectory(t))
  const removed: string[] = []
  const full = new Proxy(store, {
    get: (of, key) => (key === 'prune' ? async () => ['oldest'] : Reflect.get(of, key).bind(of)),
  })
  const keeping = new Submissions({
    ...{ catalogue: {} as never, queue: {} as never, settings: {} as never },
    ...{ store: full, clock: { now: () => 0 }, newId: () => 'x', log: silentLogger },
    logs: {
      remove: async (id) => {
        removed.push(id)
      },
    },
  })
  const run = submissions.plannedRun({ name: 'p', steps: [stepOf('s')] }, {})
  await keeping.keepEnded(endRun(run, 'rejected', { timeMs: run.createdMs }))
  assert.equal(store.get(run.id).state, 'rejected')
  assert.deepEqual(removed, ['oldest'])
})
