import assert from 'node:assert/strict'
import { ALLOWED, isAllowed, isEnded, type Run, type RunState } from '../../src/execution/runs/run.ts'

const ENDS = (Object.keys(ALLOWED) as RunState[]).filter((state) => isEnded({ state }))
const AT_WORK: readonly string[] = ['pulling', 'staging', 'running', 'filtering', 'committing']

/** Fails unless the run keeps what holds of every run, whatever became of it: its history explains its state. */
export function assertLawful(run: Run): void {
  const { transitions: history, steps } = run
  assert.equal(history[0]?.state, 'queued')
  assert.equal(history.at(-1)?.state, run.state, 'the last word of the history is the state')
  for (const [index, { state, timeMs, reason }] of history.entries()) {
    assert.ok(reason !== undefined && reason !== '', `nobody says why the run came to ${state}`)
    const before = history[index - 1]
    if (before === undefined) continue
    assert.ok(isAllowed(before.state, state), `${before.state} to ${state}`)
    assert.ok(timeMs >= before.timeMs, 'history goes forward')
  }
  const ends = history.filter(({ state }) => ENDS.includes(state))
  assert.equal(ends.length, isEnded(run) ? 1 : 0, 'one end, and no more')
  assert.equal(run.endedMs, ends[0]?.timeMs)
  const atWork = steps.filter(({ state }) => AT_WORK.includes(state))
  assert.ok(atWork.length <= 1, 'one step at a time')
  if (isEnded(run)) assert.deepEqual(atWork, [], 'nothing is at work in an ended run')
  for (const step of atWork) {
    assert.equal(step.state, run.state)
    assert.equal(history.at(-1)?.step, step.name, 'the history names the step at work')
  }
  const told = steps.map(({ state }) => (state === 'succeeded' ? 'd' : state === 'skipped' ? 's' : '.'))
  assert.match(told.join(''), /^d*\.*s*$/, 'the steps go one after another')
  if (run.state === 'succeeded') assert.ok(steps.every(({ state }) => state === 'succeeded'))
  for (const { name, retries = 0 } of steps) {
    const begun = history.filter(({ state, step }) => state === 'queued' && step === name).length
    assert.equal(retries, begun, 'the history tells every retry')
  }
}
