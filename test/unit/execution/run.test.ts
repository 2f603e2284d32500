import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNodeError } from '../../../src/base/errors.ts'
import {
  type ActiveState,
  ALLOWED,
  type EndState,
  isAllowed,
  isEnded,
  type Run,
  type RunState,
  type Trigger,
} from '../../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun, retryStep } from '../../../src/execution/runs/run-machine.ts'
import { assertLawful } from '../../support/run-laws.ts'

const ACTIVE: readonly ActiveState[] = ['pulling', 'staging', 'running', 'filtering', 'committing']
const ENDS: readonly EndState[] = [
  'succeeded',
  'failed',
  'oom-killed',
  'timed-out',
  'cancelled',
  'rejected',
  'errored',
  'lost',
]

/** The whole table once more, written as a person would check it. */
const EXPECTED: Record<RunState, string> = {
  queued: 'pulling timed-out cancelled rejected errored',
  pulling: 'staging queued failed timed-out cancelled rejected errored lost',
  staging: 'running queued failed timed-out cancelled rejected errored lost',
  running: 'filtering committing queued failed oom-killed timed-out cancelled errored lost',
  filtering: 'committing queued failed oom-killed timed-out cancelled errored lost',
  committing: 'pulling succeeded failed timed-out cancelled errored lost',
  succeeded: '',
  failed: '',
  'oom-killed': '',
  'timed-out': '',
  cancelled: '',
  rejected: '',
  errored: '',
  lost: '',
}

function step(name: string) {
  return {
    name,
    tool: 't',
    cmd: null,
    env: null,
    docker_socket: false,
    input_dataset: null,
    output_dataset: 'd',
  }
}

function fresh(steps = ['one', 'two']): Run {
  const plan = steps.map(step)
  return newRun({ id: 'r', pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 0 })
}

/** A run of two steps brought to `state` by allowed moves alone. */
function runIn(state: RunState): Run {
  let run = fresh()
  for (const next of ACTIVE) {
    if (run.state === state) return run
    run = advance(run, next, 1)
  }
  if (run.state === state) return run
  if (state === 'succeeded') return endRun(walk(finishStep(run, 2)), 'succeeded', { timeMs: 9 })
  const from = (Object.keys(ALLOWED) as RunState[]).find(
    (s) => isAllowed(s, state) && !ENDS.includes(s as EndState),
  )
  return endRun(runIn(from ?? 'queued'), state as EndState, { timeMs: 9 })
}

/** The next step from its first state to its last. */
function walk(run: Run): Run {
  let walked = run
  for (const next of ACTIVE) walked = advance(walked, next, 3)
  return finishStep(walked, 4)
}

for (const from of Object.keys(EXPECTED) as RunState[]) {
  for (const to of Object.keys(EXPECTED) as RunState[]) {
    const allowed = EXPECTED[from].split(' ').includes(to)
    test(`from ${from} a run ${allowed ? 'may' : 'may not'} go to ${to}`, () => {
      assert.equal(isAllowed(from, to), allowed)
      const run = runIn(from)
      assert.equal(run.state, from)
      // The move itself obeys the table; a next step and a success also want the step at work to be done.
      const done = from === 'committing' && to === 'pulling' ? finishStep(run, 5) : run
      const ready = from === 'committing' && to === 'succeeded' ? walk(finishStep(run, 5)) : done
      const move = () =>
        to === 'queued'
          ? retryStep(ready, { timeMs: 6, notBeforeMs: 9, reason: 'no engine' })
          : ENDS.includes(to as EndState)
            ? endRun(ready, to as EndState, { timeMs: 6 })
            : advance(ready, to as ActiveState, 6)
      if (allowed) assert.equal(move().state, to)
      else assert.throws(move, (error) => isNodeError(error, 'INTERNAL'))
    })
  }
}

test('a run does not succeed before all its steps have', () => {
  const first = finishStep(runIn('committing'), 5)
  assert.throws(() => endRun(first, 'succeeded', { timeMs: 6 }))
  const second = walk(first)
  assert.deepEqual(
    endRun(second, 'succeeded', { timeMs: 7 }).steps.map((s) => s.state),
    ['succeeded', 'succeeded'],
  )
})

test('a run that fails in its first step skips the second and says why', () => {
  const ended = endRun(runIn('running'), 'failed', {
    timeMs: 7,
    reason: 'exit code 3',
    patch: { exitCode: 3 },
  })
  assert.deepEqual(
    ended.steps.map((s) => s.state),
    ['failed', 'skipped'],
  )
  assert.equal(ended.steps[0]?.exitCode, 3)
  assert.equal(ended.reason, 'exit code 3')
  assert.equal(ended.endedMs, 7)
  assert.deepEqual(ended.transitions.at(-1), {
    state: 'failed',
    step: 'one',
    reason: 'exit code 3',
    timeMs: 7,
  })
})

test('a run cancelled in the queue skips all its steps', () => {
  const ended = endRun(fresh(), 'cancelled', { timeMs: 1 })
  assert.deepEqual(
    ended.steps.map((s) => s.state),
    ['skipped', 'skipped'],
  )
})

test('a long reason is cut', () => {
  const ended = endRun(runIn('running'), 'failed', { timeMs: 1, reason: 'x'.repeat(5_000) })
  assert.equal(ended.reason?.length, 500)
})

test('the slot is the time that was named, and for a lone request its own', () => {
  const slotOf = (trigger: Trigger) => newRun({ id: 'r', pipeline: 'p', plan: [], trigger, timeMs: 9 }).slot
  assert.equal(slotOf({ kind: 'schedule', slot: 7 }), 7)
  assert.equal(slotOf({ kind: 'request', slot: 8 }), 8)
  assert.equal(slotOf({ kind: 'request' }), 9)
})

test('every transition says when and why, also where nobody gave a reason', () => {
  for (const state of Object.keys(ALLOWED) as RunState[]) {
    for (const { reason, timeMs } of runIn(state).transitions) {
      assert.ok(reason !== undefined && reason.length > 3, `${state}: ${reason}`)
      assert.ok(Number.isFinite(timeMs))
    }
  }
  const why = (trigger: Trigger) =>
    newRun({ id: 'r', pipeline: 'p', plan: [], trigger, timeMs: 9 }).transitions[0]?.reason
  assert.equal(why({ kind: 'schedule', slot: 0 }), 'by its schedule for 1970-01-01T00:00:00.000Z')
  assert.equal(why({ kind: 'repeat', of: 'a' }), 'repeats a')
  assert.equal(why({ kind: 'remote', by: 'bob', request: 'x' }), 'asked for by bob')
})

test('history goes forward, also where the clock was set back', () => {
  const run = endRun(advance(fresh(), 'pulling', -50), 'cancelled', { timeMs: -100 })
  assert.deepEqual(
    run.transitions.map(({ timeMs }) => timeMs),
    [0, 0, 0],
  )
  assert.equal(run.endedMs, 0)
})

test('a step that is begun again keeps nothing of its first try but how often it was', () => {
  const waiting = retryStep(runIn('running'), { timeMs: 5, notBeforeMs: 50, reason: 'no engine' })
  assert.equal(waiting.notBeforeMs, 50)
  assert.deepEqual(waiting.steps[0], {
    name: 'one',
    tool: 't',
    state: 'queued',
    outputDataset: 'd',
    retries: 1,
  })
  const again = advance(waiting, 'pulling', 60)
  assert.equal(again.notBeforeMs, undefined)
  assert.equal(again.steps[0]?.startedMs, 60)
})

/** Beside the states: a step is done, and whatever comes next when all goes well. */
type Move = RunState | 'finish' | 'on'

test('whatever is tried, a run keeps its laws', () => {
  const move = fc.oneof(
    { weight: 20, arbitrary: fc.constant<Move>('on') },
    { weight: 4, arbitrary: fc.constantFrom<Move>(...ACTIVE, 'finish', 'queued') },
    { weight: 1, arbitrary: fc.constantFrom<Move>(...ENDS) },
  )
  const walked = { ended: 0, moved: 0 }
  fc.assert(
    fc.property(
      fc.array(fc.tuple(move, fc.integer({ min: -20, max: 100 })), { maxLength: 60 }),
      fc.nat(3),
      (moves, count) => {
        let run = fresh(['a', 'b', 'c'].slice(0, count))
        for (const [to, timeMs] of moves) {
          const before = structuredClone(run)
          const next = tried(run, to, timeMs)
          assert.deepEqual(run, before, 'a move changes nothing of what was')
          if (next === undefined) continue
          assert.ok(!isEnded(run), 'nothing follows an end')
          walked.moved += 1
          run = next
          assertLawful(run)
        }
        if (isEnded(run)) walked.ended += 1
      },
    ),
    { numRuns: 500 },
  )
  assert.ok(walked.ended > 50 && walked.moved > 1_000, `the walks went nowhere: ${JSON.stringify(walked)}`)
})

function nextOf(run: Run): Move {
  if (run.steps.some(({ state }) => state === 'committing')) return 'finish'
  if (run.state !== 'committing') return ACTIVE[ACTIVE.indexOf(run.state as ActiveState) + 1] ?? 'pulling'
  return run.steps.every(({ state }) => state === 'succeeded') ? 'succeeded' : 'pulling'
}

/** The run after a move; undefined where the machine refuses it. */
function tried(run: Run, to: Move, timeMs: number): Run | undefined {
  try {
    if (to === 'on') return tried(run, nextOf(run), timeMs)
    if (to === 'finish') return finishStep(run, timeMs)
    if (to === 'queued') return retryStep(run, { timeMs, notBeforeMs: timeMs + 9, reason: 'no engine' })
    if (ENDS.includes(to as EndState)) return endRun(run, to as EndState, { timeMs })
    return advance(run, to as ActiveState, timeMs)
  } catch (error) {
    assert.ok(isNodeError(error, 'INTERNAL'))
    return undefined
  }
}
