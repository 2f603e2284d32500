/** What a queue must come through: cancels at the wrong moment, engines that blink, clocks that are set, disks that are full. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { HOUR_MS, MINUTE_MS } from '../../../src/base/limits.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import type { EngineState } from '../../../src/execution/engines/engines.ts'
import { cancelled, queueTerms, RunQueue } from '../../../src/execution/queue/queue.ts'
import { mendRun } from '../../../src/execution/runs/mending.ts'
import { isEnded, type Run } from '../../../src/execution/runs/run.ts'
import { advance, newRun, retryStep } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'
import { executionSettingsSchema } from '../../../src/execution/settings.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const GIB = 1024 ** 3
const NOW = 1_800_000_000_000
const engineOf = (id: string, up = true): EngineState => {
  return { id, up, cpus: 1, memoryBytes: GIB, diskBytes: GIB, gpus: [], ...(up ? {} : { problem: 'gone' }) }
}

/** A store on a disk that can be full. */
class FullStore extends RunStore {
  isFull = false
  override async save(...runs: Run[]): Promise<void> {
    if (this.isFull) throw new NodeError('STORE_FAILED', 'A run was not stored: the disk is full')
    await super.save(...runs)
  }
}

type Carry = (id: string, signal: AbortSignal) => Promise<void>

/** A queue on a real store, with clocks that the test moves, whose runs do as the test says. */
async function queueOn(t: TestContext, p: { engines?: EngineState[]; carry: (store: FullStore) => Carry }) {
  const database = await openDatabase(await temporaryDirectory(t))
  const store = new FullStore({ database, log: silentLogger })
  await store.load()
  const world = { engines: p.engines ?? [engineOf('a')], looks: 0, nowMs: NOW, steadyMs: 0 }
  const clock = { now: () => world.nowMs }
  const recovery = { commitFound: async () => undefined }
  const settings = executionSettingsSchema.parse({ concurrency: 1, queue: { engineWaitMs: 10 * MINUTE_MS } })
  const queue = new RunQueue({
    ...{ store, ...queueTerms(settings), clock, log: silentLogger, run: p.carry(store) },
    mend: (id, found) => mendRun({ store, recovery, clock }, id, found),
    look: async () => {
      world.looks += 1
      return world.engines
    },
    steady: { now: () => world.steadyMs },
  })
  t.after(async () => {
    store.isFull = false
    await queue.stop()
    await database.close()
  })
  /** Time goes by on all clocks, and the queue looks twice: once at the engines, once at what that brought. */
  const pass = async (ms: number) => {
    world.nowMs += ms
    world.steadyMs += ms
    for (const _ of [1, 2]) {
      queue.pump()
      await new Promise(setImmediate)
    }
  }
  const add = async (id: string, owner = 'node') => {
    const { pipeline } = parsePipeline([{ name: 's', tool: 't', output_dataset: `d${id}` }])
    const terms = { owner }
    const at = { timeMs: world.nowMs, trigger: { kind: 'request' as const } }
    await store.save(newRun({ id, pipeline: 'p', plan: pipeline.steps, ...at, terms }))
    await pass(0)
  }
  const ended = (id: string) => store.until(id, isEnded, AbortSignal.timeout(10_000))
  queue.start()
  await pass(1)
  return { store, queue, world, pass, add, ended }
}

const forEver: Carry = (_, signal) => {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** The machinery fails the run, which goes back into the queue. */
async function failOnce(store: RunStore, id: string, timeMs: number, waitMs: number): Promise<void> {
  await store.save(advance(store.get(id), 'pulling', timeMs))
  const again = { timeMs, notBeforeMs: timeMs + waitMs, reason: 'the engine had gone' }
  await store.save(retryStep(store.get(id), again))
}

test('a cancel that comes while a step goes back into the queue is not lost', async (t) => {
  let begun = 0
  const { store, queue, add, ended } = await queueOn(t, {
    carry: (to) => async (id) => {
      begun += 1
      await failOnce(to, id, NOW, 0)
    },
  })
  store.onRun((run) => {
    if (run.state === 'queued' && run.transitions.length > 1) assert.ok(queue.cancel(run.id))
  })
  await add('r1')
  const { state, code } = await ended('r1')
  assert.deepEqual([state, code, begun], ['cancelled', 'CANCELLED', 1])
})

test('an engine that has been gone for days says nothing of one that is being restarted', async (t) => {
  const engines = [engineOf('a'), engineOf('b', false)]
  const { queue, world, pass, add, ended } = await queueOn(t, { engines, carry: () => forEver })
  await add('r1')
  await add('r2')
  assert.match(queue.line()[0]?.why ?? '', /r1 is at work/)
  await pass(3 * HOUR_MS)
  world.engines = [engineOf('a', false), engineOf('b', false)]
  await pass(MINUTE_MS)
  queue.cancel('r1')
  await ended('r1')
  await pass(1)
  // One that is being ended stands in line no more.
  assert.deepEqual(
    queue.line().map(({ run }) => [run.id, run.state]),
    [['r2', 'queued']],
  )
  await pass(11 * MINUTE_MS)
  assert.equal((await ended('r2')).code, 'ENGINE_UNAVAILABLE')
})

test('what the machinery failed has cost its owner the time that it took', async (t) => {
  const doors = new Map<string, () => void>()
  const { world, add, store } = await queueOn(t, {
    carry: (to) => async (id, signal) => {
      const opened = new Promise<void>((resolve) => doors.set(id, resolve))
      await Promise.race([opened, forEver(id, signal)])
      if (!signal.aborted) await failOnce(to, id, world.nowMs, MINUTE_MS)
    },
  })
  await add('r1', 'wasteful')
  await add('r2', 'wasteful')
  await add('r3', 'thrifty')
  world.steadyMs += HOUR_MS
  doors.get('r1')?.()
  await eventually(() => doors.size === 2, 'no other run began')
  assert.ok(doors.has('r3'), 'the owner that had nothing goes next')
  assert.equal(store.get('r1').state, 'queued')
})

test('a clock that is set back stops neither looks at engines nor a step that is begun again', async (t) => {
  const begun: string[] = []
  const { store, world, pass, add } = await queueOn(t, {
    engines: [engineOf('a', false)],
    carry: () => (id, signal) => {
      begun.push(id)
      return forEver(id, signal)
    },
  })
  await add('r1')
  await failOnce(store, 'r1', world.nowMs, MINUTE_MS)
  world.nowMs -= 6 * HOUR_MS
  world.engines = [engineOf('a')]
  const { looks } = world
  await pass(6_000)
  await pass(1)
  assert.deepEqual([world.looks, begun], [looks + 1, ['r1']])
})

test('a run whose end could not be written ends when records can be written again, and so does a cancel of it', async (t) => {
  const { store, queue, add, ended } = await queueOn(t, {
    carry: (to) => async (id, signal) => {
      await to.save(advance(to.get(id), 'pulling', NOW))
      if (id !== 'r1') await forEver(id, signal)
      to.isFull = true
      await to.save(cancelled(to.get(id), NOW))
    },
  })
  await add('r1')
  await eventually(() => store.isFull, 'the end was never written')
  store.isFull = false
  const broken = await ended('r1')
  assert.deepEqual([broken.state, broken.code], ['errored', 'STORE_FAILED'], broken.reason)
  await add('r2')
  await eventually(() => store.get('r2').state === 'pulling', 'the next run never began')
  assert.ok(queue.cancel('r2'))
  await eventually(() => store.isFull, 'the cancel was never written')
  store.isFull = false
  assert.equal((await ended('r2')).state, 'cancelled')
})

test('a run that could not be begun for a full disk stays in line, says so, and begins', async (t) => {
  let tries = 0
  const { store, queue, add, ended, pass } = await queueOn(t, {
    carry: (to) => async (id) => {
      tries += 1
      to.isFull = tries === 1
      await to.save(advance(to.get(id), 'pulling', NOW))
      await to.save(cancelled(to.get(id), NOW))
    },
  })
  await add('r1')
  await eventually(() => queue.line().length === 1, 'the run never broke off')
  await pass(1)
  assert.match(queue.line()[0]?.why ?? '', /when records can be written again: .*the disk is full/)
  store.isFull = false
  await ended('r1')
  assert.equal(tries, 2)
})

test('a run that was cut between its commit and the word of it keeps the commit', async (t) => {
  const { store, add } = await queueOn(t, { engines: [], carry: () => forEver })
  const patch = { outputCommit: 'c0ffee' }
  const parts = { store, recovery: { commitFound: async () => patch }, clock: { now: () => NOW } }
  await add('r1')
  for (const state of ['pulling', 'staging', 'running', 'committing'] as const) {
    await store.save(advance(store.get('r1'), state, NOW))
  }
  const committing = store.get('r1')
  await mendRun(parts, 'r1', { why: 'full', cancelled: false })
  const { state, steps } = store.get('r1')
  assert.deepEqual([state, steps[0]?.state, steps[0]?.outputCommit], ['succeeded', 'succeeded', 'c0ffee'])
  const plan = committing.plan.map((step) => ({ ...step, publish: ['shelf'] }))
  await store.save({ ...committing, id: 'r2', plan })
  await mendRun(parts, 'r2', { why: 'full', cancelled: false })
  const unpublished = store.get('r2')
  assert.deepEqual(
    [unpublished.state, unpublished.code, unpublished.steps[0]?.outputCommit],
    ['errored', 'STORE_FAILED', 'c0ffee'],
  )
})

test('the line is reckoned once for all who ask within a moment, and anew when it changes', async (t) => {
  const { queue, add, pass } = await queueOn(t, { carry: () => forEver })
  await add('r1')
  await add('r2')
  const line = queue.line()
  assert.equal(queue.line(), line)
  await add('r3')
  assert.deepEqual(
    queue.line().map(({ run }) => run.id),
    ['r2', 'r3'],
  )
  await pass(2_000)
  assert.notEqual(queue.line(), line)
})
