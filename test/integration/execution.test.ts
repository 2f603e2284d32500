import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX, containersLabelled, removeImage, tagImage, testImage } from '../support/test-images.ts'

const SOURCE = 'manifests'
const mark = `${process.pid}-${Date.now()}`
let directory: string
let room: ExecutionRoom
let truth: string

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-execution-'))
  await testImage()
  const settings = { environment: { losing: { LOSE: '3', EXTRA: 'yes' } }, memoryBytes: 32 * 1024 ** 2 }
  room = await openExecutionRoom(join(directory, 'node'), { settings })
  const source = join(directory, 'source')
  await mkdir(join(source, 'deep'), { recursive: true })
  await writeFile(join(source, 'one.json'), '{"name":"one"}')
  await writeFile(join(source, 'deep/two.json'), '{"name":"two"}')
  truth = (await room.datasets.importDirectory(SOURCE, source)).truth ?? ''
  await room.datasets.add('empty')
  for (const tool of ['shell', 'losing'])
    await room.execution.addTool(tool, { author: 'tests', image: BUSYBOX })
})
after(async () => {
  await room.stop()
  assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  assert.deepEqual(await readdir(join(directory, 'node/staging')), [])
  await rm(directory, { recursive: true, force: true })
})

interface StepText {
  script: string
  tool?: string
  env?: Record<string, string>
  input?: string | null
  output?: string
  docker_socket?: boolean
}

let count = 0
/** Registers a pipeline of shell scripts, each with its output dataset, under a name of its own. */
async function pipelineOf(...steps: StepText[]): Promise<string> {
  count += 1
  const name = `pipeline-${count}`
  for (const dataset of steps.map((step, index) => step.output ?? `${name}-${index}`)) {
    if (!room.datasets.list().some((known) => known.name === dataset)) await room.datasets.add(dataset)
  }
  await room.execution.addPipeline(name, {
    steps: steps.map((step, index) => ({
      name: `step-${index}`,
      tool: step.tool ?? 'shell',
      cmd: ['/bin/sh', '-c', step.script],
      env: step.env ?? null,
      docker_socket: step.docker_socket ?? false,
      input_dataset: step.input ?? null,
      output_dataset: step.output ?? `${name}-${index}`,
    })),
  })
  return name
}

async function ended(id: string): Promise<Run> {
  return withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
}

async function ran(...steps: StepText[]): Promise<Run> {
  return ended((await room.execution.submit(await pipelineOf(...steps))).id)
}

async function logOf(id: string, step?: string): Promise<string> {
  let text = ''
  for await (const piece of room.execution.logs(id, { step })) text += piece
  return text
}

test('a step reads the ground truth, writes its branch, and the commit says where it came from', async () => {
  const script =
    'cat input/one.json input/deep/two.json | tee data/all.json; echo x > input/x || echo input is read only'
  const run = await ran({ script, input: SOURCE })
  assert.equal(run.state, 'succeeded', run.reason)
  const [step] = run.steps
  assert.ok(step !== undefined)
  assert.deepEqual(
    run.transitions.map(({ state }) => state),
    [...['queued', 'pulling', 'staging', 'running', 'committing', 'succeeded']],
  )
  assert.equal(step.exitCode, 0)
  assert.equal(step.inputCommit, truth)
  assert.equal(step.inputFrom, 'ground-truth')
  assert.equal(step.outputBranch, 'step-0-alice')
  assert.match(step.digest ?? '', /^sha256:/)
  assert.deepEqual(step.granted?.user, '65534:65534')
  assert.equal(step.granted?.network, 'none')
  // Between its two outputs Docker keeps no order, not even that of a line and its end.
  assert.match(await logOf(run.id), /\{"name":"one"\}\{"name":"two"\}/)
  assert.match(await logOf(run.id), /input is read only/)
  const repository = await room.datasets.repository(step.outputDataset)
  assert.equal(await repository.resolve('step-0-alice'), step.outputCommit)
  const { message } = await repository.readCommit(step.outputCommit ?? '')
  for (const trailer of [
    `Run-Id: ${run.id}`,
    'Tool: shell',
    `Image: ${BUSYBOX}`,
    `Image-Digest: ${step.digest}`,
    `Input-Dataset: ${SOURCE}`,
    `Input-Commit: ${truth}`,
    'Step: step-0',
  ]) {
    assert.ok(message.split('\n').includes(trailer), `${trailer} in ${message}`)
  }
  const [file] = await repository.listFiles(step.outputCommit ?? '')
  assert.equal(
    Buffer.from(await repository.readBlob(file?.oid ?? '')).toString(),
    '{"name":"one"}{"name":"two"}',
  )
})

test('a second run finds what the first one wrote, and an idle one makes no commit', async () => {
  const name = await pipelineOf({ script: 'ls data; [ -e data/a ] || echo a > data/a' })
  const first = await ended((await room.execution.submit(name)).id)
  const second = await ended((await room.execution.submit(name)).id)
  assert.equal(await logOf(first.id), '')
  assert.equal(await logOf(second.id), 'a\n')
  assert.equal(first.steps[0]?.outputChanged, true)
  assert.equal(second.steps[0]?.outputChanged, false)
  assert.equal(second.steps[0]?.outputCommit, first.steps[0]?.outputCommit)
})

test('all steps run in order, and a later one reads what an earlier one of the same run made', async () => {
  const run = await ran(
    { script: 'echo made > data/made', output: 'chained' },
    { script: 'cat input/made; cp input/made data/', input: 'chained' },
    { script: 'echo third' },
  )
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(
    run.steps.map(({ state }) => state),
    ['succeeded', 'succeeded', 'succeeded'],
  )
  assert.equal(run.steps[1]?.inputFrom, 'this-run')
  assert.equal(run.steps[1]?.inputCommit, run.steps[0]?.outputCommit)
  assert.equal(await logOf(run.id), 'made\nthird\n')
  assert.equal(await logOf(run.id, 'step-2'), 'third\n')
})

test('a tool that ends with an error fails the run; its code is kept, nothing is committed, the rest is skipped', async () => {
  const run = await ran({ script: 'echo half > data/half; exit 3' }, { script: 'echo never' })
  assert.equal(run.state, 'failed')
  assert.equal(run.steps[0]?.exitCode, 3)
  assert.match(run.reason ?? '', /exit code 3/)
  assert.equal(run.steps[1]?.state, 'skipped')
  const repository = await room.datasets.repository(run.steps[0]?.outputDataset ?? '')
  assert.equal(await repository.resolve('step-0-alice'), undefined)
})

test('a tool beyond its memory is oom-killed', async () => {
  const run = await ran({ script: 'exec tail /dev/zero' })
  assert.equal(run.state, 'oom-killed')
  assert.equal(run.steps[0]?.state, 'oom-killed')
  assert.equal(run.steps[0]?.exitCode, 137)
})

test('a step that is refused says why before anything runs', async () => {
  const socket = await ran({ script: 'true' }, { script: 'true', docker_socket: true })
  assert.equal(socket.state, 'rejected')
  assert.match(socket.reason ?? '', /step-1 asks for the Docker socket/)
  assert.equal(socket.code, 'FORBIDDEN')
  assert.deepEqual(
    socket.steps.map(({ state }) => state),
    ['skipped', 'skipped'],
  )

  const wanting = await pipelineOf({ script: 'true', env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' } })
  await room.execution.approve(wanting)
  const secret = await ended((await room.execution.submit(wanting)).id)
  assert.equal(secret.state, 'rejected')
  assert.match(secret.reason ?? '', /No secret is known for TOKEN/)

  const input = await ran({ script: 'true', input: 'empty' })
  assert.equal(input.state, 'rejected')
  assert.match(input.reason ?? '', /empty has no ground truth yet/)

  const name = await pipelineOf({ script: 'true', tool: 'shell' })
  await room.execution.addTool('gone', { image: BUSYBOX })
  await room.execution.addPipeline(name, { steps: [{ name: 's', tool: 'gone', output_dataset: 'empty' }] })
  await room.execution.tools.remove('gone')
  const tool = await ended((await room.execution.submit(name)).id)
  assert.equal(tool.state, 'rejected')
  assert.equal(tool.code, 'TOOL_NOT_FOUND')
})

test('an image that is nowhere, and a command that is not in it, are failures with a reason', async () => {
  await room.execution.addTool('nowhere', { image: 'mao-test/nowhere:1' })
  const image = await ran({ script: 'true', tool: 'nowhere' })
  assert.deepEqual([image.state, image.code], ['failed', 'IMAGE_NOT_FOUND'])
  assert.match(image.reason ?? '', /mao-test\/nowhere:1 is not on this machine/)
  const name = await pipelineOf({ script: 'true' })
  const steps = [{ name: 's', tool: 'shell', cmd: ['/no/such/program'], output_dataset: 'empty' }]
  await room.execution.addPipeline(name, { steps })
  const command = await ended((await room.execution.submit(name)).id)
  assert.deepEqual([command.state, command.code], ['failed', 'INVALID_INPUT'])
  assert.match(command.reason ?? '', /does not start: .*no such file/)
})

test('a tag that was moved to another image is refused until the owner accepts it', async () => {
  const image = `mao-test/moving-${mark}:1`
  const other = `mao-test/other-${mark}:1`
  await tagImage(BUSYBOX, image)
  await testImage(other, ['ENV OTHER=1'])
  try {
    await room.execution.addTool('moving', { image })
    const first = await ran({ script: 'true', tool: 'moving' })
    assert.equal(first.state, 'succeeded')
    await tagImage(other, image)
    const second = await ran({ script: 'true', tool: 'moving' })
    assert.deepEqual([second.state, second.code], ['rejected', 'IMAGE_MOVED'])
    assert.match(second.reason ?? '', /"maoctl tool accept moving"/)
    await room.execution.acceptImage(image)
    const third = await ran({ script: 'echo $OTHER', tool: 'moving' })
    assert.equal(third.state, 'succeeded')
    assert.notEqual(third.steps[0]?.digest, first.steps[0]?.digest)
  } finally {
    await removeImage(image)
    await removeImage(other)
  }
})

test("an image's own user is kept, unless it is root", async () => {
  const [named, root] = [`mao-test/named-${mark}:1`, `mao-test/root-${mark}:1`]
  await testImage(named, ['USER 1234:1234'])
  await testImage(root, ['USER root'])
  try {
    await room.execution.addTool('named', { image: named })
    await room.execution.addTool('root', { image: root })
    const kept = await ran({ script: 'id -u; echo x > data/x', tool: 'named' })
    assert.equal(await logOf(kept.id), '1234\n')
    const lowered = await ran({
      script: 'id -u; mkdir data/d; echo x > data/d/x; chmod 700 data/d',
      tool: 'root',
    })
    assert.equal(await logOf(lowered.id), '65534\n')
    assert.deepEqual([kept.state, lowered.state], ['succeeded', 'succeeded'])
  } finally {
    await removeImage(named)
    await removeImage(root)
  }
})

test('a tool is told of its run, and what the node changed for it is shown', async () => {
  const script = 'echo $MAO_RUN_ID $MAO_PIPELINE $MAO_STEP $MAO_TOOL $MAO_NODE $MAO_SLOT $LOSE $EXTRA $KEPT'
  const env = { LOSE: '0', KEPT: 'kept', MAO_NODE: 'mallory' }
  const name = await pipelineOf({ script, tool: 'losing', env })
  const { id } = await room.execution.submit(name, { trigger: { kind: 'request', slot: 1_790_000_000_000 } })
  const run = await ended(id)
  assert.equal(await logOf(id), `${id} ${name} step-0 losing alice 1790000000000 3 yes kept\n`)
  assert.deepEqual(run.steps[0]?.granted?.environment, { LOSE: '3', EXTRA: 'yes' })
  const repository = await room.datasets.repository(`${name}-0`)
  const { message } = await repository.readCommit(run.steps[0]?.outputCommit ?? '')
  assert.match(message, /^Environment-Override: LOSE$/m)
})

test('a log is followed live and ends with the run', async () => {
  const name = await pipelineOf(
    { script: 'echo before; while [ ! -e data/go ]; do sleep 0.05; done; echo after; rm data/go' },
    { script: 'echo second step' },
  )
  const { id } = await room.execution.submit(name)
  const heard: string[] = []
  const following = (async () => {
    for await (const piece of room.execution.logs(id, { follow: true })) heard.push(piece)
  })()
  await eventually(
    () => heard.join('') === 'before\n',
    'the first line was not heard while the tool was at work',
  )
  assert.equal(room.execution.run(id).state, 'running')
  await writeFile(join(directory, 'node/staging', `${id}-step-0`, 'data/go'), '')
  await chmod(join(directory, 'node/staging', `${id}-step-0`, 'data/go'), 0o666)
  await withDeadline(following, 20_000, 'following the log')
  assert.equal(heard.join(''), 'before\nafter\nsecond step\n')
})

test('a run at work is cancelled: its container is gone, its log is kept, the node goes on', async () => {
  const name = await pipelineOf({ script: 'echo begun; sleep 60' })
  const { id } = await room.execution.submit(name)
  await eventually(async () => (await logOf(id)) === 'begun\n', 'the tool did not begin')
  const waiting = await room.execution.submit(await pipelineOf({ script: 'true' }))
  assert.equal(room.execution.run(waiting.id).state, 'queued')
  const queued = await room.execution.cancel(waiting.id)
  assert.equal(queued.state, 'cancelled')
  assert.equal(queued.steps[0]?.state, 'skipped')

  const run = await withDeadline(room.execution.cancel(id), 10_000, 'cancelling')
  assert.equal(run.state, 'cancelled')
  assert.equal(await logOf(id), 'begun\n')
  assert.deepEqual(await containersLabelled('mao.run', id), [])
  assert.equal((await room.execution.cancel(id)).state, 'cancelled')
  assert.equal((await ran({ script: 'true' })).state, 'succeeded')
})

test('what failed can be repeated for the same slot, without the steps that are done', async () => {
  const name = await pipelineOf(
    { script: 'echo $MAO_SLOT; [ ! -e data/once ] && echo once > data/once', output: 'repeated' },
    { script: '[ -e data/../input/once ] && exit $CODE', env: { CODE: '4' }, input: 'repeated' },
  )
  const failed = await ended((await room.execution.submit(name)).id)
  assert.deepEqual(
    failed.steps.map(({ state }) => state),
    ['succeeded', 'failed'],
  )
  const again = await ended((await room.execution.repeat(failed.id)).id)
  assert.deepEqual(again.trigger, { kind: 'repeat', of: failed.id })
  assert.equal(again.slot, failed.slot)
  assert.equal(again.steps[0]?.doneBy, failed.id)
  assert.equal(again.steps[1]?.exitCode, 4, 'the second step ran and read the output of the first')
  assert.equal(await logOf(again.id, 'step-0'), `${failed.createdMs}\n`)
})

test('a pipeline that names what does not exist is refused with the list', async () => {
  const steps = [
    { name: 'a', tool: 'shell', input_dataset: 'nope', output_dataset: 'empty' },
    { name: 'b', tool: 'unknown', output_dataset: 'neither' },
  ]
  await assert.rejects(room.execution.addPipeline('bad', { steps }), (error: Error) => {
    assert.ok(isNodeError(error, 'INVALID_INPUT'))
    assert.deepEqual(error.data.missingTools, ['unknown'])
    assert.deepEqual(error.data.missingDatasets, ['nope', 'neither'])
    return true
  })
  await assert.rejects(room.execution.submit('nope'), (error) => isNodeError(error, 'PIPELINE_NOT_FOUND'))
  await assert.rejects(room.execution.schedule({ pipeline: 'nope', cron: '* * * * *' }), (error) =>
    isNodeError(error, 'PIPELINE_NOT_FOUND'),
  )
  assert.throws(
    () => room.execution.run('nope'),
    (error) => isNodeError(error, 'RUN_NOT_FOUND'),
  )
})

test('a spike in the control metric is in the run, and under /notifications/', async () => {
  const script =
    'n=$(ls data | grep -c control); echo $VALUE > data/control-$n.csv; echo {\\"runs\\": $n} > data/insights.json'
  const steps = (VALUE: string) => [
    {
      name: 'measure',
      tool: 'shell',
      cmd: ['/bin/sh', '-c', script],
      env: { VALUE },
      output_dataset: 'measured',
    },
  ]
  await room.datasets.add('measured')
  const reports = []
  for (const value of ['100', '102', '120']) {
    await room.execution.addPipeline('measuring', { steps: steps(value) })
    const run = await ended((await room.execution.submit('measuring')).id)
    assert.equal(run.state, 'succeeded', run.reason)
    reports.push(run.steps[0]?.report)
  }
  assert.deepEqual(
    reports.map((report) => report?.verdict),
    ['too-few-snapshots', 'too-few-snapshots', 'spike'],
  )
  assert.equal(reports[2]?.rollingAverage, 101)
  assert.deepEqual(reports[2]?.problems, [])
  const [notification] = room.execution.spikes.list('shell/')
  assert.equal(notification?.name, `shell/${room.peer}`)
  assert.equal(notification?.value.value, 120)
  const insights = room.registry.get(`/insights/shell/${room.peer}`)
  assert.deepEqual(JSON.parse(Buffer.from(insights?.value ?? []).toString()), { runs: 2 })
})

test('an output against the rules of datasets fails the run, and the branch stays usable', async () => {
  for (const script of [
    'mkdir data/.git; echo x > data/.git/config',
    'mkfifo data/pipe',
    'ln -s /etc/passwd data/link',
  ]) {
    const name = await pipelineOf({
      script: `echo $MAO_RUN_ID >> data/runs; ${script}`,
    })
    const refused = await ended((await room.execution.submit(name)).id)
    assert.deepEqual([refused.state, refused.code], ['failed', 'PATH_UNSAFE'], script)
    assert.equal(refused.steps[0]?.exitCode, 0)
    await room.execution.addPipeline(name, {
      steps: [{ name: 'step-0', tool: 'shell', cmd: ['true'], output_dataset: `${name}-0` }],
    })
    assert.equal((await ended((await room.execution.submit(name)).id)).state, 'succeeded')
  }
})
