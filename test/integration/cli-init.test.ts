import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ScheduleView } from '../../src/api/schedule-views.ts'
import type { Candidate } from '../../src/cli/init/overview.ts'
import { startTestApi } from '../support/api.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { KEY, typedSession } from '../support/terminal.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const SECRET = 'correct-horse-battery'

const step = (name: string, more: object = {}) => ({
  name,
  tool: name,
  cmd: ['true'],
  output_dataset: `${name}-data`,
  ...more,
})

/**
 * A node in a federation that has a pipeline `counting`, complete, and one `fading`, whose tool is gone but listed; the
 * marketplace has `weather`, with its tool and a secret.
 */
async function newWorld(t: TestContext) {
  await testImage()
  const { node, ask } = await startTestApi(t, 'alice')
  const data = node.config.dataDirectory
  await node.createFederation({ name: 'lab' })
  const post = async (path: string, value: unknown) => {
    const answer = await ask('POST', `/api/v1${path}`, value)
    assert.equal(answer.status, 201, answer.body)
  }
  for (const tool of ['count', 'fade']) await post('/tools', { name: tool, image: BUSYBOX })
  for (const name of ['count-data', 'fade-data']) await post('/datasets', { name })
  await post('/pipelines', { name: 'counting', steps: [step('count')] })
  await post('/pipelines', { name: 'fading', steps: [step('fade')] })
  await ask('DELETE', '/api/v1/tools/fade')
  for (const tool of ['fade', 'fetch'])
    await post('/market', { kind: 'tool', name: tool, body: { image: BUSYBOX } })
  const env = { API_KEY: '{{ MAO_PRIVATE_VARIABLE }}', REGION: 'north' }
  const steps = [step('fetch', { env })]
  await post('/market', { kind: 'pipeline', name: 'weather', description: 'Hourly weather', body: { steps } })
  return { data, node, environment: { HOME: await temporaryDirectory(t), NO_COLOR: '1', MAO_DATA: data } }
}

async function isInFiles(text: string, directory: string): Promise<boolean> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((each) => each.isFile())) {
    if ((await readFile(join(entry.parentPath, entry.name))).includes(text)) return true
  }
  return false
}

test('a person chooses several pipelines in a terminal, and they run here', async (t) => {
  const { data, environment } = await newWorld(t)
  const typed = typedSession(t, ['instance', 'init'], environment)
  const list = await typed.shows('navigate')
  assert.match(list, /counting +✗ this instance +✓ this federation +missing: schedule/)
  assert.match(
    list,
    /fading +✗ this instance +✗ this federation +missing: tool fade \(on the marketplace\), schedule/,
  )
  assert.match(
    list,
    /weather +✗ this instance +✗ this federation +missing: tool fetch \(on the marketplace\), dataset fetch-data, secret API_KEY, schedule/,
  )
  typed.press(KEY.down, KEY.space, KEY.down, KEY.space, KEY.enter)

  await typed.shows('Register the tool fade, image mao-test/busybox:1')
  typed.press(KEY.enter)
  await typed.shows('When is fading to run?')
  typed.press('every day', KEY.enter)
  await typed.shows('is no time to run at')
  typed.press('\b'.repeat(9), '30 4 * * *', KEY.enter)
  const times = await typed.shows('Run fading at these times?')
  assert.equal(times.match(/^ {2}\d{4}-\d\d-\d\d 04:30:00Z$/gm)?.length, 3)
  typed.press(KEY.enter)

  const plan = await typed.shows('Bring weather into the federation like this?')
  assert.match(plan, /\+ dataset fetch-data is made, empty \(local-only\)/)
  assert.match(plan, /! step fetch: the secret API_KEY/)
  typed.press(KEY.enter)
  await typed.shows('API_KEY, which the step fetch of weather is given')
  typed.press(SECRET, KEY.enter)
  await typed.shows('When is weather to run?')
  typed.press(KEY.enter)
  await typed.shows('Run weather at these times?')
  typed.press(KEY.enter)
  await typed.shows('fetch gives API_KEY to fetch')
  await typed.shows('Let these steps have what they ask for')
  typed.press(KEY.enter)
  await typed.shows('weather runs here next at')
  assert.equal(await typed.ends(), 0)
  assert.ok(!typed.raw().includes(SECRET), 'the secret was shown')
  assert.ok(!(await isInFiles(SECRET, data)), 'the secret lies in clear in a file')

  const after = await tellJson<Candidate[]>(data, 'instance', 'init', '--list')
  assert.deepEqual(
    after.map(({ name, inInstance, inFederation }) => [name, inInstance, inFederation]),
    [
      ['counting', false, true],
      ['fading', true, true],
      ['weather', true, true],
    ],
  )
  const schedules = await tellJson<ScheduleView[]>(data, 'schedule', 'list')
  assert.deepEqual(
    schedules.map(({ pipeline, cron }) => `${pipeline} ${cron}`),
    ['fading 30 4 * * *', 'weather 0 3 * * *'],
  )
})

test('the same by flags alone, with the secret on standard input', async (t) => {
  const { data, node, environment } = await newWorld(t)
  const init = (words: string[], input = '') =>
    maoctlHere(['--data', data, 'instance', 'init', ...words], { environment, input })
  const refused = async (exit: number, said: RegExp, words: string[], input = '') => {
    const ended = await init(words, input)
    assert.equal(ended.exit, exit, ended.stderr)
    assert.match(ended.stderr, said)
    assert.ok(!(ended.stderr + ended.stdout).includes(SECRET))
  }
  await refused(2, /add --pipeline NAME/, [])
  await refused(3, /No pipeline is named wether/, ['--pipeline', 'wether', '--yes'])
  await refused(2, /add --yes/, ['--pipeline', 'counting', '--cron', '@daily'])
  const asks = ['--pipeline', 'weather', '--cron', '@daily', '--share-names', '--yes']
  await refused(2, /add --secret API_KEY/, asks)
  await refused(2, /--cron RULE or --no-schedule/, ['--pipeline', 'counting', '--yes'])
  await refused(2, /is no time to run at.*\(INVALID_CRON\)/, [
    '--pipeline',
    'counting',
    '--cron',
    '99 * * * *',
    '--yes',
  ])
  await refused(2, /name of a variable, whose value comes on standard input/, [
    '--pipeline',
    'weather',
    '--secret',
    `API_KEY=${SECRET}`,
    '--yes',
  ])
  await refused(
    2,
    /they ask for API_KEY/,
    ['--pipeline', 'weather', '--secret', 'APIKEY', '--no-schedule', '--yes'],
    SECRET,
  )
  // Other members are told no names of data that stay here because somebody said yes to everything.
  await refused(
    4,
    /tell them of fetch-data, .* add --share-names/,
    ['--pipeline', 'weather', '--secret', 'API_KEY', '--no-schedule', '--yes'],
    SECRET,
  )
  assert.equal(
    node.federation.execution.pipelines.get('weather'),
    undefined,
    'something was done before all was known',
  )

  const words = [
    '--pipeline',
    'weather',
    '--pipeline',
    'counting',
    '--secret',
    'API_KEY',
    '--cron',
    '0 3 * * *',
    '--share-names',
    '--yes',
  ]
  const done = await init(words, `${SECRET}\n`)
  assert.equal(done.exit, 0, done.stderr)
  assert.match(done.stdout, /^weather runs here next at /m)
  assert.match(done.stdout, /^counting runs here next at /m)
  assert.ok(!(done.stderr + done.stdout).includes(SECRET))
  assert.ok(!(await isInFiles(SECRET, data)))
  const secrets = await tellJson<{ variable: string; pipeline?: string }[]>(data, 'secret', 'list')
  assert.deepEqual(
    secrets.map(({ variable, pipeline }) => `${pipeline} ${variable}`),
    ['weather API_KEY'],
  )
  assert.equal(node.federation.datasets.find('fetch-data')?.policy, 'local-only')

  // Again: it is there, and is left as it is; a secret may come from a file.
  const file = join(environment.HOME, 'key')
  await writeFile(file, 'another\n', { mode: 0o600 })
  const again = await init(['--pipeline', 'weather', '--secret', `API_KEY@${file}`, '--yes'])
  assert.equal(again.exit, 0, again.stderr)
  assert.match(again.stderr, /weather runs by itself already: 0 3 \* \* \* \(UTC\)/)
  const people = await init(['--list'])
  assert.match(people.stdout, /^weather +✓ +✓ +federation/m)
})
