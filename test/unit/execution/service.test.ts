import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { labelledService } from '../../../src/execution/images/labelled-service.ts'
import {
  isLabelledService,
  type Labels,
  parseServiceLabels,
  placeOfInput,
  SERVICE_LABEL,
  serviceId,
  serviceSchema,
} from '../../../src/execution/images/service.ts'

const WHOLE: Labels = service({
  name: 'Word count',
  version: '1.2',
  description: 'Counts words',
  'input.1.name': 'corpus',
  'input.1.path': '/data/corpus/',
  'input.2.name': 'Settings of it',
  'input.2.path': '/data/settings',
  'input.2.type': 'string',
  'input.2.filename': 'settings.ini',
  'output.1.name': 'counts',
  'output.1.path': '/data//counts',
})

function service(fields: Record<string, string>): Labels {
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [SERVICE_LABEL + field, value]))
}

function problemsOf(labels: Labels): readonly string[] {
  try {
    parseServiceLabels(labels)
    return []
  } catch (error) {
    assert(isNodeError(error, 'INVALID_INPUT'), String(error))
    assert(Array.isArray(error.data.problems))
    return error.data.problems
  }
}

/** The whole service with some labels changed, or taken out where they are undefined. */
function but(changes: Record<string, string | undefined>): readonly string[] {
  const changed = { ...WHOLE }
  for (const [field, value] of Object.entries(changes)) {
    if (value === undefined) delete (changed as Record<string, string>)[SERVICE_LABEL + field]
    else Object.assign(changed, service({ [field]: value }))
  }
  return problemsOf(changed)
}

test('a well labelled image says what it does, and where its inputs and outputs are', () => {
  const said = parseServiceLabels({ ...WHOLE, maintainer: 'someone' })
  assert.deepEqual(said, {
    name: 'Word count',
    version: '1.2',
    description: 'Counts words',
    inputs: [
      { name: 'corpus', path: '/data/corpus', type: 'url' },
      { name: 'Settings of it', path: '/data/settings', type: 'string', filename: 'settings.ini' },
    ],
    outputs: [{ name: 'counts', path: '/data/counts' }],
  })
  assert.deepEqual(said.inputs.map(placeOfInput), ['/data/corpus', '/data/settings/settings.ini'])
  const digest = 'registry.example.org/lab/wc@sha256:aa'
  assert.equal(serviceId({ ...said, digest }), 'Word count@1.2@sha256:aa')
})

test('the labels of an image as the framework itself published it are understood', () => {
  const said = parseServiceLabels(
    service({
      name: 'Clone',
      description: 'Copy input to output',
      version: '0.1',
      'input.1.name': 'Input Directory',
      'input.1.path': '/data/input1/',
      'output.1.name': 'Output Directory',
      'output.1.path': '/data/output1/',
    }),
  )
  assert.deepEqual(said.inputs, [{ name: 'Input Directory', path: '/data/input1', type: 'url' }])
})

test('an image that is no service is told from one that claims to be one', () => {
  assert.equal(isLabelledService({ maintainer: 'someone', 'eudat.gef.other': '1' }), false)
  assert.equal(isLabelledService(service({ nmae: 'x' })), true)
})

const FAULTS: [what: string, changes: Record<string, string | undefined>, problem: RegExp][] = [
  ['no name', { name: undefined }, /service\.name is missing/],
  ['an empty name', { name: ' ' }, /service\.name is missing/],
  ['a name that could not be told from its version', { name: 'a@b' }, /service\.name is "a@b"/],
  ['no version', { version: undefined }, /service\.version is missing/],
  ['a version of several words', { version: '1.0 beta' }, /service\.version is "1\.0 beta"/],
  ['an unknown type', { 'input.1.type': 'file' }, /input\.1\.type is "file"; there are url and string/],
  ['a gap', { 'input.4.name': 'x', 'input.4.path': '/x' }, /input\.3 is missing, and there is input\.4/],
  ['a relative path', { 'input.1.path': 'data' }, /input\.1\.path is "data", which is not absolute/],
  ['an escaping path', { 'output.1.path': '/data/../etc' }, /output\.1\.path .* leads elsewhere/],
  ['programs of the image', { 'output.1.path': '/usr/local' }, /output\.1\.path .* belongs to the container/],
  ['the root as a path', { 'input.1.path': '//' }, /input\.1\.path .* belongs to the container itself/],
  ['a path of the system', { 'output.1.path': '/proc/self' }, /output\.1\.path .* belongs to the container/],
  [
    'a path that a mount cannot name',
    { 'input.1.path': '/a:b' },
    /input\.1\.path is "\/a:b", which has a colon/,
  ],
  ['no path', { 'output.1.path': undefined }, /output\.1\.path is missing/],
  ['no name of an input', { 'input.2.name': undefined }, /input\.2\.name is missing/],
  ['a text without a file', { 'input.2.filename': undefined }, /input\.2\.filename is missing/],
  ['a file that leads elsewhere', { 'input.2.filename': '../x' }, /input\.2\.filename is "\.\.\/x"/],
  ['a file that is a directory', { 'input.2.filename': '..' }, /input\.2\.filename is "\.\."/],
  ['one name twice', { 'input.2.name': 'Corpus' }, /input\.2\.name is the name of input\.1 too/],
  ['a name that leads elsewhere', { 'output.1.name': '../x' }, /output\.1\.name is "\.\.\/x"/],
  ['one place twice', { 'output.1.path': '/data/corpus' }, /output counts .* input corpus .* lie in each/],
  ['a place in a place', { 'output.1.path': '/data' }, /lie in each other/],
  ['an unknown label', { nmae: 'x' }, /service\.nmae is no label of a service; there are name, version/],
  [
    'an unknown label of an input',
    { 'input.1.pth': '/x' },
    /input\.1\.pth is no label of a service; an input/,
  ],
  ['an unknown label of an output', { 'output.1.type': 'url' }, /output\.1\.type is no label of a service/],
  ['a number that is none', { 'input.01.name': 'x' }, /input\.01\.name is no label of a service/],
  ['a line break', { name: 'a\nb' }, /service\.name is "a\\nb"/],
]

for (const [what, changes, problem] of FAULTS) {
  test(`a service with ${what} is refused by the label that is wrong`, () => {
    const problems = but(changes)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] as string, problem)
  })
}

test('everything that is wrong is told at once', () => {
  const problems = but({ name: undefined, 'input.1.type': 'x', 'output.1.path': 'y', more: 'z' })
  assert.equal(problems.length, 4, problems.join('\n'))
})

test('a service may number from 0, and have neither inputs nor outputs', () => {
  assert.deepEqual(problemsOf(service({ name: 'x', version: '1' })), [])
  assert.deepEqual(
    problemsOf(service({ name: 'x', version: '1', 'input.0.name': 'a', 'input.0.path': '/a' })),
    [],
  )
})

test('two texts may stand in one directory', () => {
  assert.deepEqual(
    but({ 'input.1.path': '/data/settings', 'input.1.type': 'string', 'input.1.filename': 'other.ini' }),
    [],
  )
})

test('a record of a service names no place that labels could not name', () => {
  const record = { ...parseServiceLabels(WHOLE), digest: 'sha256:aa' }
  assert.ok(serviceSchema.safeParse(record).success)
  const refused = [
    '/bin',
    '/usr',
    '/usr/lib/x',
    '/etc',
    '/run/x',
    '/var',
    '/proc',
    '/a/../bin',
    '/a//b',
    '/a/',
    '/',
    'a',
  ]
  for (const path of refused) {
    const read = serviceSchema.safeParse({ ...record, outputs: [{ name: 'b', path }] })
    assert.equal(read.success, false, path)
  }
  for (const path of ['/work', '/usr/src/app/x', '/binary', '/var/data', '/opt/lib']) {
    assert.ok(serviceSchema.safeParse({ ...record, outputs: [{ name: 'b', path }] }).success, path)
  }
})

test('what a record says of a service counts only where the labels of the image say it too', () => {
  const described = parseServiceLabels(WHOLE)
  const tool = { name: 'wc', image: 'lab/wc:1', service: { ...described, digest: 'sha256:aa' } }
  const image = { labels: WHOLE, digest: 'sha256:aa' }
  assert.deepEqual(labelledService(tool, image), described)
  assert.equal(labelledService({ name: 'x', image: 'x' }, image), undefined)
  const [text] = described.inputs
  const others = [
    { outputs: [{ name: 'counts', path: '/data/elsewhere' }] },
    { outputs: [...described.outputs, { name: 'more', path: '/more' }] },
    { inputs: [] },
    { inputs: [{ ...text, path: '/opt' }, ...described.inputs.slice(1)] as typeof described.inputs },
    { version: '1.3' },
  ]
  for (const other of others) {
    const lying = { ...tool, service: { ...tool.service, ...other } }
    assert.throws(
      () => labelledService(lying, image),
      (error) =>
        isNodeError(error, 'FORBIDDEN') && /maoctl tool add wc --service lab\/wc:1/.test(error.message),
    )
  }
  for (const labels of [{}, service({ name: 'x' })]) {
    assert.throws(
      () => labelledService(tool, { ...image, labels }),
      (error) => isNodeError(error, 'FORBIDDEN'),
    )
  }
})
