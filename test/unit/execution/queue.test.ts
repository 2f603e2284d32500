import assert from 'node:assert/strict'
import { test } from 'node:test'
import { submissionSchema } from '../../../src/api/submit-views.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { commitMessage, trailerOf } from '../../../src/execution/runs/commit-message.ts'
import { loseRun, repetitionOf } from '../../../src/execution/runs/recovery.ts'
import type { Run, Trigger } from '../../../src/execution/runs/run.ts'
import { RunIds } from '../../../src/execution/runs/run-ids.ts'
import { advance, endRun, finishStep, newRun } from '../../../src/execution/runs/run-machine.ts'
import { environmentOf, userOf } from '../../../src/execution/steps/step-box.ts'
import { endOfLimit, outcomeOf } from '../../../src/execution/steps/step-end.ts'

/** A queued run that writes these `dataset/step` branches. */
function runOf(id: string, branches: readonly string[], trigger: Trigger = { kind: 'request' }): Run {
  const plan = branches.map((branch) => {
    const [output_dataset = '', name = ''] = branch.split('/')
    return {
      name,
      tool: 't',
      cmd: null,
      env: null,
      docker_socket: false,
      input_dataset: null,
      output_dataset,
    }
  })
  return newRun({ id, pipeline: 'p', plan, trigger, timeMs: 100 })
}

test('ids of runs sort by time, also within a millisecond and after a restart', () => {
  let now = 1_790_000_000_000
  const first = new RunIds({ now: () => now })
  const made = [first.next(), first.next(), first.next()]
  now += 1
  made.push(first.next())
  const second = new RunIds({ now: () => now - 60_000 })
  second.follow(made.at(-1) ?? '')
  made.push(second.next())
  assert.deepEqual(made, made.toSorted())
  for (const id of made) assert.match(id, /^[0-9a-z]{8}-[0-9a-f]{4}$/)
})

function midway(run: Run): Run {
  let moved = run
  for (const state of ['pulling', 'staging', 'running', 'committing'] as const)
    moved = advance(moved, state, 200)
  return advance(finishStep(moved, 300, { outputCommit: 'c1' }), 'pulling', 300)
}

test('a repetition keeps slot and plan and takes over what is done', () => {
  const failed = endRun(midway(runOf('a', ['d/one', 'd/two'])), 'failed', { timeMs: 400 })
  const again = repetitionOf(failed, 'b', 500)
  assert.deepEqual(again.trigger, { kind: 'repeat', of: 'a' })
  assert.equal(again.slot, 100)
  assert.deepEqual(
    again.steps.map(({ state, doneBy }) => [state, doneBy]),
    [
      ['succeeded', 'a'],
      ['queued', undefined],
    ],
  )
  const third = repetitionOf(endRun(again, 'cancelled', { timeMs: 600 }), 'c', 700)
  assert.equal(third.steps[0]?.doneBy, 'a')
  assert.equal(third.slot, 100)
  const scheduled = endRun(midway(runOf('s', ['d/one', 'd/two'], { kind: 'schedule', slot: 7 })), 'failed', {
    timeMs: 400,
  })
  assert.deepEqual(repetitionOf(scheduled, 't', 500).trigger, { kind: 'repeat', of: 's', slot: 7 })
})

test('a repetition waits no longer than the run that it repeats was to', () => {
  const failed = endRun(midway({ ...runOf('a', ['d/one', 'd/two']), waitUntilMs: 150 }), 'failed', {
    timeMs: 400,
  })
  assert.equal(repetitionOf(failed, 'b', 500).waitUntilMs, 550)
})

test('what succeeded is repeated whole, for a slot of its own', () => {
  const run = runOf('a', ['d/one', 'd/two'])
  let done = midway(run)
  for (const state of ['staging', 'running', 'committing'] as const) done = advance(done, state, 400)
  const again = repetitionOf(endRun(finishStep(done, 500), 'succeeded', { timeMs: 500 }), 'b', 600)
  assert.deepEqual(again.trigger, { kind: 'repeat', of: 'a' })
  assert.equal(again.slot, 600)
  assert.deepEqual(
    again.steps.map(({ state }) => state),
    ['queued', 'queued'],
  )
})

test('a lost run is repeated once by itself', () => {
  const common = { newId: () => 'b', timeMs: 500, reason: 'cut' }
  const run = midway(runOf('a', ['d/one', 'd/two'], { kind: 'schedule', slot: 7 }))
  const [lost, repetition] = loseRun({ run, repeated: undefined, repeat: true, ...common })
  assert.equal(lost?.state, 'lost')
  assert.deepEqual(repetition?.trigger, { kind: 'repeat', of: 'a', slot: 7 })
  assert.equal(loseRun({ run, repeated: undefined, repeat: false, ...common }).length, 1)
  const second = midway(runOf('b', ['d/one', 'd/two'], { kind: 'repeat', of: 'a', slot: 7 }))
  assert.equal(loseRun({ run: second, repeated: lost, repeat: true, ...common }).length, 1)
})

test('the commit of a step carries what is needed to repeat it, and no value can forge a trailer', () => {
  const run = runOf('a', ['d/one'])
  const step = {
    ...(run.steps[0] as Run['steps'][number]),
    image: 'img:1\nRun-Id: forged',
    digest: 'sha256:00',
    inputDataset: 'in',
    inputCommit: 'abc',
    granted: {
      ...{
        network: 'none' as const,
        dockerSocket: false,
        user: '1:1',
        memoryBytes: 1,
        cpus: 1,
        pids: 1,
        timeoutMs: 1,
      },
      environment: { X: 'kept at home' },
      secrets: [],
    },
  }
  const message = commitMessage(run, step)
  assert.equal(trailerOf(message, 'Run-Id'), 'a')
  assert.equal(trailerOf(message, 'Image-Digest'), 'sha256:00')
  assert.equal(trailerOf(message, 'Input-Commit'), 'abc')
  assert.equal(trailerOf(message, 'Slot'), '100')
  assert.equal(message.match(/^Run-Id:/gm)?.length, 1)
  assert.equal(trailerOf(message, 'Environment-Override'), 'X')
  assert.doesNotMatch(message, /kept at home/)
  assert.equal(trailerOf('just a subject', 'Run-Id'), undefined)
})

test('a step never runs as root', () => {
  const root = { uid: 0, gid: 0 }
  assert.equal(userOf('', root), '65534:65534')
  assert.equal(userOf('root', root), '65534:65534')
  assert.equal(userOf('0:0', root), '65534:65534')
  assert.equal(userOf('00', root), '65534:65534')
  // What a name or an odd number means, the image says itself.
  for (const disguised of [
    'tool',
    'toor',
    '+0',
    '-0',
    '0x0',
    '1000:0',
    '1000:root',
    'root:1000',
    '1000:+0',
    '1:2:3',
  ]) {
    assert.equal(userOf(disguised, root), '65534:65534', disguised)
  }
  assert.equal(userOf('1000', root), '1000:1000')
  assert.equal(userOf('1000:1000', root), '1000:1000')
  assert.equal(userOf('tool', { uid: 1001, gid: 1002 }), '1001:1002')
  assert.equal(userOf('', { uid: undefined, gid: undefined }), '65534:65534')
})

test('of the variables of a step the secret goes before the pipeline, the node before both, and none replaces ours', () => {
  const run = runOf('a', ['d/one'])
  const step = {
    ...(run.plan[0] as Run['plan'][number]),
    env: { A: '1', B: '{{ MAO_PRIVATE_VARIABLE }}', MAO_SLOT: '0' },
  }
  const environment = environmentOf({
    run,
    step,
    node: 'n',
    secrets: new Map([['B', 's']]),
    overrides: { A: '2', MAO_STEP: 'x' },
  })
  assert.deepEqual(environment, {
    ...{ HOME: '/tmp', A: '2', B: 's', MAO_RUN_ID: 'a', MAO_PIPELINE: 'p', MAO_STEP: 'one', MAO_TOOL: 't' },
    ...{ MAO_NODE: 'n', MAO_SLOT: '100' },
  })
})

test('the ends of a container are told apart', () => {
  assert.deepEqual(outcomeOf({ exitCode: 0, oomKilled: false }), { state: 'succeeded' })
  assert.match(
    JSON.stringify(outcomeOf({ exitCode: 137, oomKilled: false })),
    /failed.*exit code 137 \(SIGKILL\)/,
  )
  assert.match(JSON.stringify(outcomeOf({ exitCode: 1, oomKilled: false })), /failed.*exit code 1"/)
  assert.match(JSON.stringify(outcomeOf({ exitCode: 137, oomKilled: true })), /oom-killed/)
  assert.match(JSON.stringify(outcomeOf({ exitCode: 0, oomKilled: true })), /oom-killed.*carried on/)
})

test("too much output is the tool's end, a full disk the machinery's", () => {
  assert.equal(endOfLimit(new NodeError('TOO_LARGE', 'more than allowed')).state, 'failed')
  assert.throws(() => endOfLimit(new NodeError('DISK_FULL', 'no room')), { code: 'DISK_FULL' })
})

test('a slot is a time that a date can stand for', () => {
  const isTaken = (slot: number) => submissionSchema.safeParse({ pipeline: 'p', slot }).success
  assert.deepEqual([8.64e15, 8.64e15 + 1].map(isTaken), [true, false])
  assert.doesNotThrow(() => runOf('a', ['d/one'], { kind: 'request', slot: 8.64e15 }))
})
