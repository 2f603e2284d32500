import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeError } from '../../../src/base/errors.ts'
import { parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import { parseTool } from '../../../src/execution/catalogue/tool.ts'

function problemsOf(action: () => unknown): string[] {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof NodeError && error.code === 'INVALID_INPUT', String(error))
    return error.data.problems as string[]
  }
  assert.fail('nothing was wrong with it')
}

test('a pipeline is read from YAML, its unsaid parts filled in', () => {
  const text = `
name: observatory
description: What we depend on
steps:
  - name: collect
    tool: collector
    output_dataset: catalogue
  - name: assess
    tool: assessor
    cmd: [assess, --limit, 5]
    env: { LIMIT: 5, DEEP: true, TOKEN: "{{ MAO_PRIVATE_VARIABLE }}" }
    input_dataset: catalogue
    output_dataset: quality
`
  const { name, pipeline } = parsePipeline(text)
  assert.equal(name, 'observatory')
  assert.equal(pipeline.description, 'What we depend on')
  assert.deepEqual(pipeline.steps, [
    {
      ...{ name: 'collect', tool: 'collector', cmd: null, env: null, docker_socket: false },
      ...{ input_dataset: null, output_dataset: 'catalogue' },
    },
    {
      ...{ name: 'assess', tool: 'assessor', cmd: ['assess', '--limit', '5'], docker_socket: false },
      env: { LIMIT: '5', DEEP: 'true', TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' },
      ...{ input_dataset: 'catalogue', output_dataset: 'quality' },
    },
  ])
})

test("the predecessor's shape is a pipeline too: an array of steps, datasets with a branch", () => {
  const text = JSON.stringify([
    {
      name: 'step1',
      tool: 'metrics',
      cmd: null,
      env: null,
      docker_socket: false,
      input_dataset: { name: 'a', branch: 'ground-truth' },
      output_dataset: { name: 'b', branch: 'step1-uzh' },
    },
  ])
  const [step] = parsePipeline(text).pipeline.steps
  assert.equal(step?.input_dataset, 'a')
  assert.equal(step?.output_dataset, 'b')
})

test('everything that is wrong with a pipeline is told at once, with its place', () => {
  const problems = problemsOf(() =>
    parsePipeline({
      owner: 'me',
      steps: [
        { name: 'Not A Name', tool: 'ok', output_dataset: 'd' },
        { name: 'twice', tool: 7, cmd: 'echo', output_dataset: 'd' },
        { name: 'twice', tool: 't', env: { 'no-variable': 'x' }, outputdataset: 'd' },
      ],
    }),
  )
  const text = problems.join('\n')
  for (const expected of [
    /Unrecognized key: "owner"/,
    /step 1 \(Not A Name\), name: a name has/,
    /step 2 \(twice\), tool: /,
    /step 2 \(twice\), cmd: /,
    /step 3 \(twice\), env\.no-variable: /,
    /step 3 \(twice\), output_dataset: expected the name of a dataset/,
    /step 3 \(twice\): Unrecognized key: "outputdataset"/,
  ]) {
    assert.match(text, expected)
  }
})

test('two steps of one name are refused, and so is a pipeline without steps', () => {
  const step = { name: 'a', tool: 't', output_dataset: 'd' }
  assert.deepEqual(
    problemsOf(() => parsePipeline([step, step])),
    ['step 2 (a), name: another step is named a'],
  )
  assert.match(problemsOf(() => parsePipeline([]))[0] ?? '', /at least one step/)
})

test('what is not YAML is refused with the line', () => {
  assert.match(problemsOf(() => parsePipeline('steps: [a, b')).join(), /line 1/)
  assert.equal(problemsOf(() => parsePipeline('just words')).length, 1)
  assert.equal(problemsOf(() => parsePipeline('')).length, 1)
})

test('a tool needs an image that can be one', () => {
  for (const image of [
    'busybox',
    'mao-test/busybox:1',
    'registry.example.org:5000/group/name:1.0_rc',
    `a@sha256:${'0'.repeat(64)}`,
  ]) {
    assert.equal(parseTool({ image }).image, image)
  }
  for (const image of ['', 'two words', '-v', '--privileged', 'a:b:c d', '/etc']) {
    assert.equal(problemsOf(() => parseTool({ image })).length, 1, image)
  }
  assert.match(
    problemsOf(() => parseTool({ author: 'x', img: 'a' })).join(),
    /image.*Unrecognized key: "img"/s,
  )
})

test('no step has a name under which hosts keep what others had made there', () => {
  const step = { name: 'for.da83a70c97f3d30b.collect', tool: 't', output_dataset: 'd' }
  assert.match(problemsOf(() => parsePipeline([step])).join(), /begins with "for\."/)
  assert.equal(parsePipeline([{ ...step, name: 'forecast' }]).pipeline.steps[0]?.name, 'forecast')
})

test('a placeholder that nobody fills is refused with what is meant', () => {
  const env = { MIRROR_TOKEN: '{{ MIRROR_TOKEN }}' }
  const step = { name: 'a', tool: 't', output_dataset: 'd' }
  assert.throws(
    () => parsePipeline({ steps: [{ ...step, env }] }),
    /the very text \{\{ MAO_PRIVATE_VARIABLE \}\}, and the secret is named like the variable, MIRROR_TOKEN/,
  )
  const right = { MIRROR_TOKEN: '{{ MAO_PRIVATE_VARIABLE }}', GREETING: 'hi {{ name }}' }
  assert.deepEqual(parsePipeline({ steps: [{ ...step, env: right }] }).pipeline.steps[0]?.env, right)
})
