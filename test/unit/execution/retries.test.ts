import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../../src/base/errors.ts'
import { isRepeatable, loseRun, repetitionOf } from '../../../src/execution/runs/recovery.ts'
import { endStateOf, retryOf, retryOfRun } from '../../../src/execution/runs/retries.ts'
import type { ActiveState, Run } from '../../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun, retryStep } from '../../../src/execution/runs/run-machine.ts'

const BOUNDS = { retriesMax: 3, retryDelayMs: 1_000 }

test('the waits double up to their bound, and the tries are counted', () => {
  const waits = (code: ErrorCode, retriesMax: number) =>
    Array.from(
      { length: 13 },
      (_, retries) => retryOf({ code, retries, nowMs: 5, ...BOUNDS, retriesMax })?.notBeforeMs,
    )
  const second = 1_000
  assert.deepEqual(
    waits('ENGINE_UNAVAILABLE', 12),
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, undefined].map((s) => s && 5 + s * second),
  )
  assert.deepEqual(waits('DISK_FULL', 1).slice(0, 2), [1_005, undefined])
  assert.deepEqual(waits('PEER_UNREACHABLE', 0)[0], undefined)
})

test('what a tool, a limit, a person or a policy ended is not tried again', () => {
  const ended: ErrorCode[] = [
    'INVALID_INPUT',
    'TOO_LARGE',
    'CANCELLED',
    'FORBIDDEN',
    'IMAGE_MOVED',
    'INTERNAL',
  ]
  for (const code of [...ended, 'IMAGE_FORBIDDEN', 'CHECKSUM_MISMATCH', 'NOT_FOUND'] as ErrorCode[]) {
    assert.equal(retryOf({ code, retries: 0, nowMs: 0, ...BOUNDS }), undefined, code)
  }
})

test('the ends of failures are told apart', () => {
  assert.equal(endStateOf('ENGINE_UNAVAILABLE'), 'errored')
  assert.equal(endStateOf('DISK_FULL'), 'errored')
  assert.equal(endStateOf('INTERNAL'), 'errored')
  assert.equal(endStateOf('FORBIDDEN'), 'rejected')
  assert.equal(endStateOf('IMAGE_FORBIDDEN'), 'rejected')
  for (const code of ['RUN_NOT_FOUND', 'COMMIT_NOT_FOUND'] as const)
    assert.equal(endStateOf(code), 'rejected')
  assert.equal(endStateOf('TOO_LARGE'), 'failed')
  assert.equal(endStateOf('PATH_UNSAFE'), 'failed')
})

function runIn(state: ActiveState): Run {
  const step = { name: 's', tool: 't', cmd: null, env: null, docker_socket: false }
  const plan = [{ ...step, input_dataset: null, output_dataset: 'd' }]
  let run = newRun({ id: 'r', pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 0 })
  for (const next of ['pulling', 'staging', 'running', 'filtering', 'committing'] as const) {
    run = advance(run, next, 1)
    if (next === state) break
  }
  return run
}

test('a step is begun again wherever it is, but once it may have committed', () => {
  const code = 'ENGINE_UNAVAILABLE' as const
  for (const state of ['pulling', 'staging', 'running', 'filtering'] as const) {
    const run = runIn(state)
    const retry = retryOfRun({ run, code, nowMs: 10, ...BOUNDS })
    assert.deepEqual(retry, { notBeforeMs: 1_010, retries: 1 }, state)
    const again = advance(retryStep(run, { timeMs: 10, notBeforeMs: 1_010, reason: 'x' }), 'pulling', 1_010)
    assert.deepEqual(retryOfRun({ run: again, code, nowMs: 2_000, ...BOUNDS }), {
      notBeforeMs: 4_000,
      retries: 2,
    })
  }
  assert.equal(retryOfRun({ run: runIn('committing'), code, nowMs: 10, ...BOUNDS }), undefined)
  const ended = endRun(runIn('running'), 'cancelled', { timeMs: 2 })
  assert.equal(retryOfRun({ run: ended, code, nowMs: 10, ...BOUNDS }), undefined)
  assert.equal(retryOfRun({ run: runIn('running'), code: undefined, nowMs: 10, ...BOUNDS }), undefined)
})

test('a repetition is held to what the first run was held to, and takes nothing of its request', () => {
  const held = { owner: 'bob', priority: 3, timeoutMs: 9, inputCommits: { d: 'c' }, imageDigests: { t: 'x' } }
  const run: Run = { ...runIn('running'), ...held, requestKey: 'k', requestDigest: 'd', waitUntilMs: 1 }
  for (const ended of [
    endRun(run, 'failed', { timeMs: 2 }),
    endRun(finishStep({ ...runIn('committing'), ...held }, 2), 'succeeded', { timeMs: 2 }),
  ]) {
    const again = repetitionOf(ended, 'b', 3)
    const { owner, priority, timeoutMs, inputCommits, imageDigests } = again
    assert.deepEqual({ owner, priority, timeoutMs, inputCommits, imageDigests }, held)
    assert.deepEqual(
      [again.requestKey, again.requestDigest, again.waitUntilMs],
      // As long as it was to wait, where that was said.
      [undefined, undefined, ended.waitUntilMs === undefined ? undefined : 4],
    )
  }
})

test('a run that compares is lost for good: its repetition would commit on the branch', () => {
  const run: Run = { ...runIn('running'), trigger: { kind: 'rerun', of: 'a' } }
  const common = { run, repeated: undefined, repeat: true, newId: () => 'b', timeMs: 5, reason: 'cut' }
  assert.deepEqual(
    loseRun(common).map(({ state }) => state),
    ['lost'],
  )
  assert.equal(isRepeatable(run), false)
})
