import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Run } from '../../src/execution/runs/run.ts'
import { directoryOf, noise } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import {
  type ExecutionRoom,
  type ExecutionRoomOptions,
  openExecutionRoom,
} from '../support/execution-room.ts'
import { smallDisk } from '../support/small-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const MIB = 1024 ** 2

async function opened(
  t: TestContext,
  directory: string,
  options: ExecutionRoomOptions,
  scripts: Record<string, string>,
): Promise<ExecutionRoom> {
  await testImage()
  const room = await openExecutionRoom(directory, options)
  t.after(() => room.stop())
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.datasets.importDirectory('raw', await directoryOf(t, { 'a.txt': 'a\n', 'deep/b.txt': 'b\n' }))
  for (const [name, script] of Object.entries(scripts)) {
    await room.datasets.add(name)
    const step = { name: 'step', tool: 'shell', cmd: ['/bin/sh', '-c', script] }
    await room.execution.addPipeline(name, {
      steps: [{ ...step, input_dataset: 'raw', output_dataset: name }],
    })
  }
  return room
}

async function ended({ execution }: ExecutionRoom, pipeline: string): Promise<Run> {
  const { id } = await execution.submit(pipeline)
  await execution.finished(id)
  return execution.run(id)
}

test('two runs at once read one tree that neither can change, whatever user the tool is', async (t) => {
  const base = await temporaryDirectory(t)
  const script =
    'set -e; cat input/a.txt input/deep/b.txt > data/copy; ! touch input/x; ! rm input/a.txt; sleep 1.5'
  const room = await opened(
    t,
    join(base, 'node'),
    { settings: { concurrency: 2 } },
    { one: script, two: script },
  )
  const { checkouts } = room.datasets.upkeep
  const runs = ['one', 'two'].map((name) => ended(room, name))
  const both = () => room.execution.runs().filter(({ state }) => state === 'running').length === 2
  await eventually(both, 'the two do not run at once', 20_000)
  assert.deepEqual([checkouts.usage().trees, checkouts.usage().inUse], [1, 1])
  assert.equal((await readdir(join(base, 'node/checkouts'))).length, 1)
  for (const run of await Promise.all(runs)) assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual([checkouts.usage().trees, checkouts.usage().inUse], [1, 0])
})

test('a run that writes more than its dataset may take fails and says why; the next that fits succeeds', async (t) => {
  const script = (bytes: number) => `head -c ${bytes} /dev/urandom > data/noise`
  const directory = join(await temporaryDirectory(t), 'node')
  const datasets = { quotaBytes: 2 * MIB, freeBytesMin: 0 }
  const room = await opened(t, directory, { datasets }, { much: script(3 * MIB), little: script(3_000) })
  const run = await ended(room, 'much')
  assert.deepEqual([run.state, run.code], ['failed', 'QUOTA_EXCEEDED'], run.reason)
  assert.match(run.reason ?? '', /of the 2097152 bytes.*datasets\.quotaBytes/)
  assert((await room.datasets.upkeep.usage('much')).bytes < MIB, 'what was refused takes room')
  assert.equal((await ended(room, 'little')).state, 'succeeded')
})

test('on a full disk a run fails with the code and leaves nothing; with room again it succeeds', async (t) => {
  const disk = await smallDisk(t, 64)
  // What is kept free is the store's, which writes down how the run has ended.
  const datasets = { freeBytesMin: 24 * MIB }
  const directory = join(disk.directory, 'node')
  const settings = { retriesMax: 0 }
  const room = await opened(t, directory, { datasets, settings }, { out: 'cp input/a.txt data/' })
  const ballast = join(disk.directory, 'ballast')
  await writeFile(ballast, noise(48 * MIB))
  const run = await ended(room, 'out')
  assert.deepEqual([run.state, run.code], ['errored', 'DISK_FULL'], run.reason)
  assert.match(run.reason ?? '', /datasets\.freeBytesMin/)
  const left = await Promise.all(['staging', 'checkouts'].map((name) => readdir(join(directory, name))))
  assert.deepEqual(left, [[], []])
  await rm(ballast)
  const again = await ended(room, 'out')
  assert.equal(again.state, 'succeeded', again.reason)
})
