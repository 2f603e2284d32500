import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunView } from '../../src/api/run-views.ts'
import { maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, removeImage, tagImage, testImage } from '../support/test-images.ts'

const PIPELINE = `
name: counting
steps:
  - name: count
    tool: shell
    cmd: [sh, -c, 'ls input | wc -l > data/count.csv']
    env: { PASSWORD: '{{ MAO_PRIVATE_VARIABLE }}', LIMIT: 5 }
    input_dataset: manifests
    output_dataset: counts
  - name: copy
    tool: other
    cmd: [sh, -c, 'cp input/count.csv data/']
    input_dataset: counts
    output_dataset: copies
`

interface Crate {
  '@graph': { '@id': string; '@type': string; [property: string]: unknown }[]
}

test('a run shows what it was given and where it came from, goes out as a crate, and a moved image has a way out', {
  timeout: 240_000,
}, async (t) => {
  const image = `mao-test/accepted-${process.pid}:1`
  const other = `mao-test/replacing-${process.pid}:1`
  await testImage()
  await testImage(other, ['ENV OTHER=1'])
  await tagImage(BUSYBOX, image)
  t.after(async () => {
    await removeImage(image)
    await removeImage(other)
  })
  const data = await temporaryDirectory(t)
  await startInstance(t, data, ['--name', 'alice'], {
    MAO_SECRET_PASSWORD: 'correct-horse',
    MAO_EXECUTION_ENVIRONMENT: '{"shell":{"LIMIT":"7"}}',
  })
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  const input = join(data, 'input')
  await mkdir(input)
  await writeFile(join(input, 'a.json'), '{}')
  await tellJson(data, 'dataset', 'import', input, '--name', 'manifests')
  for (const name of ['counts', 'copies']) await tellJson(data, 'dataset', 'add', '--name', name)
  await tellJson(data, 'tool', 'add', 'shell', '--image', image, '--description', 'a shell')
  await tellJson(data, 'tool', 'add', 'other', '--image', BUSYBOX)
  await writeFile(join(data, 'pipeline.yaml'), PIPELINE)
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'pipeline.yaml'))
  const say = (...words: string[]) => maoctlHere(['--data', data, ...words])

  const asked = JSON.parse((await say('--json', 'pipeline', 'run', 'counting', '--wait')).stdout) as RunView
  assert.deepEqual([asked.state, asked.code], ['rejected', 'FORBIDDEN'])
  const approve = /"maoctl (pipeline approve counting)"/.exec(asked.reason ?? '')?.[1]?.split(' ') ?? []
  assert.match((await say(...approve)).stderr, /count gives PASSWORD to shell, mao-test.*add --yes/s)
  assert.match((await say('--yes', ...approve)).stdout, /^The steps count of counting get what they ask for/)
  assert.equal((await say('pipeline', 'approve', 'absent')).exit, 3)

  const run = await tellJson<RunView>(data, 'pipeline', 'run', 'counting', '--wait')
  assert.equal(run.state, 'succeeded', run.reason)
  const [count, copy] = run.steps
  assert.deepEqual(count?.granted?.environment, { LIMIT: '7' })
  assert.deepEqual(count?.granted?.secrets, ['PASSWORD'])
  assert.deepEqual([count?.inputFrom, copy?.inputFrom], ['ground-truth', 'this-run'])
  assert.equal(run.slot, run.createdMs)
  const shown = await say('run', 'show', run.id)
  assert.match(shown.stdout, new RegExp(`^slot: +.*\\(${run.slot}\\)$`, 'm'))
  assert.match(shown.stdout, /^count +manifests [0-9a-f]{10} \(ground truth\) .*LIMIT=7, secrets: PASSWORD$/m)
  assert.match(shown.stdout, /^copy +counts [0-9a-f]{10} \(this run\) .*network none/m)
  assert.match(shown.stdout, /^\d{4}-\d\d-\d\d [\d:]+Z +succeeded/m)
  assert.doesNotMatch(shown.stdout + JSON.stringify(run), /correct-horse/)

  const file = join(data, 'ro-crate-metadata.json')
  assert.match((await say('run', 'export', run.id, '-o', data)).stdout, /is described in .*ro-crate-metadata/)
  const crate = JSON.parse(await readFile(file, 'utf8')) as Crate
  assert.deepEqual(JSON.parse((await say('run', 'export', run.id)).stdout), crate)
  const byId = new Map(crate['@graph'].map((entity) => [entity['@id'], entity]))
  const made = byId.get(`swh:1:rev:${copy?.outputCommit}`)
  assert.equal(made?.creditText, 'alice', 'the commit is known, and so whose it is')
  assert.equal(byId.get(`#run/${run.id}/count`)?.['@type'], 'CreateAction')
  assert.ok(crate['@graph'].some(({ name, description }) => name === 'shell' && description === 'a shell'))
  assert.doesNotMatch(JSON.stringify(crate), /correct-horse/)
  const again = await say('run', 'export', run.id, '-o', file)
  assert.equal(again.exit, 2)
  assert.match(again.stderr, /add --yes/)
  assert.equal((await say('--yes', 'run', 'export', run.id, '-o', file)).exit, 0)
  assert.match((await say('run', 'export', run.id, '-o', join(data, 'no/where'))).stderr, /cannot be written/)
  assert.equal((await say('run', 'export', 'absent')).exit, 3)

  const research = join(data, 'research')
  const license = 'https://spdx.org/licenses/CC-BY-4.0'
  const workflow = await say(
    'run',
    'export',
    run.id,
    '--format',
    'workflow',
    '--license',
    license,
    '-o',
    research,
  )
  assert.match(workflow.stdout, /is described in .*research\/ro-crate-metadata\.json/)
  assert.match(await readFile(join(research, 'pipeline.yaml'), 'utf8'), /name: counting/)
  const prov = JSON.parse((await say('run', 'export', run.id, '--format', 'prov')).stdout)
  assert.ok(`rev:${copy?.outputCommit}` in prov.entity)
  assert.doesNotMatch(JSON.stringify(prov), /correct-horse/)

  const rerun = await say('run', 'rerun', run.id)
  assert.equal(rerun.exit, 0, rerun.stderr)
  assert.match(rerun.stdout, /came out as .* did, byte for byte/)
  const [, rerunId = ''] = /Run (\S+) came out/.exec(rerun.stdout) ?? []
  assert.equal((await tellJson<{ same: boolean }>(data, 'run', 'compare', rerunId)).same, true)
  assert.match((await say('run', 'compare', run.id)).stderr, /is no rerun/)

  await tagImage(other, image)
  const moved = JSON.parse((await say('--json', 'pipeline', 'run', 'counting', '--wait')).stdout) as RunView
  assert.deepEqual([moved.state, moved.code], ['rejected', 'IMAGE_MOVED'])
  const command = /"maoctl (tool accept shell)"/.exec(moved.reason ?? '')?.[1] ?? ''
  assert.equal((await say('tool', 'accept', 'absent')).exit, 3)
  assert.match((await say(...command.split(' '))).stdout, /The next run of shell on this node takes/)
  const changed = JSON.parse((await say('--json', 'run', 'repeat', moved.id, '--wait')).stdout) as RunView
  assert.match(changed.reason ?? '', /no longer what was approved; .*"maoctl pipeline approve counting"/)
  assert.equal((await say('--yes', ...approve)).exit, 0)
  const repeated = await tellJson<RunView>(data, 'run', 'repeat', moved.id, '--wait')
  assert.equal(repeated.state, 'succeeded', repeated.reason)
  assert.notEqual(repeated.steps[0]?.digest, count?.digest)
})
