import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTestApi } from '../support/api.ts'
import { askAsEver, MAO_PIPELINES_FILE, MAO_TOOL_FILE, type Question } from '../support/mao-client.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'
import { testImage } from '../support/test-images.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const TOOL =
  '{"author": "\\u00d6rlikon Group", "image": "mao-test/busybox:1", "data_repo": "git@git.example.org:group/skan-data.git", "code_repo": "https://git.example.org/group/skan", "artefact": ""}'

test("the predecessor's client finds every route as it was", { timeout: 120_000 }, async (t) => {
  const [{ node, url, token }] = await Promise.all([startTestApi(t, 'alice'), testImage()])
  await node.createFederation({ name: 'lab' })
  const ask = <const Q extends readonly Question[]>(...questions: Q) => askAsEver(url, token, questions)
  const tool: unknown = JSON.parse(await readFile(MAO_TOOL_FILE, 'utf8'))
  const [first, second] = JSON.parse(await readFile(MAO_PIPELINES_FILE, 'utf8'))

  const [hello, none, added, tools, shown, missing, gone] = await ask(
    ['GET', '/'],
    ['GET', '/registry/tools'],
    ['POST', '/registry/tools', tool, 'twice'],
    ['GET', '/registry/tools'],
    ['GET', '/registry/tools/skan', null, 'twice'],
    ['GET', '/registry/tools/nobody'],
    ['DELETE', '/registry/tools/nobody'],
  )
  assert.deepEqual([hello.text, hello.type], ['"hello"', JSON_TYPE])
  assert.deepEqual([none.text, tools.text], ['[]', '["skan"]'])
  // A string that holds JSON, to the byte: whoever cuts it with a shell finds what was always there.
  assert.equal(added.text, JSON.stringify(TOOL))
  assert.equal(shown.text, added.text)
  assert.equal((shown.value as { author: string }).author, 'Örlikon Group')
  for (const told of [missing, gone]) {
    assert.deepEqual([told.status, told.value, told.type], [404, 'Tool not found', JSON_TYPE])
  }

  const git = 'git@git.example.org:group/manifests.git'
  const [bare, again] = await ask(
    ['POST', '/bare-repo/init', { name: 'own' }],
    ['POST', '/bare-repo/init', { name: 'own' }],
  )
  const { path } = bare.value as { path: string }
  assert.equal((await readFile(`${path}/HEAD`, 'utf8')).slice(0, 5), 'ref: ')
  assert.deepEqual(again.value, { path })
  const [misnamed] = await ask([
    'POST',
    '/registry/datasets',
    { name: 'alpha', body: { master: path, nodes: [] } },
  ])
  // It would be another repository than the one that the path names.
  assert.deepEqual([misnamed.status, node.federation.datasets.list().length], [400, 1], misnamed.text)
  assert.match(misnamed.text, /bare-repo\/init.*alpha/)
  const [named, remote, stranger, datasets, unknown] = await ask(
    ['POST', '/registry/datasets', { name: 'own', body: { master: path, nodes: [] } }, 'twice'],
    ['POST', '/registry/datasets', { name: 'manifests', body: { master: git, nodes: [] } }, 'text'],
    ['POST', '/registry/datasets', { name: 'else', body: { master: '/etc', nodes: [] } }],
    ['GET', '/registry/datasets'],
    ['GET', '/registry/datasets/nobody'],
  )
  assert.deepEqual(named.value, { master: path, nodes: [] })
  assert.equal(remote.text, JSON.stringify(`{"master": "${git}", "nodes": []}`))
  assert.equal(stranger.status, 400)
  assert.deepEqual(datasets.value, ['manifests', 'own'])
  assert.deepEqual([unknown.status, unknown.value], [404, 'Dataset not found'])
  assert.equal((await node.federation.datasets.show('own')).policy, 'local-only')

  const [refused, absent] = await ask(
    ['POST', '/pipeline/init', { ...first, steps: [{ ...first.steps[0], tool: 'nobody' }] }],
    ['GET', '/registry/pipelines/demo-pipeline-1'],
  )
  const errors = { missing_tools: ['nobody'], missing_datasets: ['mao-demo-dataset'] }
  assert.equal(refused.status, 400)
  assert.deepEqual(refused.value, { name: 'demo-pipeline-1', steps: [], ok: false, errors })
  assert.deepEqual([absent.status, absent.text], [404, '{"error": "Pipeline not found in registry"}'])

  await node.federation.datasets.add('mao-demo-dataset')
  const [made, secret, all, placed, ran, stray] = await ask(
    ['POST', '/pipeline/init', first],
    ['POST', '/pipeline/init', second],
    ['GET', '/pipeline'],
    ['GET', '/registry/pipelines/demo-pipeline-2'],
    ['POST', '/pipeline/run', { name: 'demo-pipeline-1', cron: null }],
    ['POST', '/pipeline/run', { name: 'nobody' }],
  )
  assert.deepEqual(made.value, { name: first.name, steps: first.steps, ok: true }, made.text)
  assert.deepEqual(secret.value, { name: second.name, steps: second.steps, ok: true })
  assert.deepEqual(all.value, [
    { name: first.name, steps: first.steps },
    { name: second.name, steps: second.steps },
  ])
  assert.deepEqual(placed.value, [
    {
      ...second.steps[0],
      input_dataset: { name: 'mao-demo-dataset', branch: 'ground-truth' },
      output_dataset: { name: 'mao-demo-dataset', branch: 'private-alice' },
    },
  ])
  // Both steps, where the predecessor stopped after the first.
  assert.deepEqual(ran.value, { pipeline: first.name, output: 'acquired\nassessed\n' }, ran.text)
  assert.deepEqual([stray.status, stray.value], [404, { error: 'Pipeline not found in registry' }])

  const [branches, insights, below, wholes] = await ask(
    ['GET', '/registry/datasets/mao-demo-dataset', null, 'twice'],
    ['POST', '/read', { key: 'insights/skan' }],
    ['POST', '/inspect', { key: '/insights/skan' }],
    ['GET', '/api/v1/insights/skan'],
  )
  const master = `${url}/git/mao-demo-dataset.git`
  assert.deepEqual(branches.value, { master, nodes: ['acquisition-alice', 'assessment-alice'] })
  assert.deepEqual(insights.value, { found: 1 }, insights.text)
  assert.deepEqual(below.value, { [`/insights/skan/${node.peerId}`]: '{"found":1}' })
  assert.deepEqual((wholes.value as { value: unknown; node: string }[])[0]?.value, { found: 1 })

  const [job, jobs, stopped, empty, twice, dropped] = await ask(
    ['POST', '/pipeline/run', { name: 'demo-pipeline-1', cron: '0 3 1 1 *' }],
    ['GET', '/jobs'],
    ['DELETE', '/jobs/demo-pipeline-1'],
    ['GET', '/jobs'],
    ['DELETE', '/jobs/demo-pipeline-1'],
    ['DELETE', '/registry/datasets/manifests'],
  )
  assert.deepEqual(job.value, { pipeline: 'demo-pipeline-1', job_id: 'demo-pipeline-1' })
  const [[id, next]] = Object.entries(jobs.value as Record<string, string>) as [[string, string]]
  assert.equal(id, 'demo-pipeline-1')
  assert.match(next, /^\d{4}-01-01 03:00:00\+00:00$/)
  assert.deepEqual([stopped.text, empty.text], ['"Unscheduled demo-pipeline-1"', '{}'])
  assert.equal(twice.status, 404)
  assert.equal(dropped.value, 'Successfully deleted datasets/manifests')

  const [invalid, slash, cleared] = await ask(
    ['POST', '/registry/tools', { name: 'lame' }],
    ['GET', '/registry/tools/'],
    ['DELETE', '/registry/tools/skan'],
  )
  assert.deepEqual(
    [invalid.status, invalid.value],
    [422, { detail: [{ loc: ['body', 'image'], msg: 'field required', type: 'value_error.missing' }] }],
  )
  assert.deepEqual(slash.value, ['skan'])
  assert.equal(cleared.text, '"Successfully deleted tools/skan"')
})

test("the predecessor's files are taken as they are", async (t) => {
  const { node } = await startTestApi(t, 'alice')
  await node.createFederation({ name: 'lab' })
  await node.federation.datasets.add('mao-demo-dataset')
  const data = node.config.dataDirectory

  const tool = await tellJson<{ name: string; value: object }>(data, 'tool', 'add', '-f', MAO_TOOL_FILE)
  const { name, artefact, ...said } = JSON.parse(await readFile(MAO_TOOL_FILE, 'utf8'))
  assert.deepEqual([artefact, tool.name, tool.value], [null, name, said])
  const list = join(data, 'tools.json')
  await writeFile(
    list,
    JSON.stringify([
      { name, ...said },
      { ...said, name: 'other' },
    ]),
  )
  const tools = await tellJson<{ name: string }[]>(data, 'tool', 'add', '-f', list)
  assert.deepEqual(
    tools.map((each) => each.name),
    [name, 'other'],
  )

  const added = await tellJson<{ name: string }[]>(data, 'pipeline', 'add', '-f', MAO_PIPELINES_FILE)
  assert.deepEqual(
    added.map((each) => each.name),
    ['demo-pipeline-1', 'demo-pipeline-2'],
  )
  const secret = node.federation.execution.pipelines.get('demo-pipeline-2')?.value.steps[0]
  assert.deepEqual(secret?.env, { GITHUB_TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' })
  assert.deepEqual([secret?.cmd, secret?.docker_socket], [null, true])

  await node.federation.registry.put(`/insights/${name}/${node.peerId}`, Buffer.from('{"found":1}'))
  const insights = await tellJson<{ tool: string; node: string }[]>(data, 'insight', 'list')
  assert.deepEqual(
    insights.map((each) => [each.tool, each.node]),
    [[name, 'alice']],
  )
  const shown = await maoctlHere(['--data', data, 'insight', 'show', name])
  assert.match(shown.stdout, /^alice, \d{4}-.*\n\{\n {2}"found": 1\n\}\n$/)
  assert.equal((await maoctlHere(['--data', data, 'insight', 'show', 'nobody'])).exit, 3)
})

test('a tool that fails is no success for an old client either', { timeout: 60_000 }, async (t) => {
  const [{ node, ask }] = await Promise.all([startTestApi(t, 'alice'), testImage()])
  await node.createFederation({ name: 'lab' })
  await node.federation.datasets.add('results')
  await node.federation.execution.addTool('shell', { image: 'mao-test/busybox:1' })
  const cmd = ['sh', '-c', 'echo before; exit 3']
  const steps = [{ name: 'break', tool: 'shell', cmd, output_dataset: 'results' }]
  await node.federation.execution.addPipeline('breaking', { steps })
  const { status, body } = await ask('POST', '/pipeline/run', { name: 'breaking' })
  const told = JSON.parse(body) as Record<string, string>
  assert.deepEqual([status, told.pipeline, told.output], [500, 'breaking', 'before\n'])
  assert.match(told.detail ?? '', /^Run \S+ of breaking ended as failed: /)
})
