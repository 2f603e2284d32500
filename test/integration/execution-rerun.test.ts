/** Doing runs again on the real engine: what is a function of its inputs comes out alike, what is not is found out. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { RunComparison } from '../../src/execution/lineage/comparison.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX, removeImage, tagImage, testImage } from '../support/test-images.ts'

let directory: string
let room: ExecutionRoom

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-test-'))
  await testImage()
  const environment = { MAO_SECRET_TOKEN: 'correct-horse' }
  room = await openExecutionRoom(join(directory, 'node'), { environment })
  for (const dataset of ['found', 'verdict', 'dice']) await room.datasets.add(dataset)
  await room.execution.addTool('shell', { author: 'tests', image: BUSYBOX })
})
after(async () => {
  await room.stop()
  await rm(directory, { recursive: true, force: true })
})

const step = (name: string, script: string, fields: Record<string, unknown> = {}) => ({
  ...{ name, tool: 'shell', cmd: ['/bin/sh', '-c', script], output_dataset: name },
  ...fields,
})

async function ended(run: Run): Promise<Run> {
  return withDeadline(room.execution.finished(run.id), 30_000, `Run ${run.id}`)
}

async function again(id: string): Promise<{ run: Run; comparison: RunComparison }> {
  const run = await ended(await room.execution.lineage.rerun(id))
  return { run, comparison: await room.execution.lineage.compare(run.id) }
}

const headOf = async (dataset: string) =>
  (await room.datasets.repository(dataset)).resolve(`${dataset}-alice`)

test('a chain of steps comes out byte for byte, and no branch has moved for it', async () => {
  // A new file for each slot beside those before, as tools do; the second step reads what the first made.
  // Counted before the file is opened: a shell that did both at once would throw dice, and a rerun would find it out.
  const collect = 'n=$(ls data | wc -l); echo $n $MAO_RUN_ID $MAO_NODE > data/$MAO_SLOT.txt'
  await room.execution.addPipeline('chain', {
    steps: [
      step('found', collect),
      step('verdict', 'cat input/* | sha256sum > data/sum', { input_dataset: 'found' }),
    ],
  })
  const first = await ended(await room.execution.submit('chain'))
  assert.equal(first.state, 'succeeded', first.reason)
  const second = await ended(await room.execution.submit('chain'))
  assert.equal(second.state, 'succeeded', second.reason)
  const heads = [await headOf('found'), await headOf('verdict')]

  // The first one, although a later run has written the same branches since.
  const { run, comparison } = await again(first.id)
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(
    comparison.steps.map(({ same, changes }) => [same, changes]),
    [
      [true, []],
      [true, []],
    ],
  )
  assert.equal(comparison.same, true)
  assert.deepEqual([await headOf('found'), await headOf('verdict')], heads)
  assert.ok(room.execution.commitsOf('found').includes(run.steps[0]?.outputCommit ?? 'none'))
  await assert.rejects(room.execution.lineage.rerun(run.id), (error) => isNodeError(error, 'CONFLICT'))
})

test('a tool that throws dice is found out, file by file', async () => {
  await room.execution.addPipeline('dice', {
    steps: [step('dice', 'cat /proc/sys/kernel/random/uuid > data/thrown; echo fixed > data/fixed')],
  })
  const first = await ended(await room.execution.submit('dice'))
  const { comparison } = await again(first.id)
  assert.equal(comparison.same, false)
  assert.deepEqual(comparison.steps[0]?.changes, [{ path: 'thrown', change: 'changed' }])
})

test('a tag that has moved since does not matter: the image is the one that ran', async (t) => {
  const image = `mao-test/moving:${process.pid}`
  const other = `mao-test/moved:${process.pid}`
  t.after(async () => {
    await removeImage(image)
    await removeImage(other)
  })
  await tagImage(BUSYBOX, image)
  await room.execution.addTool('moving', { author: 'tests', image })
  await room.execution.addPipeline('moving', {
    steps: [step('dice', 'echo "$OTHER" > data/other', { tool: 'moving' })],
  })
  const first = await ended(await room.execution.submit('moving'))
  assert.equal(first.state, 'succeeded', first.reason)
  await tagImage(await testImage(other, ['ENV OTHER=1']), image)
  await room.execution.acceptImage(image)
  const { run, comparison } = await again(first.id)
  assert.equal(run.steps[0]?.digest, first.steps[0]?.digest)
  assert.equal(comparison.same, true)
})

test('a step with a secret and further inputs is run again under the approval that it has', async () => {
  const fields = {
    env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' },
    inputs: [{ text: 'n=3' }, { dataset: 'found' }],
  }
  const from = await headOf('found')
  assert.ok(from !== undefined)
  await room.execution.addPipeline('sealed', { steps: [step('dice', 'ls -R inputs > data/seen', fields)] })
  await room.execution.approve('sealed')
  const named = { inputCommits: { found: from } }
  const first = await ended(await room.execution.submit('sealed', named))
  assert.equal(first.state, 'succeeded', first.reason)
  const { run, comparison } = await again(first.id)
  assert.equal(run.state, 'succeeded', run.reason)
  assert.equal(comparison.same, true)
  assert.ok(room.execution.commitsOf('found').includes(from))
})

test('a run does not put its output over what came onto its branch while it was at work', async () => {
  const wait = 'until test -f data/go; do sleep 0.05; done; rm data/go; echo made > data/made'
  await room.execution.addPipeline('slow', { steps: [step('dice', wait)] })
  const run = await room.execution.submit('slow')
  await eventually(() => room.execution.run(run.id).state === 'running', 'it did not begin')
  const pushed = join(directory, 'pushed')
  await mkdir(pushed)
  await writeFile(join(pushed, 'by-hand'), 'kept')
  const message = 'by hand'
  const { commit } = await room.datasets.commitDirectory({
    dataset: 'dice',
    step: 'dice',
    directory: pushed,
    message,
  })
  await writeFile(join(directory, 'node/staging', `${run.id}-dice`, 'data/go'), '')
  const { state, code, reason } = await ended(run)
  assert.deepEqual([state, code], ['errored', 'CONFLICT'], reason)
  assert.match(reason ?? '', /has moved from .* to .* meanwhile.*run it again/)
  assert.equal(await headOf('dice'), commit)
})
