import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { engineDoor } from '../support/engine-door.ts'
import { eventually } from '../support/eventually.ts'
import {
  type ExecutionRoom,
  type ExecutionRoomOptions,
  openExecutionRoom,
  SETTINGS,
} from '../support/execution-room.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-limits-'))
  await testImage()
})
after(() => rm(base, { recursive: true, force: true, maxRetries: 3 }))

/** A room with the tool `shell` and a dataset `out`. */
async function roomIn(
  test: TestContext,
  directory: string,
  options: ExecutionRoomOptions = {},
): Promise<ExecutionRoom> {
  const room = await openExecutionRoom(directory, options)
  test.after(async () => {
    await room.stop()
    if (options.socketPath === undefined)
      assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  })
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.datasets.add('out')
  return room
}

async function scripted(
  room: ExecutionRoom,
  name: string,
  script: string,
  env: Record<string, string> | null = null,
) {
  const cmd = ['/bin/sh', '-c', script]
  await room.execution.addPipeline(name, {
    steps: [{ name, tool: 'shell', cmd, env, output_dataset: 'out' }],
  })
}

async function ran(
  room: ExecutionRoom,
  script: string,
  env: Record<string, string> | null = null,
): Promise<Run> {
  await scripted(room, 'work', script, env)
  const { id } = await room.execution.submit('work')
  return withDeadline(room.execution.finished(id), 30_000, 'the run')
}

async function logOf(room: ExecutionRoom, id: string): Promise<string> {
  let text = ''
  for await (const piece of room.execution.logs(id)) text += piece
  return text
}

test('a step that takes too long is timed out, and what it printed is kept', async (t) => {
  const room = await roomIn(t, join(base, 'timeout'), { settings: { stepTimeoutMs: 1_000 } })
  const run = await ran(room, 'echo begun; trap "" TERM; sleep 60')
  assert.equal(run.state, 'timed-out')
  assert.match(run.reason ?? '', /longer than 1 s/)
  assert.equal(run.steps[0]?.exitCode, undefined)
  assert.equal(await logOf(room, run.id), 'begun\n')
  assert.deepEqual(await containersLabelled('mao.run', run.id), [])
})

test('the Docker socket is given to a step only where it asks and the node grants', async (t) => {
  const room = await roomIn(t, join(base, 'socket'), { settings: { dockerSocketGranted: true } })
  const look = '[ -S /var/run/docker.sock ] && [ -w /var/run/docker.sock ] && echo has it || echo has it not'
  const steps = [true, false].map((docker_socket) => {
    const name = docker_socket ? 'asking' : 'silent'
    return { name, tool: 'shell', cmd: ['/bin/sh', '-c', look], docker_socket, output_dataset: 'out' }
  })
  await room.execution.addPipeline('work', { steps })
  const { id } = await room.execution.submit('work')
  const run = await withDeadline(room.execution.finished(id), 30_000, 'the run')
  assert.equal(await logOf(room, id), 'has it\nhas it not\n')
  assert.deepEqual(
    run.steps.map(({ granted }) => granted?.dockerSocket),
    [true, false],
  )
})

/** Passes some time without a new process, which there is no room for. */
const COUNT = 'n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done'

test('a fork bomb is held by its limit, which the run shows', async (t) => {
  const room = await roomIn(t, join(base, 'bomb'), { settings: { pids: 16 } })
  const run = await ran(room, `bomb() { bomb | bomb & }; (bomb) & ${COUNT}; echo still here; exit 5`)
  assert.equal(run.state, 'failed')
  assert.equal(run.steps[0]?.exitCode, 5)
  assert.equal(run.steps[0]?.granted?.pids, 16)
  assert.match(await logOf(room, run.id), /still here/)
})

test('a step that fills the disk is killed at the limit, which the run names', async (t) => {
  const directory = join(base, 'filling')
  const room = await roomIn(t, directory, { settings: { outputBytes: 4 * 1024 ** 2 } })
  const fills = [
    // On and on, until it is stopped.
    'trap "" TERM; while true; do head -c 1000000 /dev/zero >> data/big; sleep 0.05; done',
    // Done before anybody looks.
    'head -c 8000000 /dev/zero > data/big',
    // Large in a commit, though not yet on the disk.
    'truncate -s 1G data/holes',
  ]
  for (const script of fills) {
    const run = await ran(room, script)
    assert.deepEqual([run.state, run.code], ['failed', 'TOO_LARGE'], `${script}: ${run.reason}`)
    assert.match(run.reason ?? '', /more than 4194304 bytes.*execution\.outputBytes/)
    assert.equal(run.steps[0]?.granted?.outputBytes, 4 * 1024 ** 2)
    assert.deepEqual(await containersLabelled('mao.run', run.id), [])
  }
  const repository = await room.datasets.repository('out')
  assert.equal(await repository.resolve('work-alice'), undefined)
  assert.deepEqual(await readdir(join(directory, 'staging')), [])
  assert.equal((await ran(room, 'head -c 1000000 /dev/zero > data/small')).state, 'succeeded')
})

test('without an engine the node starts, tells each run what to do, and stays up', async (t) => {
  const settings = { queue: { ...SETTINGS.queue, engineWaitMs: 100 } }
  const room = await roomIn(t, join(base, 'no-engine'), { socketPath: join(base, 'no.sock'), settings })
  for (const _ of [1, 2]) {
    const run = await ran(room, 'true')
    assert.deepEqual([run.state, run.code], ['errored', 'ENGINE_UNAVAILABLE'])
    assert.match(run.reason ?? '', /the engine local does not answer: .*start Docker/)
    assert.equal(run.steps[0]?.state, 'skipped', 'it waited for an engine and never began')
  }
  await scripted(room, 'work', 'true', { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' })
  await assert.rejects(room.execution.approve('work'), (error) => isNodeError(error, 'ENGINE_UNAVAILABLE'))
})

test('an engine that goes away in the middle ends the run as errored; when it is back, nothing of it is left', async (t) => {
  const door = await engineDoor(t, join(base, 'door.sock'))
  const settings = { retriesMax: 1, retryDelayMs: 10, queue: { ...SETTINGS.queue, engineWaitMs: 100 } }
  const room = await roomIn(t, join(base, 'going'), { socketPath: door.socketPath, settings })
  await scripted(room, 'work', 'echo begun; echo half > data/half; sleep 60')
  const { id } = await room.execution.submit('work')
  await eventually(async () => (await logOf(room, id)) === 'begun\n', 'the tool did not begin')
  await door.shut()
  const run = await withDeadline(room.execution.finished(id), 20_000, 'the run')
  assert.deepEqual([run.state, run.code], ['errored', 'ENGINE_UNAVAILABLE'])
  assert.match(run.reason ?? '', /No container engine answers at .*door\.sock: start Docker/)
  await assert.rejects(room.engine.ping(), (error) => isNodeError(error, 'ENGINE_UNAVAILABLE'))
  assert.equal((await containersLabelled('mao.run', id)).length, 1, 'nobody could remove it')
  await door.open()
  assert.equal((await ran(room, '[ ! -e data/half ]')).state, 'succeeded')
  assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  assert.deepEqual(await readdir(join(base, 'going/staging')), [])
})

test('runs of different branches share the time, runs of one branch take turns', async (t) => {
  const room = await roomIn(t, join(base, 'concurrency'), { settings: { concurrency: 3 } })
  await scripted(room, 'left', 'echo $MAO_RUN_ID >> data/runs; sleep 0.7')
  await scripted(room, 'right', 'sleep 0.7')
  const submitted = []
  for (const name of ['left', 'left', 'right']) submitted.push(await room.execution.submit(name))
  const runs = await Promise.all(
    submitted.map(({ id }) => withDeadline(room.execution.finished(id), 30_000, name(id))),
  )
  const span = (run: Run | undefined) => [run?.steps[0]?.startedMs ?? 0, run?.endedMs ?? 0] as const
  const [first, second, right] = runs.map(span)
  assert.ok(first !== undefined && second !== undefined && right !== undefined)
  assert.ok(second[0] >= first[1], 'the second run of a branch began before the first had ended')
  assert.ok(right[0] < first[1], 'the run of another branch had to wait')
  const repository = await room.datasets.repository('out')
  const [file] = await repository.listFiles(runs[1]?.steps[0]?.outputCommit ?? '')
  const lines = Buffer.from(await repository.readBlob(file?.oid ?? ''))
    .toString()
    .trim()
    .split('\n')
  assert.deepEqual(
    lines,
    submitted.slice(0, 2).map(({ id }) => id),
  )
})

const name = (id: string) => `Run ${id}`

test('a schedule fires at its slots, and goes on after a restart without running a slot twice', async (t) => {
  const directory = join(base, 'schedule')
  const room = await roomIn(t, directory)
  await scripted(room, 'tick', 'echo $MAO_SLOT')
  const view = await room.execution.schedule({ pipeline: 'tick', cron: '*/2 * * * * *' })
  assert.equal((view.nextMs ?? 1) % 2_000, 0)
  const done = (r: ExecutionRoom) => r.execution.runs().filter(({ state }) => state === 'succeeded')
  await eventually(() => done(room).length >= 2, 'the schedule did not fire')
  await room.stop()
  const before = room.execution.runs().length
  const again = await openExecutionRoom(directory)
  t.after(() => again.stop())
  await eventually(() => done(again).length >= before + 1, 'the schedule did not fire after the restart')
  await again.execution.unschedule('tick')
  assert.deepEqual(again.execution.scheduled(), [])
  const slots = again.execution.runs().map(({ trigger }) => (trigger.kind === 'schedule' ? trigger.slot : 0))
  assert.deepEqual(
    slots.filter((slot) => slot % 2_000 !== 0),
    [],
  )
  const repeated = again.execution.runs().filter(({ trigger }) => trigger.kind === 'repeat').length
  assert.equal(new Set(slots).size, slots.length - repeated, `a slot ran twice: ${slots}`)
  for (const run of again.execution.runs().filter(({ state }) => state === 'succeeded')) {
    assert.equal(await logOf(again, run.id), `${run.slot}\n`)
  }
})

test('a schedule whose pipeline is gone makes a run that says so', async (t) => {
  const room = await roomIn(t, join(base, 'gone'))
  await scripted(room, 'gone', 'true')
  await room.execution.schedule({ pipeline: 'gone', cron: '* * * * * *' })
  await room.execution.pipelines.remove('gone')
  await eventually(() => room.execution.runs().some(({ state }) => state === 'rejected'), 'nothing was said')
  await room.execution.unschedule('gone')
  const run = room.execution.runs().find(({ state }) => state === 'rejected')
  assert.equal(run?.code, 'PIPELINE_NOT_FOUND')
  assert.match(run?.reason ?? '', /names the pipeline gone, which is not in the registry/)
})
