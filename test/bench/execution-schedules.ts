/**
 * How late a slot is begun: from the slot until its run is on the disk, for many schedules that all fire every second
 * while containers are at work, against as many jobs of croner alone in the same process that write a line as durably.
 */
import { join } from 'node:path'
import { Cron } from 'croner'
import { DURABLE, openDatabase, table } from '../../src/base/database.ts'
import { openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX } from '../support/test-images.ts'
import { percentile, type Row, row } from './figures.ts'
import type { Workplace } from './harness.ts'

const SCHEDULES = 20
const RULE = '* * * * * *'

export async function scheduleRows(work: Workplace): Promise<Row[]> {
  const directory = await work.directory()
  const room = await openExecutionRoom(join(directory, 'node'))
  work.after(() => room.stop())
  const { execution, datasets } = room
  await datasets.add('scheduled')
  await execution.addTool('shell', { author: 'bench', image: BUSYBOX })
  const step = {
    name: 'work',
    tool: 'shell',
    cmd: ['/bin/sh', '-c', 'sleep 0.2'],
    output_dataset: 'scheduled',
  }
  // One that runs containers all the time, and many whose runs are told and end at once.
  await execution.addPipeline('load', { steps: [step] })
  const names = Array.from({ length: SCHEDULES }, (_, index) => `timed-${index}`)
  for (const pipeline of ['load', ...names]) {
    if (pipeline !== 'load') await execution.addPipeline(pipeline, { steps: [step] })
    await execution.schedule({ pipeline, cron: RULE })
    if (pipeline !== 'load') await execution.pipelines.remove(pipeline)
  }
  const ours = new Map<string, number>()
  execution.onRun(({ id, pipeline, slot }) => {
    if (pipeline !== 'load' && !ours.has(id)) ours.set(id, Date.now() - slot)
  })
  const anchor: number[] = []
  const database = await openDatabase(join(directory, 'anchor'))
  work.after(() => database.close())
  const notes = table<object>(database, 'notes')
  const jobs = names.map((name) => {
    const job = new Cron(RULE, async () => {
      const slot = Math.round(Date.now() / 1_000) * 1_000
      await notes.put(`${slot} ${name}`, { name, slot, state: 'rejected', steps: [step] }, DURABLE)
      anchor.push(Date.now() - slot)
    })
    return job
  })
  work.after(() => {
    for (const job of jobs) job.stop()
  })
  work.say(`${SCHEDULES} schedules that fire every second`)
  await new Promise((resolve) => setTimeout(resolve, work.size(30_000, 6_000)))
  const offsets = [...ours.values()]
  return [0.5, 0.99].map((share) =>
    row({
      name: `schedule firing offset p${share * 100}, ${SCHEDULES} schedules a second under load`,
      ours: percentile(offsets, share),
      anchor: percentile(anchor, share),
      unit: 'ms',
      aim: 'p99 < 1 s',
    }),
  )
}
