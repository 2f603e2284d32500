import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommitInfo } from '../../src/datasets/git/repository.ts'
import type { PipelineStep } from '../../src/execution/catalogue/pipeline.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun } from '../../src/execution/runs/run-machine.ts'
import type { Entity } from '../../src/provenance/crate.ts'
import { imageEntity } from '../../src/provenance/image-entity.ts'
import { provOf } from '../../src/provenance/prov-json.ts'
import { type RunCrateInput, runCrate } from '../../src/provenance/run-crate.ts'
import { workflowRunCrate, workflowText } from '../../src/provenance/workflow-crate.ts'

const PROFILE = 'https://w3id.org/ro/wfrun/process/0.5'
const DIGEST = `registry.example.org/lab/collect@sha256:${'d'.repeat(64)}`
const [START, SECOND] = [Date.UTC(2026, 10, 21, 6), 1_000]
const [input, made] = ['a'.repeat(40), 'b'.repeat(40)]

const step = (name: string, fields: Partial<PipelineStep> = {}): PipelineStep => ({
  name,
  tool: name,
  cmd: ['--all'],
  env: { LIMIT: '5', API_TOKEN: '{{ MAO_PRIVATE_VARIABLE }}', REGION: 'eu' },
  docker_socket: false,
  input_dataset: 'manifests',
  output_dataset: 'observations',
  ...fields,
})

const plan = [step('collect'), step('assess', { input_dataset: 'observations', env: null, cmd: null })]

const granted = {
  network: 'none' as const,
  dockerSocket: false,
  user: '1000:1000',
  memoryBytes: 1,
  cpus: 1,
  pids: 1,
  timeoutMs: 1,
  environment: { REGION: 'secret-region' },
  secrets: ['API_TOKEN'],
}

/** The first step done; then the second under way. */
function halfway(): Run {
  let run = newRun({ id: 'r1', pipeline: 'weekly', plan, trigger: { kind: 'request' }, timeMs: START })
  const images = { image: 'registry.example.org/lab/collect:1', digest: DIGEST }
  run = advance(run, 'pulling', START + SECOND)
  run = advance(run, 'staging', START + 2 * SECOND, { ...images, inputCommit: input })
  run = advance(run, 'running', START + 3 * SECOND, { granted })
  run = advance(run, 'committing', START + 4 * SECOND, { exitCode: 0 })
  run = finishStep(run, START + 5 * SECOND, {
    outputBranch: 'collect-alice',
    outputCommit: made,
    outputChanged: true,
  })
  run = advance(run, 'pulling', START + 6 * SECOND)
  run = advance(run, 'staging', START + 7 * SECOND, {
    image: 'assess:1',
    digest: `sha256:${'e'.repeat(64)}`,
    inputCommit: made,
  })
  return advance(run, 'running', START + 8 * SECOND)
}

const failed = () =>
  endRun(halfway(), 'failed', {
    timeMs: START + 9 * SECOND,
    reason: 'the tool ended with exit code 3',
    patch: { exitCode: 3 },
  })

const commit: CommitInfo = {
  oid: made,
  tree: 'c'.repeat(40),
  parents: [],
  author: { name: 'alice', email: 'alice@example.org' },
  timeMs: START + 5 * SECOND,
  message: 'collect: collect in run r1 of weekly\n\nRun-Id: r1\n',
}

const tool = {
  author: 'The lab',
  image: 'registry.example.org/lab/collect:1',
  code_repo: 'https://example.org/collect',
  description: 'Collects manifests',
}

function inputOf(run: Run): RunCrateInput {
  return {
    run,
    agent: { peer: '12D3KooWAlice', name: 'alice' },
    federation: { id: 'maofed', name: 'observatory' },
    tools: new Map([['collect', tool]]),
    commits: new Map([[made, commit]]),
    license: 'https://spdx.org/licenses/CC-BY-4.0',
  }
}

function crateOf(run: Run, more: Partial<RunCrateInput> = {}, make = runCrate) {
  const crate = make({ ...inputOf(run), ...more })
  const at = (id: string): Entity => {
    const entity = crate['@graph'].find((candidate) => candidate['@id'] === id)
    assert(entity, `the crate has no ${id}`)
    return entity
  }
  return { crate, at }
}

const references = (value: unknown): string[] =>
  [value].flat().map((reference) => (reference as { '@id': string })['@id'])

test("the metadata file keeps RO-Crate 1.1's MUSTs", () => {
  const { crate, at } = crateOf(failed())
  assert.equal(crate['@context'][0], 'https://w3id.org/ro/crate/1.1/context')
  const metadata = at('ro-crate-metadata.json')
  assert.equal(metadata['@type'], 'CreativeWork')
  assert.deepEqual(
    [metadata.conformsTo, metadata.about],
    [{ '@id': 'https://w3id.org/ro/crate/1.1' }, { '@id': './' }],
  )
  const root = at('./')
  assert.equal(root['@type'], 'Dataset')
  for (const property of ['name', 'description', 'datePublished', 'license']) assert(root[property], property)
  assert.equal(root.datePublished, '2026-11-21T06:00:09.000Z')
  const ids = crate['@graph'].map((entity) => entity['@id'])
  assert.equal(new Set(ids).size, ids.length, 'an id stands twice')
  for (const entity of crate['@graph']) assert(entity['@type'], `${entity['@id']} has no type`)
})

test('every reference leads to an entity of the graph, and all data are parts of the root', () => {
  const { crate, at } = crateOf(failed())
  const outside = new Set([
    'https://w3id.org/ro/crate/1.1',
    'https://w3id.org/ro/terms/workflow-run#DockerImage',
  ])
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { '@id': id } = value as { '@id'?: string }
    if (id !== undefined && Object.keys(value).length === 1 && !outside.has(id)) at(id)
    for (const inner of Object.values(value)) visit(inner)
  }
  visit(crate['@graph'])
  assert.deepEqual(references(at('./').hasPart), [`swh:1:rev:${input}`, `swh:1:rev:${made}`])
})

test("the crate keeps the profile's MUSTs: its name, and an instrument for each action", () => {
  const { crate, at } = crateOf(failed())
  assert.deepEqual(at('./').conformsTo, { '@id': PROFILE })
  assert.deepEqual([at(PROFILE)['@type'], at(PROFILE).version], ['CreativeWork', '0.5'])
  const actions = crate['@graph'].filter((entity) => entity['@type'] === 'CreateAction')
  assert.deepEqual(
    references(at('./').mentions),
    actions.map((action) => action['@id']),
  )
  assert.equal(actions.length, 2)
  for (const action of actions) {
    const [instrument = ''] = references(action.instrument)
    assert.equal(at(instrument)['@type'], 'SoftwareApplication')
    for (const property of ['name', 'description', 'agent', 'startTime', 'endTime']) {
      assert(action[property], `${action['@id']} has no ${property}`)
    }
  }
})

test('a step that succeeded tells its tool by digest, its input, its output and its times', () => {
  const { at } = crateOf(failed())
  const action = at('#run/r1/collect')
  assert.deepEqual(references(action.object), [`swh:1:rev:${input}`])
  assert.deepEqual(references(action.result), [`swh:1:rev:${made}`])
  assert.equal(action.actionStatus, 'http://schema.org/CompletedActionStatus')
  assert.equal('error' in action, false)
  assert.deepEqual(
    [action.startTime, action.endTime],
    ['2026-11-21T06:00:01.000Z', '2026-11-21T06:00:05.000Z'],
  )
  const [instrument = ''] = references(action.instrument)
  assert.equal(at(instrument).softwareVersion, DIGEST)
  assert.equal(at(instrument).url, 'https://example.org/collect')
  const result = at(`swh:1:rev:${made}`)
  assert.equal(result.sameAs, `swh:1:dir:${'c'.repeat(40)}`)
  assert.equal(result.description, 'collect: collect in run r1 of weekly')
  const [agent = ''] = references(action.agent)
  assert.deepEqual([at(agent)['@type'], at(agent).name], ['Organization', 'alice'])
})

test('a step that failed says so and why, and has no result', () => {
  const { at } = crateOf(failed())
  const action = at('#run/r1/assess')
  assert.equal(action.actionStatus, 'http://schema.org/FailedActionStatus')
  assert.equal(action.error, 'failed, exit code 3: the tool ended with exit code 3')
  assert.equal('result' in action, false)
})

test('a step under way is active, and steps that never began are only told of', () => {
  const active = crateOf(halfway()).at('#run/r1/assess')
  assert.equal(active.actionStatus, 'http://schema.org/ActiveActionStatus')
  assert.equal('endTime' in active, false)
  const queued = newRun({ id: 'r2', pipeline: 'weekly', plan, trigger: { kind: 'request' }, timeMs: START })
  const { at } = crateOf(queued)
  assert.deepEqual(at('./').mentions, [])
  assert.match(String(at('./').description), /did not begin: collect, assess/)
})

test('what the owner filled in or changed is named, and its value stays at home', () => {
  const { crate, at } = crateOf(failed())
  assert.equal(at('#run/r1/collect/env/LIMIT').value, '5')
  for (const name of ['API_TOKEN', 'REGION']) {
    assert.equal('value' in at(`#run/r1/collect/env/${name}`), false)
  }
  assert(!JSON.stringify(crate).includes('secret-region'))
})

test('a tool that left its branch as it was has no result', () => {
  const run = halfway()
  const [first] = run.steps
  assert(first)
  const { at } = crateOf({ ...run, steps: run.steps.with(0, { ...first, outputChanged: false }) })
  assert.equal('result' in at('#run/r1/collect'), false)
})

test('images are told by registry, name, tag and digest, as far as they have them', () => {
  const told = (reference: string, digest?: string) => {
    const { registry, name, tag, sha256 } = imageEntity(reference, digest)
    return { registry, name, tag, sha256 }
  }
  const sum = 'd'.repeat(64)
  assert.deepEqual(
    told('registry.example.org:5000/lab/collect:1', `registry.example.org:5000/lab/collect@sha256:${sum}`),
    {
      registry: 'registry.example.org:5000',
      name: 'lab/collect',
      tag: '1',
      sha256: sum,
    },
  )
  assert.deepEqual(told('lab/collect'), {
    registry: 'docker.io',
    name: 'lab/collect',
    tag: 'latest',
    sha256: undefined,
  })
  assert.deepEqual(told('collect:2', `sha256:${sum}`), {
    registry: undefined,
    name: 'collect',
    tag: '2',
    sha256: sum,
  })
  const pinned = told(`lab/collect@sha256:${sum}`, `lab/collect@sha256:${sum}`)
  assert.deepEqual(pinned, { registry: 'docker.io', name: 'lab/collect', tag: undefined, sha256: sum })
})

/** The run of two steps with all that a step can read, to its good end. */
function whole(): Run {
  const inputs = [
    {
      name: 'a.csv',
      kind: 'url' as const,
      source: 'https://example.org/a.csv',
      sha256: '1'.repeat(64),
      bytes: 9,
    },
    { name: 'p.txt', kind: 'text' as const, source: 'text', sha256: '2'.repeat(64), bytes: 3 },
    { name: 'codes', kind: 'dataset' as const, source: 'codes', commit: 'f'.repeat(40) },
  ]
  let run = halfway()
  run = { ...run, steps: run.steps.with(0, { ...(run.steps[0] as Run['steps'][number]), inputs }) }
  run = {
    ...run,
    steps: run.steps.with(1, { ...(run.steps[1] as Run['steps'][number]), inputFrom: 'this-run' }),
  }
  run = advance(run, 'committing', START + 9 * SECOND, { exitCode: 0 })
  run = finishStep(run, START + 10 * SECOND, { outputCommit: '9'.repeat(40), outputChanged: true })
  return endRun(run, 'succeeded', { timeMs: START + 11 * SECOND })
}

test('further inputs are files and datasets of the crate, with checksums and sizes', () => {
  const { at } = crateOf(whole())
  assert.deepEqual(references(at('#run/r1/collect').object), [
    `swh:1:rev:${input}`,
    `https://example.org/a.csv#sha256=${'1'.repeat(64)}`,
    `#input/${'2'.repeat(64)}`,
    `swh:1:rev:${'f'.repeat(40)}`,
  ])
  const file = at(`https://example.org/a.csv#sha256=${'1'.repeat(64)}`)
  assert.deepEqual([file.contentUrl, file.contentSize], ['https://example.org/a.csv', '9'])
})

test("a workflow's crate keeps the MUSTs of Workflow Run Crate and of the Workflow RO-Crate beneath it", () => {
  const run = whole()
  const { crate, at } = crateOf(run, {}, workflowRunCrate)
  const workflow = at('pipeline.yaml')
  assert.deepEqual(at('./').mainEntity, { '@id': 'pipeline.yaml' })
  assert.deepEqual(workflow['@type'], ['File', 'SoftwareSourceCode', 'ComputationalWorkflow'])
  assert.equal(at(references(workflow.programmingLanguage)[0] ?? '')['@type'], 'ComputerLanguage')
  assert(references(at('./').conformsTo).includes('https://w3id.org/ro/wfrun/workflow/0.5'))
  assert(at('./').license)
  const action = at('#run/r1')
  assert.deepEqual(action.instrument, { '@id': 'pipeline.yaml' })
  // What one step made for the next is no input of the whole.
  assert.deepEqual(references(workflow.input), [
    '#input/collect.manifests',
    '#input/collect.a.csv',
    '#input/collect.p.txt',
    '#input/collect.codes',
  ])
  for (const formal of [...references(workflow.input), ...references(workflow.output)]) {
    const [actual = ''] = references(at(formal).workExample)
    assert(references(at(actual).exampleOfWork).includes(formal), `${actual} is no example of ${formal}`)
    assert([...references(action.object), ...references(action.result)].includes(actual))
  }
  const ids = crate['@graph'].map((entity) => entity['@id'])
  assert.equal(new Set(ids).size, ids.length, 'an id stands twice')
  assert.match(workflowText(run), /name: weekly/)
  assert.equal(
    crateOf(run, { license: undefined as never }, workflowRunCrate).at('#no-licence').name,
    'No licence was named',
  )
})

test('the same run in PROV: what was made came from what was read, by whom and by which plan', () => {
  const told = provOf(inputOf(whole())) as Record<string, Record<string, Record<string, string>>>
  const relations = (kind: string) => Object.values(told[kind] ?? {})
  const [collected, assessed] = [`rev:${made}`, `rev:${'9'.repeat(40)}`]
  assert.deepEqual(
    relations('wasGeneratedBy').map((each) => [each['prov:entity'], each['prov:activity']]),
    [
      [collected, 'mao:run.r1.collect'],
      [assessed, 'mao:run.r1.assess'],
    ],
  )
  const sources = relations('wasDerivedFrom').filter((each) => each['prov:generatedEntity'] === assessed)
  assert.deepEqual(
    sources.map((each) => each['prov:usedEntity']),
    [collected],
  )
  // Every name stands for something that is stated, in a namespace that is declared.
  const stated = new Set(['entity', 'activity', 'agent'].flatMap((kind) => Object.keys(told[kind] ?? {})))
  for (const kind of ['used', 'wasGeneratedBy', 'wasAssociatedWith', 'wasAttributedTo', 'wasDerivedFrom']) {
    assert(relations(kind).length > 0, `nothing of ${kind}`)
    for (const [role, name] of relations(kind).flatMap((each) => Object.entries(each))) {
      if (role === 'prov:role' || role === 'prov:time') continue
      assert(stated.has(name), `${kind} names ${name}, of which nothing is stated`)
      assert((name.split(':')[0] ?? '') in (told.prefix ?? {}))
    }
  }
  assert(!JSON.stringify(told).includes('secret-region'))
})

/** The whole run, its second step with a filter and a published copy. */
function filtered(): Run {
  const run = whole()
  const assess = run.steps[1] as Run['steps'][number]
  const filter = { tool: 'sieve', image: 'sieve:1', digest: `sieve@sha256:${'7'.repeat(64)}`, exitCode: 0 }
  const copy = { publisher: 'shelf', kind: 'folder', address: 'file:///srv/r1', files: 1, bytes: 9 }
  const published = [{ ...copy, manifestSha256: '3'.repeat(64) }]
  return { ...run, steps: run.steps.with(1, { ...assess, filter, published }) }
}

test('what a filter rewrote is the result of the filter, and the tool is not taken for its maker', () => {
  const { at } = crateOf(filtered())
  const result = `swh:1:rev:${'9'.repeat(40)}`
  assert.deepEqual(references(at('#run/r1/assess').result), ['#run/r1/assess/unfiltered'])
  assert.deepEqual(references(at('#run/r1/assess/filter').object), ['#run/r1/assess/unfiltered'])
  assert.deepEqual(references(at('#run/r1/assess/filter').result), [result])
  assert.equal(references(at('./').mentions).includes('#run/r1/assess/filter'), true)
  const [copy = ''] = references(at(result).distribution)
  assert.equal(at(copy).contentUrl, 'file:///srv/r1')
  const told = provOf(inputOf(filtered())) as Record<string, Record<string, Record<string, string>>>
  const maker = Object.values(told.wasGeneratedBy ?? {}).find(
    (each) => each['prov:entity'] === `rev:${'9'.repeat(40)}`,
  )
  assert.equal(maker?.['prov:activity'], 'mao:run.r1.assess.filter')
})

test('one address that held two things is two files, and what is known of a commit is not lost', () => {
  const run = whole()
  const [first, second] = run.steps as [Run['steps'][number], Run['steps'][number]]
  const url = { name: 'x', kind: 'url' as const, source: 'https://example.org/x' }
  const again = { name: 'codes', kind: 'dataset' as const, source: 'observations', commit: made }
  const steps = [
    { ...first, inputs: [{ ...url, sha256: 'a'.repeat(64) }] },
    { ...second, inputs: [{ ...url, sha256: 'b'.repeat(64) }, again] },
  ]
  const { at } = crateOf({ ...run, steps })
  assert.notDeepEqual(at('#run/r1/collect').object, at('#run/r1/assess').object)
  assert.deepEqual(references(at('#run/r1/assess').object), [
    `swh:1:rev:${made}`,
    `https://example.org/x#sha256=${'b'.repeat(64)}`,
  ])
  assert.equal(at(`swh:1:rev:${made}`).sameAs, `swh:1:dir:${'c'.repeat(40)}`)
})
