import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { Questions } from '../../src/cli/ask.ts'
import { choiceLine, missingText, namedBy, overview, type World } from '../../src/cli/init/overview.ts'
import { parseToldSecrets, valuesOf } from '../../src/cli/init/told-secrets.ts'
import { meant } from '../../src/cli/init/whose.ts'
import { Session } from '../../src/cli/session.ts'

const SECRET = '{{ MAO_PRIVATE_VARIABLE }}'
const step = (name: string, more: object = {}) => ({
  ...{ name, tool: 'count', cmd: null, env: null, docker_socket: false, input_dataset: null },
  ...{ output_dataset: 'out', ...more },
})
const pipeline = (name: string, ...steps: ReturnType<typeof step>[]) => ({
  ...{ name, value: { steps }, author: 'p', timeMs: 0, contested: false },
})
const listed = (name: string, author: string, ...steps: ReturnType<typeof step>[]) => ({
  ...{
    name,
    author,
    description: 'words',
    standing: 'stranger' as 'stranger' | 'member' | 'own',
    heardMs: 0,
    steps,
  },
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
    'far    ✗ this instance  ✗ this federation  from q, no member of this federation, known here since 1970-01-01 00:00:00Z  missing: tool fetch (on the marketplace), tool sift, dataset in, secret S, schedule',
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

test('of several that list a name the nearest is meant, and a stranger never by chance', async () => {
  const by = (...who: [author: string, standing: 'own' | 'member' | 'stranger'][]) => {
    const pipelines = who.map(([author, standing]) => ({ ...listed('far', author, step('a')), standing }))
    const all = overview({ ...world, listed: { ...world.listed, pipelines } })
    return namedBy(['far'], all)
      .get('far')
      ?.map(({ author }) => author)
  }
  assert.deepEqual(by(['s', 'stranger'], ['m', 'member'], ['o', 'own']), ['o'])
  assert.deepEqual(by(['s', 'stranger'], ['m', 'member']), ['m'])
  assert.deepEqual(by(['s', 'stranger'], ['m', 'member'], ['n', 'member']), ['m', 'n'])

  const lister = { author: 's', standing: 'stranger' as const, heardMs: 0 }
  const wanted = { what: 'The tool count', flag: '--tool-author count=s', lister }
  const unattended = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  for (const globals of [{}, { yes: true }]) {
    const questions = new Questions(new Session({ ...unattended, environment: {} }, globals))
    await assert.rejects(meant(questions, wanted), {
      code: 'CONFLICT',
      message: /listed by s, no member .* --tool-author count=s/,
    })
    await meant(questions, { ...wanted, lister: { ...lister, standing: 'member' } })
  }
  const agreeing = { ...unattended, stdin: Object.assign(new PassThrough(), { isTTY: true }) }
  const yes = new Questions(new Session({ ...agreeing, environment: {} }, { yes: true }))
  await assert.rejects(meant(yes, wanted), { code: 'CONFLICT' }, '--yes names nobody, on a terminal either')
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
