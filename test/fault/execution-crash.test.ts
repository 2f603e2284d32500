import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, type TestContext, test } from 'node:test'
import { DURABLE, openDatabase, table } from '../../src/base/database.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { isEnded, type Run, type StepRun } from '../../src/execution/runs/run.ts'
import { spawnProgram } from '../support/child-process.ts'
import { engineDoor } from '../support/engine-door.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom, shelfIn } from '../support/execution-room.ts'
import { assertLawful } from '../support/run-laws.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

const PROCESS = join(import.meta.dirname, '../support/execution-process.ts')

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-crash-'))
  await testImage()
})
after(() => rm(base, { recursive: true, force: true, maxRetries: 3 }))

/** Writes a file named for the slot and refuses to write it twice, as a good tool does. */
const WRITE_ONCE = 'set -e; [ ! -e data/$MAO_SLOT ]; echo $MAO_SLOT > data/$MAO_SLOT; echo written'

async function opened(test: TestContext, directory: string): Promise<ExecutionRoom> {
  const room = await openExecutionRoom(directory)
  test.after(() => room.stop())
  return room
}

/** A room in `directory` with a pipeline of two steps, closed again. */
async function prepare(directory: string, scripts: readonly string[]): Promise<string> {
  const room = await openExecutionRoom(directory)
  await room.execution.addTool('shell', { image: BUSYBOX })
  for (const index of scripts.keys()) await room.datasets.add(`out-${index}`)
  const steps = scripts.map((script, index) => {
    return {
      name: `step-${index}`,
      tool: 'shell',
      cmd: ['/bin/sh', '-c', script],
      output_dataset: `out-${index}`,
    }
  })
  await room.execution.addPipeline('work', { steps })
  await room.stop()
  return room.peer
}

/** Runs the pipeline in a process of its own and kills that process when a line matches. */
async function killAt(directory: string, moment: RegExp): Promise<string> {
  const child = spawn(process.execPath, [PROCESS, directory, 'work'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  try {
    return await withDeadline(
      (async () => {
        for await (const line of createInterface({ input: child.stdout })) {
          if (moment.test(line)) return line.split(' ')[0] ?? ''
        }
        throw new Error(`the process ended before ${moment}`)
      })(),
      30_000,
      `Waiting for ${moment}`,
    )
  } finally {
    child.kill('SIGKILL')
    await gone
  }
}

async function allEnded(room: ExecutionRoom): Promise<Run[]> {
  await eventually(() => room.execution.runs().every(isEnded), 'a run did not end', 30_000)
  return room.execution.runs()
}

/** The commits of a step's branch, newest first. */
async function commitsOf(room: ExecutionRoom, index: number) {
  const repository = await room.datasets.repository(`out-${index}`)
  const head = await repository.resolve(`step-${index}-alice`)
  return head === undefined ? [] : repository.log(head, 10)
}

test('killed in the second step, the run is lost and repeated once, for its slot and without doing anything twice', async (t) => {
  const directory = join(base, 'second')
  const peer = await prepare(directory, [WRITE_ONCE, `sleep 0.3; ${WRITE_ONCE}`])
  const id = await killAt(directory, / running step-1 /)
  const room = await opened(t, directory)
  assert.deepEqual(await containersLabelled('mao.run', id), [], 'a container of the lost run is left')
  const lost = room.execution.run(id)
  assert.equal(lost.state, 'lost')
  assert.match(lost.reason ?? '', /the node ended in the middle/)
  const [, again, ...more] = await allEnded(room)
  assert.deepEqual(more, [])
  assert.equal(again?.slot, lost.slot)
  assert.deepEqual([again?.trigger.kind, again?.steps[0]?.doneBy], ['repeat', id])
  assert.equal(again?.state, 'succeeded', again?.reason)
  assert.deepEqual([(await commitsOf(room, 0)).length, (await commitsOf(room, 1)).length], [1, 1])
  assert.deepEqual(await containersLabelled('mao.node', peer), [])
})

test('a run that was waiting is not lost: it runs after the restart', async (t) => {
  const directory = join(base, 'queued')
  await prepare(directory, ['sleep 0.2'])
  const id = await killAt(directory, / queued /)
  const room = await opened(t, directory)
  const [run, ...more] = await allEnded(room)
  assert.equal(run?.id, id)
  // The process may have begun to pull before the signal reached it: then the run was lost, which is as true.
  if (run?.state === 'lost') assert.equal(more.length, 1)
  else assert.deepEqual([run?.state, more.length], ['succeeded', 0])
})

/** A spike in the control metric, with what it takes to see one. */
const SPIKE =
  'echo 100 > data/control-1.csv; echo 102 > data/control-2.csv; echo 120 > data/control-3.csv; echo {} > data/insights.json'

test('a run that was committed when the node died is complete, and reviewed', async (t) => {
  const directory = join(base, 'committed')
  const peer = await prepare(directory, [`${WRITE_ONCE}; ${SPIKE}`])
  const room = await opened(t, directory)
  const { id } = await room.execution.submit('work')
  await room.execution.finished(id)
  const notified = `/notifications/shell/${peer}`
  for (const key of [notified, `/insights/shell/${peer}`]) await room.registry.delete(key)
  await room.stop()
  // The word that the commit was made, and what was seen in it, are taken back, as if the crash had come just before.
  const database = await openDatabase(directory)
  const runs = table<Run>(database, 'runs')
  const run = (await runs.get(id)) as Run
  const [step] = run.steps
  assert.ok(step !== undefined)
  const { outputCommit, endedMs: _, report, ...committing } = step
  assert.equal(report?.verdict, 'spike')
  const cut: Run = {
    ...run,
    state: 'committing',
    steps: [{ ...committing, state: 'committing' }],
    transitions: run.transitions.slice(0, -1),
  }
  await runs.put(id, cut, DURABLE)
  await database.close()

  const again = await opened(t, directory)
  const found = again.execution.run(id)
  assert.equal(found.state, 'succeeded')
  assert.equal(found.steps[0]?.outputCommit, outputCommit)
  assert.deepEqual(found.steps[0]?.report, report)
  assert.ok(again.registry.get(notified) !== undefined, 'nobody hears of the spike')
  assert.ok(again.registry.get(`/insights/shell/${peer}`) !== undefined, 'the insights are not published')
  assert.equal(again.execution.runs().length, 1)
})

test('a node that is stopped in the middle of a run says so, and repeats the run at its next start', async (t) => {
  const directory = join(base, 'stopped')
  await prepare(directory, ['[ -e data/first ] && exit 0; echo begun; sleep 60'])
  const room = await opened(t, directory)
  const { id } = await room.execution.submit('work')
  await eventually(() => room.execution.run(id).state === 'running', 'the run did not begin')
  await withDeadline(room.stop(), 10_000, 'stopping')
  assert.equal(room.execution.run(id).state, 'lost')
  assert.match(room.execution.run(id).reason ?? '', /the node was stopped/)
  assert.deepEqual(await containersLabelled('mao.run', id), [])
  const again = await opened(t, directory)
  const repeated = again.execution.runs().at(-1)
  assert.deepEqual(repeated?.trigger.kind, 'repeat')
  await again.execution.cancel(repeated?.id ?? '')
})

test('a run whose repetition is lost too is left to a person', async (t) => {
  const directory = join(base, 'twice')
  await prepare(directory, ['sleep 60'])
  for (const _ of [1, 2, 3]) {
    const room = await opened(t, directory)
    if (room.execution.runs().length === 0) await room.execution.submit('work')
    await eventually(
      () => room.execution.runs().every((run) => isEnded(run) || run.state === 'running'),
      'the run did not begin',
    )
    await room.stop()
  }
  const room = await opened(t, directory)
  assert.deepEqual(
    room.execution.runs().map(({ state }) => state),
    ['lost', 'lost'],
  )
  const byHand = await room.execution.repeat(room.execution.runs()[1]?.id ?? '')
  assert.equal((await room.execution.cancel(byHand.id)).state, 'cancelled')
})

test('what was committed and not published when the node died is published, and the chain goes on', async (t) => {
  const directory = join(base, 'unpublished')
  const shelf = join(base, 'shelf')
  await mkdir(shelf)
  const open = async () => {
    const room = await openExecutionRoom(directory, shelfIn(shelf))
    t.after(() => room.stop())
    return room
  }
  const room = await open()
  await room.execution.addTool('shell', { image: BUSYBOX })
  for (const name of ['out-0', 'out-1']) await room.datasets.add(name)
  const step = { tool: 'shell', cmd: ['/bin/sh', '-c', WRITE_ONCE] }
  const first = { name: 'step-0', ...step, output_dataset: 'out-0', publish: ['shelf'] }
  await room.execution.addPipeline('work', {
    steps: [first, { name: 'step-1', ...step, output_dataset: 'out-1' }],
  })
  const { id } = await room.execution.submit('work')
  const run = await withDeadline(room.execution.finished(id), 30_000, 'the run')
  assert.equal(run.state, 'succeeded', run.reason)
  await room.stop()
  // The record is taken back to where the first step had been committed, and nobody had heard of it.
  const database = await openDatabase(directory)
  const [done, next] = run.steps as [StepRun, StepRun]
  const { outputCommit, endedMs: _ended, published, ...committing } = done
  assert.equal(published?.length, 1)
  const { name, tool, outputDataset } = next
  const at = run.transitions.findIndex(({ state }) => state === 'committing')
  const { endedMs: _end, ...rest } = run
  const cut: Run = {
    ...rest,
    state: 'committing',
    steps: [
      { ...committing, state: 'committing' },
      { name, tool, outputDataset, state: 'queued' },
    ],
    transitions: run.transitions.slice(0, at + 1),
  }
  await table<Run>(database, 'runs').put(id, cut, DURABLE)
  await database.close()
  await rm(shelf, { recursive: true })

  // No folder is there: the publication fails, and the run says so and names the commit.
  const second = await open()
  const failed = await withDeadline(second.execution.finished(id), 20_000, 'the run')
  assertLawful(failed)
  assert.deepEqual([failed.state, failed.code], ['errored', 'PUBLISH_FAILED'])
  assert.ok(failed.reason?.startsWith(`the output was committed as ${outputCommit}`), failed.reason)
  await second.stop()

  await mkdir(shelf)
  const again = await openDatabase(directory)
  await table<Run>(again, 'runs').put(id, cut, DURABLE)
  await again.close()
  const third = await open()
  const lost = await withDeadline(third.execution.finished(id), 20_000, 'the run')
  assertLawful(lost)
  assert.equal(lost.state, 'lost', 'its second step has not been done')
  assert.equal(lost.steps[0]?.published?.[0]?.address, published?.[0]?.address)
  assert.equal(lost.steps[0]?.outputCommit, outputCommit)
  const [, repetition] = await allEnded(third)
  assert.equal(repetition?.steps[0]?.doneBy, id)
  assert.equal((await commitsOf(third, 0)).length, 1)
})

for (const side of ['before', 'after'] as const) {
  test(`killed ${side} it is put back into the queue because its engine went away, a run is not forgotten`, async (t) => {
    const directory = join(base, `retry-${side}`)
    const peer = await prepare(directory, ['sleep 60'])
    const door = await engineDoor(t, join(base, `${side}.sock`))
    const child = spawnProgram(t, process.execPath, [PROCESS, directory, 'work'], {
      env: { MAO_TEST_KILL: `${side}:5`, MAO_TEST_SOCKET: door.socketPath },
    })
    await eventually(() => / running step-0/.test(child.stdout()), 'the run did not begin')
    await door.shut()
    assert.match((await child.ended).stdout, /^killed queued$/m)
    assert.equal((await containersLabelled('mao.node', peer)).length, 1, 'nobody could remove it')
    const room = await opened(t, directory)
    const [run, again, ...more] = room.execution.runs()
    assert.ok(run !== undefined)
    assert.deepEqual(more, [])
    if (side === 'before') assert.deepEqual([run.state, again?.trigger.kind], ['lost', 'repeat'])
    else assert.deepEqual([again, run.steps[0]?.retries], [undefined, 1])
    const next = again ?? run
    await eventually(
      () => room.execution.run(next.id).state === 'running',
      'the run was not begun again',
      20_000,
    )
    assert.equal((await containersLabelled('mao.node', peer)).length, 1, 'the first container is left')
    assertLawful(await room.execution.cancel(next.id))
    assert.deepEqual(await containersLabelled('mao.node', peer), [])
  })
}
