/**
 * What the queue makes of many runs: a pipeline of one trivial step, submitted so many times at once, until the last has
 * ended, against a shell that does `docker run --rm` of the same command as often, one after the other; what a
 * submission costs while hundreds wait, against the one durable write that it is; and what is left in memory.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DURABLE, openDatabase, table } from '../../src/base/database.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { bytesKept } from '../support/memory.ts'
import { BUSYBOX } from '../support/test-images.ts'
import { type Row, row } from './figures.ts'
import { secondsOf, type Workplace } from './harness.ts'

const runProgram = promisify(execFile)
const PIPELINE = 'trivial'
const COMMAND = 'cat /proc/sys/kernel/random/uuid'
const MIB = 1024 ** 2
/** Far more than the slowest machine needs for a run, so that a bench that hangs ends. */
const RUN_TIMEOUT_MS = 20_000

export async function queueRows(work: Workplace): Promise<Row[]> {
  const count = work.size(500, 50)
  const room = await openExecutionRoom(join(await work.directory(), 'node'))
  work.after(() => room.stop())
  await prepare(room)
  await drained(room, await submitted(room, 3))
  const half = Math.ceil(count / 4)
  work.say(`a shell that runs ${half} containers`)
  const before = await shellLoop(half)
  const keptBefore = bytesKept()
  work.say(`${count} runs in the queue`)
  let runs: Run[] = []
  const submitSeconds = await secondsOf(async () => {
    runs = await submitted(room, count)
  })
  // A process first grows to the size of its work: flat is what follows.
  const warm = Math.ceil(count / 5)
  const warmSeconds = await secondsOf(() => drained(room, runs.slice(0, warm)))
  const residentWarm = process.memoryUsage.rss()
  const seconds = submitSeconds + warmSeconds + (await secondsOf(() => drained(room, runs.slice(warm))))
  const resident = process.memoryUsage.rss()
  const kept = bytesKept()
  work.say(`a shell that runs ${half} containers`)
  const after = await shellLoop(half)
  const writes = await durableWrites(work, runs)
  return [
    row({
      name: `${count} queued runs, submitted to committed`,
      ours: count / seconds,
      anchor: (2 * half) / (before + after),
      unit: 'runs/s',
      aim: '>= 0.9x a shell loop of docker run',
    }),
    row({
      name: `submitting ${count} runs, one after the other`,
      ours: count / submitSeconds,
      anchor: writes,
      unit: 'per s',
      aim: '>= 0.5x one durable write each',
    }),
    row({
      name: `memory kept after ${count} runs (before)`,
      ours: kept / MIB,
      anchor: keptBefore / MIB,
      unit: 'MiB',
      aim: '<= 1.2x: flat but for the records',
    }),
    row({
      name: `resident memory after ${count} runs (after ${warm})`,
      ours: resident / MIB,
      anchor: residentWarm / MIB,
      unit: 'MiB',
      aim: '<= 1.2x',
    }),
  ]
}

async function prepare({ execution, datasets }: ExecutionRoom): Promise<void> {
  await datasets.add('results')
  await execution.addTool('shell', { author: 'bench', image: BUSYBOX })
  const step = {
    ...{ name: 'write', tool: 'shell', cmd: ['/bin/sh', '-c', `${COMMAND} > data/result`] },
    output_dataset: 'results',
  }
  await execution.addPipeline(PIPELINE, { steps: [step] })
}

async function submitted({ execution }: ExecutionRoom, count: number): Promise<Run[]> {
  const runs: Run[] = []
  for (let index = 0; index < count; index += 1) runs.push(await execution.submit(PIPELINE))
  return runs
}

async function drained({ execution }: ExecutionRoom, runs: readonly Run[]): Promise<void> {
  for (const { id } of runs) {
    const { state, reason } = await execution.finished(id, AbortSignal.timeout(RUN_TIMEOUT_MS))
    if (state !== 'succeeded') throw new Error(`The run ${id} ${state}: ${reason}`)
  }
}

/** @returns seconds. */
async function shellLoop(count: number): Promise<number> {
  const one = `docker run --rm --network none ${BUSYBOX} /bin/sh -c '${COMMAND} > /tmp/result'`
  const script = `set -e; for i in $(seq ${count}); do ${one}; done`
  return secondsOf(() => runProgram('/bin/sh', ['-c', script], { timeout: count * RUN_TIMEOUT_MS }))
}

/** @returns writes of such records per second, each on the disk before the next. */
async function durableWrites(work: Workplace, runs: readonly Run[]): Promise<number> {
  const database = await openDatabase(await work.directory())
  const records = table<Run>(database, 'runs')
  const seconds = await secondsOf(async () => {
    for (const run of runs) await records.batch([{ type: 'put', key: run.id, value: run }], DURABLE)
  })
  await database.close()
  return runs.length / seconds
}
