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

test('whatever is tried, an ended run stays as it is and history only grows', () => {
  const move = fc.constantFrom<RunState>(...ACTIVE, ...ENDS)
  fc.assert(
    fc.property(fc.array(move, { maxLength: 30 }), (moves) => {
      let run = fresh()
      for (const to of moves) {
        const before = run
        try {
          if (run.state === 'committing' && run.steps.some((s) => s.state === 'committing'))
            run = finishStep(run, 1)
          run = ENDS.includes(to as EndState)
            ? endRun(run, to as EndState, { timeMs: 1 })
            : advance(run, to as ActiveState, 1)
          assert.ok(!isEnded(before))
          assert.equal(run.transitions.length, before.transitions.length + 1)
        } catch (error) {
          assert.ok(isNodeError(error, 'INTERNAL'))
        }
        if (isEnded(before)) assert.equal(run, before)
      }
    }),
  )
})
