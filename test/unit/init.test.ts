import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choiceLine, missingText, namedBy, overview, type World } from '../../src/cli/init/overview.ts'
import { parseToldSecrets, valuesOf } from '../../src/cli/init/told-secrets.ts'

const SECRET = '{{ MAO_PRIVATE_VARIABLE }}'
const step = (name: string, more: object = {}) => ({
  ...{ name, tool: 'count', cmd: null, env: null, docker_socket: false, input_dataset: null },
  ...{ output_dataset: 'out', ...more },
})
const pipeline = (name: string, ...steps: ReturnType<typeof step>[]) => ({
  ...{ name, value: { steps }, author: 'p', timeMs: 0, contested: false },
})
const listed = (name: string, author: string, ...steps: ReturnType<typeof step>[]) => ({
  ...{ name, author, description: 'words', standing: 'stranger' as const, steps },
})
const world: World = {
  pipelines: [
    pipeline('ready', step('a')),
    pipeline('bare', step('a', { env: { KEY: SECRET, OTHER: 'x' } })),
  ],
  ...{ tools: ['count'], datasets: ['out'], secrets: [], scheduled: ['ready'] },
  listed: {
    pipelines: [
      listed('ready', 'q', step('a')),
      listed(
        'far',
        'q',
        step('a', {
          tool: 'fetch',
          input_dataset: 'in',
          filter: { tool: 'sift', cmd: null, env: { S: SECRET } },
        }),
      ),
      listed('far', 'r', step('a')),
    ],
    tools: ['fetch'],
  },
}

test('what is complete here, what in the federation alone, and what is missing', () => {
  const [ready, bare, far, other] = overview(world)
  assert.deepEqual([ready?.inInstance, ready?.inFederation], [true, true])
  assert.equal(missingText(ready as never, []), '')
  assert.deepEqual([bare?.inInstance, bare?.inFederation], [false, true])
  assert.equal(missingText(bare as never, []), 'secret KEY, schedule')
  assert.equal(
    choiceLine(far as never, 5, ['fetch']),
    'far    ✗ this instance  ✗ this federation  missing: tool fetch (on the marketplace), tool sift, dataset in, secret S, schedule',
  )
  assert.deepEqual([other?.author, other?.inFederation], ['r', false], 'listed is not yet registered')
  assert.equal(overview(world).length, 4, 'a name of the federation is not offered again')
})

test('a sealed secret counts for all pipelines, for its own, or for its step', () => {
  const missing = (sealed: object) => {
    const secrets = [{ variable: 'KEY', timeMs: 0, ...sealed }]
    return overview({ ...world, secrets }).find(({ name }) => name === 'bare')?.missing.secrets.length
  }
  assert.deepEqual(
    [
      {},
      { pipeline: 'bare' },
      { pipeline: 'bare', step: 'a' },
      { pipeline: 'ready' },
      { pipeline: 'bare', step: 'b' },
    ].map(missing),
    [0, 0, 0, 1, 1],
  )
})

test('a name that several list is told apart by its author', () => {
  const found = namedBy(['ready', 'far', 'far@r', 'none'], overview(world))
  assert.deepEqual(
    [...found].map(([word, all]) => [word, all.length]),
    [
      ['ready', 1],
      ['far', 2],
      ['far@r', 1],
      ['none', 0],
    ],
  )
})

test('secrets come by lines or files, and a value on the command line is refused without being repeated', () => {
  assert.throws(
    () => parseToldSecrets(['KEY=hunter2']),
    (error: Error) => !error.message.includes('hunter2'),
  )
  const told = parseToldSecrets(['A', 'B@/f', 'C'])
  assert.deepEqual(
    [...valuesOf(told, '1\n2\n', new Map([['/f', 'x\ny\n']]))],
    [
      ['A', '1'],
      ['B', 'x\ny'],
      ['C', '2'],
    ],
  )
  assert.deepEqual([...valuesOf(parseToldSecrets(['A']), 'a\nb\n', new Map())], [['A', 'a\nb']])
  assert.throws(() => valuesOf(told, '1\n', new Map([['/f', 'x']])), /C is empty: line 2/)
})
