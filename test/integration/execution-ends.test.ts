import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { withDeadline } from '../../src/base/wait.ts'
import { type EndState, isEnded, type Run, type RunState } from '../../src/execution/runs/run.ts'
import { type EngineDoor, engineDoor } from '../support/engine-door.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { assertLawful } from '../support/run-laws.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

const SETTINGS = { retriesMax: 1, retryDelayMs: 300 }

const docker = (...args: string[]) => promisify(execFile)('docker', args)

let directory: string
let room: ExecutionRoom
let door: EngineDoor
const closing: (() => Promise<void>)[] = []
before(async () => {
  await testImage()
  directory = await mkdtemp(join(tmpdir(), 'mao-ends-'))
  door = await engineDoor(
    { after: (close) => closing.push(close as () => Promise<void>) },
    join(directory, 'd.sock'),
  )
  room = await opened()
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.datasets.add('out')
})
after(async () => {
  await room.stop()
  for (const close of closing) await close()
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
})

function opened(): Promise<ExecutionRoom> {
  return openExecutionRoom(join(directory, 'node'), { settings: SETTINGS, socketPath: door.socketPath })
}

type More = { docker_socket?: boolean; timeoutMs?: number; filter?: { tool: string; cmd: string[] } }

async function submitted(scripts: readonly string[], more: More = {}): Promise<string> {
  const steps = scripts.map((script, index) => {
    const cmd = ['/bin/sh', '-c', script]
    return { name: `s${index}`, tool: 'shell', cmd, output_dataset: 'out', ...more }
  })
  await room.execution.addPipeline('work', { steps })
  return (await room.execution.submit('work')).id
}

/** The run once it has ended, lawfully and with nothing left of it. */
async function ended(id: string): Promise<Run> {
  const run = await withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
  assertLawful(run)
  assert.deepEqual(await containersLabelled('mao.run', id), [])
  return run
}

const HOG = 'x=a; while true; do x=$x$x$x; done'

const ENDS: [EndState, string, More, (run: Run) => void][] = [
  ['succeeded', 'echo 1 > data/one', {}, (run) => assert.equal(run.steps[0]?.exitCode, 0)],
  ['failed', 'exit 3', {}, (run) => assert.equal(run.steps[0]?.exitCode, 3)],
  ['oom-killed', HOG, {}, (run) => assert.match(run.reason ?? '', /memory limit/)],
  ['timed-out', 'sleep 60', { timeoutMs: 1_000 }, (run) => assert.match(run.reason ?? '', /longer than 1 s/)],
  ['rejected', 'true', { docker_socket: true }, (run) => assert.equal(run.code, 'FORBIDDEN')],
]

for (const [state, script, more, check] of ENDS) {
  test(`a run ends as ${state}, is told so, and is not tried again`, async () => {
    const run = await ended(await submitted([script], more))
    assert.equal(run.state, state, run.reason)
    assert.equal(run.steps[0]?.retries, undefined)
    check(run)
  })
}

test('a run ends as errored when the engine goes on failing it, after as many tries as are allowed', async () => {
  const id = await submitted(['sleep 60'])
  await eventually(() => room.execution.run(id).state === 'running', 'the tool did not begin')
  await door.shut()
  await eventually(() => room.execution.run(id).state === 'queued', 'the run was not put back')
  assert.ok((room.execution.run(id).notBeforeMs ?? 0) > Date.now() - 10_000)
  // As if the engine had made another one after nobody waited for its answer any more: the name is taken.
  const [first] = await containersLabelled('mao.run', id)
  await docker('rm', '--force', first as string)
  await docker('create', '--name', `mao-${id}-s0`, '--label', `mao.run=${id}`, BUSYBOX, 'true')
  await door.open()
  await eventually(() => room.execution.run(id).state === 'running', 'the run was not tried again')
  assert.equal((await containersLabelled('mao.run', id)).length, 1, 'the container of the first try is left')
  await door.shut()
  const run = await withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
  assertLawful(run)
  assert.deepEqual([run.state, run.code, run.steps[0]?.retries], ['errored', 'ENGINE_UNAVAILABLE', 1])
  assert.match(
    run.transitions.find(({ state, step }) => state === 'queued' && step)?.reason ?? '',
    /1 of 1.*No container engine/,
  )
  await door.open()
  assert.equal((await ended(await submitted(['true']))).state, 'succeeded')
  assert.deepEqual(await containersLabelled('mao.run', id), [])
})

/** Cancels the run as soon as that state is stored, before anything of it has taken effect. */
async function cancelledIn(state: RunState, scripts: readonly string[]): Promise<Run> {
  const cancels: Promise<Run>[] = []
  const stop = room.execution.onRun((run) => {
    if (run.state === state && cancels.length === 0) cancels.push(room.execution.cancel(run.id))
  })
  try {
    const id = await submitted(scripts, { filter: { tool: 'shell', cmd: ['true'] } })
    await eventually(() => cancels.length === 1 || isEnded(room.execution.run(id)), `no run came to ${state}`)
    const run = await ended(id)
    const [answer] = await withDeadline(Promise.all(cancels), 10_000, 'cancelling')
    assert.equal(answer?.state, run.state)
    return run
  } finally {
    stop()
  }
}

for (const state of ['queued', 'pulling', 'staging', 'running', 'filtering'] as const) {
  test(`a run that is ${state} is cancelled`, async () => {
    const run = await cancelledIn(state, ['true', 'true'])
    assert.deepEqual([run.state, run.code], ['cancelled', 'CANCELLED'])
    const first = state === 'queued' ? 'skipped' : 'cancelled'
    assert.deepEqual(
      run.steps.map((step) => step.state),
      [first, 'skipped'],
    )
    assert.equal(run.transitions.filter((transition) => transition.state === state).length, 1)
  })
}

test('what is being committed is committed: the step is done, and the next one does not begin', async () => {
  const run = await cancelledIn('committing', ['true', 'true'])
  assert.equal(run.state, 'cancelled')
  assert.deepEqual(
    run.steps.map(({ state }) => state),
    ['succeeded', 'skipped'],
  )
  assert.equal((await cancelledIn('committing', ['true'])).state, 'succeeded', 'nothing was left to cancel')
})

test('a run that waits to be tried again is cancelled', async () => {
  const id = await submitted(['sleep 60'])
  await eventually(() => room.execution.run(id).state === 'running', 'the tool did not begin')
  await door.shut()
  await eventually(() => room.execution.run(id).state === 'queued', 'the run was not put back')
  const run = await withDeadline(room.execution.cancel(id), 10_000, 'cancelling')
  assertLawful(run)
  assert.deepEqual([run.state, run.steps[0]?.state], ['cancelled', 'skipped'])
  assert.deepEqual(await room.execution.cancel(id), run, 'cancelled twice')
  await door.open()
})

test('a run ends as lost when the node does, is repeated once, and nothing is left of it', async () => {
  const id = await submitted(['[ -e data/lost ] || { echo > data/lost; sleep 60; }'])
  await eventually(() => room.execution.run(id).state === 'running', 'the tool did not begin')
  await withDeadline(room.stop(), 20_000, 'stopping')
  room = await opened()
  const lost = room.execution.run(id)
  assertLawful(lost)
  assert.equal(lost.state, 'lost')
  const again = room.execution.runs().at(-1)
  assert.deepEqual(again?.trigger, { kind: 'repeat', of: id })
  await room.execution.cancel(again?.id ?? '')
  await ended(again?.id ?? '')
  assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  assert.deepEqual(await readdir(join(directory, 'node/staging')), [])
})
