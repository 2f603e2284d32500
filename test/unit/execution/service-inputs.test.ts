import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServiceDescription } from '../../../src/execution/images/service.ts'
import { checkServiceInputs } from '../../../src/execution/images/service-inputs.ts'

const SERVICE: ServiceDescription = {
  name: 'wc',
  version: '1',
  description: '',
  inputs: [
    { name: 'corpus', path: '/data/corpus', type: 'url' },
    { name: 'settings', path: '/data/settings', type: 'string', filename: 'settings.ini' },
  ],
  outputs: [],
}
const CORPUS = { name: 'corpus', url: 'https://example.org/corpus.txt' }
const SETTINGS = { name: 'settings', text: 'a=1' }

test('a step that gives every input by name and type is taken', () => {
  assert.deepEqual(checkServiceInputs(SERVICE, { inputs: [CORPUS, SETTINGS] }), [])
  for (const other of [{ dataset: 'd' }, { pid: 'doi:10.1/x' }, { run: 'r-1' }]) {
    assert.deepEqual(checkServiceInputs(SERVICE, { inputs: [{ name: 'corpus', ...other }, SETTINGS] }), [])
  }
  assert.deepEqual(checkServiceInputs({ ...SERVICE, inputs: [] }, {}), [])
})

test('everything that is wrong with the inputs is told, each with what to write instead', () => {
  const problems = checkServiceInputs(SERVICE, {
    layout: 'mao',
    inputs: [
      { name: 'corpsu', url: 'https://example.org/x' },
      { text: 'x' },
      { name: 'settings', url: 'https://example.org/x' },
      SETTINGS,
    ],
  })
  assert.deepEqual(problems, [
    'the service wc 1 says by its labels where its files are, so that the step names no layout',
    'the service wc 1 has no input "corpsu"; did you mean "corpus"?',
    'inputs.1 has no name; the inputs of the service wc 1 are "corpus", "settings"',
    'the input "settings" is of type string; write {name: "settings", text: …}',
    'the input "settings" is given twice',
    'the input "corpus" of the service wc 1 is not given; add {name: "corpus", url: https://… (or dataset, pid or run)}',
  ])
})

test('a service without inputs is given none', () => {
  const problems = checkServiceInputs({ ...SERVICE, inputs: [] }, { inputs: [CORPUS] })
  assert.deepEqual(problems, ['the service wc 1 has no input "corpus"; it has none'])
})
