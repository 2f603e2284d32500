import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DatasetView } from '../../src/api/dataset-views.ts'
import type { RoundView, TruthView } from '../../src/api/round-views.ts'
import type { RunView } from '../../src/api/run-views.ts'
import { maoctl, maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

/** Counts the files of its input, says so, and writes the number as a control metric. */
const COUNT =
  'n=$(ls input | wc -l); echo "counted $n files"; echo $n > data/count.csv; echo $n > data/control-1.csv'

const PIPELINE = `
description: counts files
steps:
  - name: count
    tool: shell
    cmd: [sh, -c, '${COUNT}']
    input_dataset: manifests
    output_dataset: counts
`

/** A node with a federation of its own, a dataset, a tool and a pipeline, all made by typed commands. */
async function observatory(t: TestContext, words: readonly string[] = [], more: Record<string, string> = {}) {
  const data = await temporaryDirectory(t)
  const { ready } = await startInstance(t, data, ['--name', 'alice', ...words], more)
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  const input = join(data, 'input')
  await mkdir(input)
  await writeFile(join(input, 'a.json'), '{}')
  await writeFile(join(input, 'b.json'), '{}')
  await tellJson(data, 'dataset', 'import', input, '--name', 'manifests', '--description', 'two files')
  await tellJson(data, 'dataset', 'add', '--name', 'counts')
  await tellJson(data, 'tool', 'add', 'shell', '--image', BUSYBOX, '--description', 'a shell')
  const file = join(data, 'counting.yaml')
  await writeFile(file, PIPELINE)
  await tellJson(data, 'pipeline', 'add', '-f', file)
  return { data, ready, input }
}

test('from a directory to a certified truth by typed commands', { timeout: 240_000 }, async (t) => {
  await testImage()
  const { data } = await observatory(t)

  const people = await maoctl(['--data', data, 'pipeline', 'run', 'counting', '--follow'])
  assert.equal(people.exit, 0, people.stderr)
  assert.match(people.stdout, /counted 2 files/)
  assert.match(people.stdout, /^state: +succeeded$/m)

  const run = await tellJson<RunView>(data, 'pipeline', 'run', 'counting', '--wait')
  assert.equal(run.state, 'succeeded')
  assert.equal(run.steps[0]?.exitCode, 0)
  const logs = await maoctlHere(['--data', data, 'run', 'logs', run.id])
  assert.equal(logs.stdout.includes('counted 2 files'), true)
  const listed = await tellJson<RunView[]>(data, 'run', 'list', '--pipeline', 'counting')
  assert.deepEqual(listed.map(({ id }) => id)[0], run.id)
  assert.match(
    (await maoctlHere(['--data', data, 'run', 'show', run.id])).stdout,
    /count +shell +succeeded +0/,
  )

  const words = ['round', 'open', 'counts', '--step', 'count', '--window', '2s', '--wait']
  const round = await tellJson<RoundView>(data, ...words)
  assert.equal(round.state, 'decided')
  const truth = await tellJson<TruthView>(data, 'dataset', 'truth', 'counts')
  assert.equal(truth.commit, round.commit)
  assert.deepEqual(
    truth.signers.map(({ name }) => name),
    ['alice'],
  )
  assert.deepEqual(
    truth.agreement.map(({ name, agrees }) => [name, agrees]),
    [['alice', true]],
  )
  const verified = await maoctlHere(['--data', data, 'dataset', 'truth', 'counts', '--verify'])
  assert.equal(verified.exit, 0)
  assert.match(verified.stdout, /^The truth of counts holds: [0-9a-f]{40}, signed by alice\.$/m)
  assert.match(
    (await maoctlHere(['--data', data, 'round', 'list'])).stdout,
    new RegExp(`${round.id} +decided +1/1`),
  )
  assert.match((await maoctlHere(['--data', data, 'round', 'show', round.id])).stdout, /alice/)

  const target = join(data, 'clone')
  const cloned = await tellJson<{ truth: string }>(data, 'dataset', 'clone', 'counts', target)
  assert.equal(cloned.truth, truth.commit)
  assert.equal(await readFile(join(target, 'count.csv'), 'utf8'), '2\n')
  const config = await readFile(join(target, '.git/config'), 'utf8')
  const token = (await readFile(join(data, 'api-token'), 'utf8')).trim()
  assert.ok(!config.includes(token), 'the token stays behind in the clone')

  const shown = await tellJson<DatasetView>(data, 'dataset', 'show', 'counts')
  assert.deepEqual(
    shown.branches.map(({ branch }) => branch),
    ['count-alice'],
  )
  assert.match(
    (await maoctlHere(['--data', data, 'dataset', 'list'])).stdout,
    /^counts +shared +[0-9a-f]{10} +1 .*yes: follows all/m,
  )
  assert.match((await maoctlHere(['--data', data, 'dataset', 'log', 'counts'])).stdout, /MAO consensus/)
})

test('a tool that fails ends the command with 8, and the run tells why', { timeout: 120_000 }, async (t) => {
  await testImage()
  const { data } = await observatory(t)
  const file = join(data, 'failing.json')
  const step = {
    name: 'fail',
    tool: 'shell',
    cmd: ['sh', '-c', 'echo oh no; exit 3'],
    output_dataset: 'counts',
  }
  await writeFile(file, JSON.stringify([step]))
  await tellJson(data, 'pipeline', 'add', '-f', file)
  const failed = await maoctl(['--data', data, '--json', 'pipeline', 'run', 'failing', '--wait'])
  assert.equal(failed.exit, 8)
  const run = failed.json<RunView>()
  assert.equal(run.state, 'failed')
  assert.equal(run.steps[0]?.exitCode, 3)
  const again = await maoctlHere(['--data', data, '--json', 'run', 'repeat', run.id, '--wait'])
  assert.equal(again.exit, 8)
  assert.equal(again.json<RunView>().trigger.of, run.id)
  const late = await tellJson<RunView>(data, 'run', 'cancel', run.id)
  assert.equal(late.state, 'failed', 'a run that has ended stays as it is')
})

test('without a Docker engine the node works, and the run says what is missing', {
  timeout: 120_000,
}, async (t) => {
  const { data } = await observatory(t, [], {
    MAO_DOCKER_SOCKET_PATH: '/nonexistent/docker.sock',
    MAO_EXECUTION_QUEUE_ENGINE_WAIT_MS: '0',
  })
  const { exit, stdout } = await maoctlHere([
    '--data',
    data,
    '--json',
    'pipeline',
    'run',
    'counting',
    '--wait',
  ])
  assert.equal(exit, 8)
  const run = JSON.parse(stdout) as RunView
  assert.equal(run.code, 'ENGINE_UNAVAILABLE', run.reason)
  assert.equal((await maoctlHere(['--data', data, 'federation', 'members'])).exit, 0)
})

test('wrong input of every kind is told with its code, and the node stays up', {
  timeout: 240_000,
}, async (t) => {
  const { data } = await observatory(t)
  const refused = async (exit: number, code: string, ...words: string[]): Promise<string> => {
    const ended = await maoctlHere(['--data', data, ...words])
    assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stderr}`)
    assert.equal(ended.stdout, '')
    assert.match(ended.stderr, new RegExp(`^maoctl: .*\\(${code}\\)$`, 'm'), words.join(' '))
    return ended.stderr
  }
  const pipelineOf = async (text: string) => {
    const file = join(data, 'wrong.yaml')
    await writeFile(file, text)
    return file
  }
  await refused(3, 'TOOL_NOT_FOUND', 'tool', 'show', 'absent')
  await refused(3, 'TOOL_NOT_FOUND', '--yes', 'tool', 'remove', 'absent')
  await refused(2, 'INVALID_INPUT', 'tool', 'remove', 'shell')
  await refused(2, 'INVALID_INPUT', 'tool', 'add', 'x', '--image', 'Not An Image')
  await refused(2, 'INVALID_INPUT', 'tool', 'add', 'Not A Name', '--image', BUSYBOX)
  await refused(3, 'DATASET_NOT_FOUND', 'dataset', 'show', 'absent')
  await refused(3, 'DATASET_NOT_FOUND', 'dataset', 'truth', 'absent')
  await refused(3, 'DATASET_NOT_FOUND', 'dataset', 'clone', 'absent', join(data, 'x'))
  await refused(4, 'ALREADY_EXISTS', 'dataset', 'add', '--name', 'counts')
  await refused(4, 'ALREADY_EXISTS', 'dataset', 'import', join(data, 'input'), '--name', 'counts')
  await refused(2, 'INVALID_INPUT', 'dataset', 'import', join(data, 'nowhere'), '--name', 'x')
  await refused(3, 'PIPELINE_NOT_FOUND', 'pipeline', 'run', 'absent')
  await refused(3, 'PIPELINE_NOT_FOUND', 'pipeline', 'schedule', 'absent', '--cron', '0 3 * * *')
  await refused(2, 'INVALID_CRON', 'pipeline', 'schedule', 'counting', '--cron', 'every now and then')
  await refused(3, 'SCHEDULE_NOT_FOUND', 'pipeline', 'unschedule', 'counting')
  await refused(3, 'RUN_NOT_FOUND', 'run', 'show', 'absent')
  await refused(3, 'RUN_NOT_FOUND', 'run', 'logs', '-f', 'absent')
  await refused(3, 'ROUND_NOT_FOUND', 'round', 'show', 'counts/count/1')
  await refused(2, 'INVALID_INPUT', 'round', 'show', 'counts/count/newest')
  await refused(2, 'INVALID_INPUT', 'run', 'list', '--state', 'sleeping')
  await refused(2, 'INVALID_INPUT', 'events', '--types', 'run,weather')
  const invited = await refused(2, 'INVALID_INPUT', 'federation', 'invite', '--expires', '1s')
  assert.match(invited, /^maoctl: lifeMs: an invitation is good for a minute to 90 days/m)
  assert.match(await refused(3, 'TOOL_NOT_FOUND', 'tool', 'show', 'x'), /"maoctl tool list" lists them/)
  await refused(3, 'DATASET_NOT_FOUND', 'round', 'open', 'absent', '--step', 'count')
  await refused(4, 'ALREADY_FEDERATED', 'federation', 'join', 'not-a-token')
  await refused(3, 'NOT_FOUND', 'registry', 'get', '/tools/absent')

  await refused(2, 'INVALID_INPUT', 'pipeline', 'add', '-f', await pipelineOf('steps: [unclosed'))
  const told = await refused(
    2,
    'INVALID_INPUT',
    'pipeline',
    'add',
    '-f',
    await pipelineOf('steps:\n- {name: a, tool: lost-tool, output_dataset: lost-data}\n'),
  )
  assert.match(told, /no tool is named lost-tool; no dataset is named lost-data/)

  assert.equal((await maoctlHere(['--data', data, 'federation', 'members'])).exit, 0)
  await tellJson(data, '--yes', 'tool', 'remove', 'shell')
})

test('a schedule is made, listed with its next time, and taken away', { timeout: 120_000 }, async (t) => {
  const { data } = await observatory(t)
  const words = [
    'pipeline',
    'schedule',
    'counting',
    '--cron',
    '0 3 * * *',
    '--timezone',
    'Europe/Zurich',
    '--round-window',
    '10m',
  ]
  const schedule = await tellJson<{ nextMs: number; round: { windowMs: number } }>(data, ...words)
  assert.ok(schedule.nextMs > Date.now())
  assert.equal(schedule.round.windowMs, 600_000)
  const listed = await maoctlHere(['--data', data, 'pipeline', 'schedules'])
  assert.match(
    listed.stdout,
    /^counting +0 3 \* \* \* +Europe\/Zurich +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +yes +every member +-$/m,
  )
  await tellJson(data, 'pipeline', 'unschedule', 'counting')
  assert.deepEqual(await tellJson(data, 'pipeline', 'schedules'), [])
  assert.match(
    (await maoctlHere(['--data', data, 'pipeline', 'show', 'counting'])).stdout,
    /^count +shell +manifests +counts/m,
  )
  assert.match(
    (await maoctlHere(['--data', data, 'pipeline', 'list'])).stdout,
    /^counting +count +counts files$/m,
  )
  assert.deepEqual(await tellJson(data, 'notification', 'list'), [])
})
