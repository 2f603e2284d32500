import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeError } from '../../../src/base/errors.ts'
import type { PipelineStep } from '../../../src/execution/catalogue/pipeline.ts'
import { STOPPED } from '../../../src/execution/queue/queue.ts'
import { commitMessage, trailerOf } from '../../../src/execution/runs/commit-message.ts'
import type { Run } from '../../../src/execution/runs/run.ts'
import { newRun } from '../../../src/execution/runs/run-machine.ts'
import { executionSettingsSchema } from '../../../src/execution/settings.ts'
import { runRefusal } from '../../../src/execution/steps/refusals.ts'
import { beganMsOf } from '../../../src/execution/steps/run-deadline.ts'
import { grantedTo } from '../../../src/execution/steps/step-box.ts'
import { endOfAbort, endOfFilter, failureOf, nearestEnd } from '../../../src/execution/steps/step-end.ts'

const GIB = 1024 ** 3
const settings = executionSettingsSchema.parse({ memoryBytes: GIB, cpus: 2, pids: 100 })
const bare: PipelineStep = {
  ...{ name: 's', tool: 't', cmd: null, env: null, docker_socket: false },
  ...{ input_dataset: null, output_dataset: 'd' },
}

function runOf(step: Partial<PipelineStep> = {}, more: Partial<Run> = {}): Run {
  const plan = [{ ...bare, ...step }]
  const run = newRun({ id: 'r', pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 100 })
  return { ...run, ...more }
}

/** What is asked for, and the setting that has to stand in the refusal. */
const BEYOND: [Partial<PipelineStep>, string][] = [
  [{ docker_socket: true }, 'dockerSocketGranted'],
  [{ network: 'host' }, 'hostNetworkGranted'],
  [{ root: 'writable' }, 'writableRootGranted'],
  [{ resources: { cpus: 3 } }, 'cpus'],
  [{ resources: { memoryBytes: 2 * GIB } }, 'memoryBytes'],
  [{ resources: { pids: 101 } }, 'pids'],
  [{ resources: { diskBytes: 11 * GIB } }, 'outputBytes'],
  [{ timeoutMs: 2 * 3_600_000 }, 'stepTimeoutMs'],
]

test('what a step asks for beyond the node is refused by the name of the setting; what is less is given', () => {
  for (const [step, setting] of BEYOND) {
    const refusal = runRefusal(runOf(step), settings)
    assert.equal(refusal?.code, 'FORBIDDEN')
    assert.match(refusal.message, new RegExp(`step s asks for .*setting execution\\.${setting}`))
  }
  assert.match(
    runRefusal(runOf({}, { timeoutMs: 10 ** 9 }), settings)?.message ?? '',
    /execution\.runTimeoutMs/,
  )
  const less = { resources: { cpus: 0.5, memoryBytes: GIB / 2, pids: 9, diskBytes: 5 }, timeoutMs: 2_000 }
  assert.equal(runRefusal(runOf(less, { timeoutMs: 3_000 }), settings), undefined)
  const granted = grantedTo({ step: { ...bare, ...less }, user: '1:1', settings, secrets: new Map() })
  const { cpus, memoryBytes, pids, outputBytes, timeoutMs, network, root } = granted
  assert.deepEqual([cpus, memoryBytes, pids, outputBytes, timeoutMs], [0.5, GIB / 2, 9, 5, 2_000])
  assert.deepEqual([network, root], ['none', 'read-only'])
})

test("another member's run gets nothing that is this node's own, granted or not", () => {
  const generous = {
    ...settings,
    dockerSocketGranted: true,
    hostNetworkGranted: true,
    writableRootGranted: true,
  }
  const secret = { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' }
  const asked: Partial<PipelineStep>[] = [
    ...[{ docker_socket: true }, { network: 'host' as const }, { network: 'bridge' as const }],
    ...[{ root: 'writable' as const }, { env: secret }, { filter: { tool: 'f', cmd: null, env: secret } }],
  ]
  for (const step of asked) {
    assert.equal(runRefusal(runOf(step), generous), undefined)
    assert.equal(
      runRefusal(runOf(step, { owner: 'peer' }), generous)?.code,
      'FORBIDDEN',
      JSON.stringify(step),
    )
  }
  const own = { ...settings, environment: { t: { MIRROR_TOKEN: 'x' } } }
  const grants = { step: bare, user: '1:1', settings: own, secrets: new Map() }
  assert.deepEqual(grantedTo(grants).environment, { MIRROR_TOKEN: 'x' })
  assert.deepEqual(grantedTo({ ...grants, foreign: true }).environment, {})
})

test('of the devices set apart for a run a step gets those that it asks for', () => {
  const step = { ...bare, resources: { gpus: 1 } }
  const grants = { user: '1:1', settings, secrets: new Map(), devices: ['/dev/a', '/dev/b'] }
  assert.deepEqual(grantedTo({ ...grants, step }).devices, ['/dev/a'])
  assert.equal(grantedTo({ ...grants, step: bare }).devices, undefined)
})

test('the time of a run counts from its first start, through retries and a crash, and not through what a person repeats', () => {
  const pulled = (timeMs: number) => ({ state: 'pulling' as const, timeMs })
  const first = runOf({}, { id: 'a', transitions: [pulled(110), pulled(200)], state: 'lost', endedMs: 300 })
  const again = runOf({}, { id: 'b', trigger: { kind: 'repeat', of: 'a' }, createdMs: 300 })
  const find = (id: string) => (id === 'a' ? first : undefined)
  assert.equal(beganMsOf(runOf(), find), undefined)
  assert.equal(beganMsOf(first, find), 110)
  assert.equal(beganMsOf(again, find), 110)
  assert.equal(beganMsOf({ ...again, transitions: [pulled(310)] }, find), 110)
  assert.equal(beganMsOf({ ...again, createdMs: 999, transitions: [pulled(999)] }, find), 999)
})

test('a withheld output is told as such, whatever ended its filter; trouble of the machinery is none of its', () => {
  const end = endOfFilter('f', { state: 'oom-killed', reason: 'memory', exitCode: 137 }, {})
  assert.equal(end.state, 'oom-killed')
  assert.match(end.reason, /the filter f withheld the output, of which nothing was committed: memory/)
  assert.equal(failureOf(new NodeError('INVALID_INPUT', 'no such container'))?.state, 'failed')
  assert.equal(failureOf(new NodeError('ENGINE_UNAVAILABLE', 'gone')), undefined)
  assert.equal(failureOf(new Error('a defect')), undefined)
})

test('a stop, a deadline and a cancel are different ends, and a late refusal is a failure', () => {
  assert.equal(endOfAbort(AbortSignal.abort(STOPPED)).state, 'lost')
  assert.equal(endOfAbort(AbortSignal.abort(new NodeError('TIMED_OUT', 'late'))).state, 'timed-out')
  assert.equal(endOfAbort(AbortSignal.abort('cancelled')).state, 'cancelled')
  assert.equal(nearestEnd({ state: 'queued' }, 'rejected'), 'rejected')
  assert.equal(nearestEnd({ state: 'queued' }, 'failed'), 'rejected')
  assert.equal(nearestEnd({ state: 'running' }, 'rejected'), 'failed')
})

test('a commit says what its step was told and what its box allowed, and no secret', () => {
  const step = {
    ...{
      cmd: ['sh', '-c', 'one\ntwo'],
      env: { LIMIT: '5', TOKEN: '{{ MAO_PRIVATE_VARIABLE }}', X: 'pipeline' },
    },
    filter: { tool: 'anon', cmd: null, env: null },
  }
  const run = runOf(step)
  const secrets = new Map([['TOKEN', 'hush']])
  const own = { ...settings, environment: { t: { X: 'kept at home' } } }
  const planned = run.plan[0] as PipelineStep
  const granted = grantedTo({ step: planned, user: '1:1', settings: own, secrets })
  const sha256 = 'a'.repeat(64)
  const inputs = [
    { name: 'x.csv', kind: 'url' as const, source: 'https://a/x', resolved: 'https://b/y', sha256 },
  ]
  const done = { ...(run.steps[0] as Run['steps'][number]), granted, inputs }
  const message = commitMessage(run, done)
  const expected: [string, string | undefined][] = [
    ['Command', '["sh","-c","one\\ntwo"]'],
    ['Environment', '{"LIMIT":"5"}'],
    ['Filter', 'anon'],
    ['Input', `x.csv = url sha256:${sha256} https://a/x -> https://b/y`],
    ['Network', 'none'],
    ['Root', 'read-only'],
    ['User', '1:1'],
    ['Memory-Bytes', String(GIB)],
    ['Cpus', '2'],
    ['Pids', '100'],
    ['Timeout-Ms', '3600000'],
    ['Docker-Socket', undefined],
    ['Secret', 'TOKEN'],
    ['Environment-Override', 'X'],
  ]
  for (const [key, value] of expected) assert.equal(trailerOf(message, key), value, key)
  assert.doesNotMatch(message, /hush|kept at home/)
  const long = runOf({ cmd: ['x'.repeat(100_000)] })
  const many = {
    ...granted,
    environment: Object.fromEntries([...Array(999).keys()].map((n) => [`V${n}`, ''])),
  }
  const bounded = commitMessage(long, { ...(long.steps[0] as Run['steps'][number]), granted: many })
  assert.ok(bounded.length < 8_000, `a message of ${bounded.length} characters`)
})
