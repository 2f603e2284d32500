/**
 * What a step costs beyond its container: a run of one step with a trivial tool, from its submission until its result
 * is committed and announced, against `docker run --rm` of the same command in the same image.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withDeadline } from '../../src/base/wait.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'
import { queueRows } from './execution-queue.ts'
import { scheduleRows } from './execution-schedules.ts'
import { row } from './figures.ts'
import { type Bench, mediansInTurns, secondsOf } from './harness.ts'

const runProgram = promisify(execFile)
const RUN_TIMEOUT_MS = 60_000
const PIPELINE = 'trivial'
/** Something new each time, so that there is something to commit. */
const SOURCE = '/proc/sys/kernel/random/uuid'

export const execution: Bench = {
  about: 'a run of one step, and a queue of them, against docker run --rm; how late schedules fire',
  async run(work) {
    await testImage()
    const room = await openExecutionRoom(join(await work.directory(), 'node'))
    work.after(() => room.stop())
    await preparePipeline(room)
    const ours = () => secondsOf(() => oneRun(room))
    const anchor = () => secondsOf(dockerRun)
    work.say('warming up')
    await ours()
    await anchor()
    work.say('runs of one step')
    const medians = await mediansInTurns(work.size(20, 7), { ours, anchor })
    return [
      row({
        name: 'run of one step, submitted to committed',
        ours: medians.ours * 1_000,
        anchor: medians.anchor * 1_000,
        unit: 'ms',
        aim: '<= 1.10x docker run',
      }),
      ...(await queueRows(work)),
      ...(await scheduleRows(work)),
    ]
  },
}

async function preparePipeline({ execution: room, datasets }: ExecutionRoom): Promise<void> {
  await datasets.add('results')
  await room.addTool('shell', { author: 'bench', image: BUSYBOX })
  const step = {
    name: 'write',
    tool: 'shell',
    cmd: ['/bin/sh', '-c', `cat ${SOURCE} > data/result`],
    env: null,
    docker_socket: false,
    input_dataset: null,
    output_dataset: 'results',
  }
  await room.addPipeline(PIPELINE, { steps: [step] })
}

async function oneRun({ execution: room }: ExecutionRoom): Promise<void> {
  const { id } = await room.submit(PIPELINE)
  const { state, reason, steps } = await withDeadline(room.finished(id), RUN_TIMEOUT_MS, 'A run')
  if (state !== 'succeeded') throw new Error(`The run ${id} ${state}: ${reason}`)
  if (steps[0]?.outputCommit === undefined) throw new Error(`The run ${id} committed nothing`)
}

async function dockerRun(): Promise<void> {
  const command = ['/bin/sh', '-c', `cat ${SOURCE} > /tmp/result`]
  const args = ['run', '--rm', '--network', 'none', BUSYBOX, ...command]
  await runProgram('docker', args, { timeout: RUN_TIMEOUT_MS })
}
