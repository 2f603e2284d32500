import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { InstallPlanView } from '../../src/api/market-install-views.ts'
import { askRaw, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'
import { BUSYBOX, removeImage, tagImage, testImage } from '../support/test-images.ts'

const steps = [
  {
    ...{ name: 'count', tool: 'counter', cmd: ['wc'], env: null, docker_socket: false },
    ...{ input_dataset: 'names', output_dataset: 'counts' },
  },
]
const counter = {
  ...{ name: 'counter', author: 'Amy', image: 'lab/counter:1', data_repo: '', code_repo: '' },
  ...{ artefact: 'names', description: 'Counts' },
}

test('a pipeline of a stranger is shown, asked for, and installed whole or not at all', async (t) => {
  const amy = await startTestApi(t, 'amy')
  const bob = await startTestApi(t, 'bob', { bootstrap: amy.node.addresses() })
  const [there, here] = [amy.node.config.dataDirectory, bob.node.config.dataDirectory]
  await tellJson(here, 'federation', 'create', '--name', 'observatory')
  const list = (kind: string, name: string, body: object) =>
    amy.node.marketplace.publish({ kind: kind as 'tool', name, body: { ...body } })
  const listAll = async (upstream: string) => {
    await list('pipeline', 'survey', { steps })
    await list('tool', 'counter', { image: 'lab/counter:1' })
    await list('dataset', 'names', { upstream })
  }
  // An address that this node will not call: found out only while it is being set.
  await listAll('http://git.example.org/names')
  await eventually(
    async () => {
      await listAll('http://git.example.org/names')
      return bob.node.marketplace.list().length === 3
    },
    'bob never heard what amy lists',
    60_000,
  )

  const market = (...words: string[]) => maoctlHere(['--data', here, 'market', ...words])
  const shown = await market('install', 'survey', '--dry-run')
  assert.match(shown.stdout, /^\+ pipeline survey: count, listed by 12D3\w+, no member, known since 20/)
  assert.match(
    shown.stdout,
    /^\+ tool counter lab\/counter:1, listed by .*\n\+ dataset names is made, to be pulled/m,
  )
  assert.equal(shown.exit, 8, 'what would not go through is no success')
  const unasked = await market('install', 'survey', '--yes')
  assert.equal(unasked.exit, 4, unasked.stderr)
  assert.match(unasked.stderr, /who is no member .* --author 12D3.* add --share-names/)

  const init = (...words: string[]) =>
    maoctlHere(['--data', here, '--yes', 'instance', 'init', '--no-schedule', '--share-names', ...words])
  const unnamed = await init('--pipeline', 'survey')
  assert.equal(unnamed.exit, 4, unnamed.stderr)
  assert.match(unnamed.stderr, /survey is listed by 12D3\w+, no member .* --pipeline survey@12D3/)

  const named = ['install', 'survey', '--author', amy.node.peerId, '--share-names', '--yes']
  const failed = await market(...named)
  assert.match(failed.stderr, /survey was not installed: .*not encrypted.*; nothing of it was left behind/)
  const left = async () => {
    const counts = ['tool', 'dataset', 'pipeline'].map(
      async (noun) => (await tellJson<[]>(here, noun, 'list')).length,
    )
    return Promise.all(counts)
  }
  assert.deepEqual(await left(), [0, 0, 0])
  assert.deepEqual(await bob.node.federation.datasets.listLocal(), [])

  await listAll('https://git.example.org/names')
  const plan = () => tellJson<InstallPlanView>(here, 'market', ...named.slice(0, -1), '--dry-run')
  await eventually(
    async () => (await plan()).datasets[0]?.upstream?.url.startsWith('https') === true,
    'the better address never came',
  )
  const stale = { name: 'survey', author: amy.node.peerId, shareNames: true, fingerprint: 'another' }
  assert.equal((await bob.ask('POST', '/api/v1/market/install', stale)).status, 409)
  const installed = await market(...named)
  assert.equal(installed.exit, 0, installed.stderr)
  assert.match(
    installed.stdout,
    /survey is installed, with the tool counter, the dataset names, .*upstream pull names/s,
  )
  assert.deepEqual(await left(), [1, 2, 1])
  const { upstream, policy } = await bob.node.federation.datasets.show('names')
  assert.deepEqual([upstream?.url, policy], ['https://git.example.org/names', 'local-only'])
  // Done twice, it is done once.
  const again = await tellJson<InstallPlanView>(here, 'market', ...named)
  assert.deepEqual([again.done, again.blocked], [true, []])

  // What the federation has can be listed by its name alone, but for what nobody is to learn of.
  await tellJson(here, 'dataset', 'add', 'open-names')
  const dataset = await tellJson<{ body: object }>(here, 'market', 'publish', 'dataset', 'open-names')
  const { id } = await bob.node.federation.datasets.show('open-names')
  const { federation } = bob.node.federation.genesis
  assert.partialDeepStrictEqual(dataset.body, { federation, dataset: id, policy: 'shared' })
  assert.match((await market('publish', 'dataset', 'names')).stderr, /local-only.*\(DATASET_WITHHELD\)/)
  assert.equal((await maoctlHere(['--data', there, 'market', 'install', 'survey'])).exit, 4)

  // A pipeline of the federation that lacks its tool: what a stranger lists takes no place without having been named,
  // and once it has been, the word that agrees to everything gives it no secret.
  await testImage()
  const ours = {
    name: 'ours',
    steps: [
      {
        ...{ name: 'fade', tool: 'fade', cmd: ['true'], output_dataset: 'open-names' },
        env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' },
      },
    ],
  }
  for (const [path, value] of [
    ['tools', { name: 'fade', image: BUSYBOX }],
    ['pipelines', ours],
  ] as const) {
    const made = await bob.ask('POST', `/api/v1/${path}`, value)
    assert.equal(made.status, 201, made.body)
  }
  await bob.ask('DELETE', '/api/v1/tools/fade')
  await eventually(async () => {
    await list('tool', 'fade', { image: BUSYBOX })
    return bob.node.marketplace.list({ name: 'fade' }).length === 1
  }, 'bob never heard of the tool')
  const key = join(here, 'key')
  await writeFile(key, 'correct-horse', { mode: 0o600 })
  const wanted = ['--pipeline', 'ours', '--secret', `TOKEN@${key}`]
  const taken = await init(...wanted)
  assert.equal(taken.exit, 4, taken.stderr)
  assert.match(taken.stderr, /fade.* is listed by 12D3\w+, no member .* --tool-author fade=12D3/)
  assert.deepEqual(await left(), [1, 3, 2])
  const agreed = await init(...wanted, '--tool-author', `fade=${amy.node.peerId}`)
  assert.equal(agreed.exit, 0, agreed.stderr)
  assert.match(agreed.stdout, /gets nothing by --yes; .*maoctl pipeline approve ours/)
  const { body } = await bob.ask('POST', '/api/v1/pipelines/ours/approve', { preview: true })
  assert.equal(JSON.parse(body).steps[0].approved, false, body)
})

test('a tool that is listed with a digest runs as that very image, or not at all', async (t) => {
  // No registry is asked: what is here of the repository is all there is.
  const { node, ask } = await startTestApi(t, 'amy', { execution: { images: { pull: 'never' } } })
  const data = node.config.dataDirectory
  const repository = `mao-test/listed-${node.peerId.slice(-12).toLowerCase()}`
  await tagImage(await testImage(), `${repository}:1`)
  t.after(() => removeImage(`${repository}:1`))
  await node.createFederation({ name: 'observatory' })
  const image = (digit: string) => `${repository}:1@sha256:${digit.repeat(64)}`
  const [step] = steps
  const wrong = { ...step, cmd: ['true'], input_dataset: null, output_dataset: 'names' }
  await node.marketplace.publish({ kind: 'tool', name: 'counter', body: { image: image('1') } })
  await node.marketplace.publish({ kind: 'pipeline', name: 'survey', body: { steps: [wrong] } })
  // Asked for twice at a time, it is installed once, and neither takes back what the other has made.
  const wish = { name: 'survey', shareNames: true }
  const twice = await Promise.all([1, 2].map(() => ask('POST', '/api/v1/market/install', wish)))
  assert.deepEqual(
    twice.map(({ status }) => status),
    [200, 200],
    twice.map(({ body }) => body).join('\n'),
  )
  assert.equal(node.federation.execution.tools.get('counter')?.value.image, image('1'))

  const run = async () => {
    const ended = await maoctlHere(['--data', data, '--json', 'pipeline', 'run', 'survey', '--wait'])
    return ended.json<{ state: string; code?: string; reason?: string }>()
  }
  const refused = await run()
  assert.deepEqual([refused.state, refused.code], ['failed', 'IMAGE_NOT_FOUND'], refused.reason)
  // The same image by its tag would have run.
  await node.federation.execution.addTool('counter', { image: `${repository}:1` })
  assert.equal((await run()).state, 'succeeded')
})

test("the predecessor's files are taken over from a directory, and a node serves them to another", async (t) => {
  const api = { port: 0, rateLimit: { perToken: 200, perAddress: 3 } }
  const amy = await startTestApi(t, 'amy', { marketplace: { hub: 'open' }, api })
  const bob = await startTestApi(t, 'bob')
  const [there, here] = [amy.node.config.dataDirectory, bob.node.config.dataDirectory]
  const directory = join(there, 'files')
  await mkdir(directory)
  const files = {
    federations: [{ name: 'observatory', description: 'Weekly', contacts: ['o@example.org'] }],
    tools: [counter],
    pipelines: [{ name: 'survey', description: 'Counts names', steps }],
  }
  for (const [file, entries] of Object.entries(files)) {
    const bad = file === 'tools' ? [{ name: 'No Name', image: 'x' }] : []
    await writeFile(join(directory, `${file}.json`), JSON.stringify([...entries, ...bad]))
  }
  const imported = await maoctlHere(['--data', there, 'market', 'import', directory])
  assert.equal(imported.exit, 0, imported.stderr)
  assert.match(imported.stdout, /tools.json: 1 tool taken over\.[\s\S]*1 entry left out/)
  assert.match(imported.stderr, /tools.json: entry 2 \(No Name\) is left out: /)

  // An old installer reads what it always read, without a token, to the byte.
  for (const [file, entries] of Object.entries(files)) {
    const answer = await askRaw(`${amy.url}/hub/api/${file}.json`)
    assert.deepEqual([answer.status, answer.body], [200, JSON.stringify(entries)], file)
  }
  const closed = await askRaw(`${bob.url}/hub/api/tools.json`)
  assert.equal(closed.status, 401)
  assert.match(closed.body, /marketplace\.hub is open/)
  assert.deepEqual((await bob.ask('GET', '/hub/api/tools.json')).body, '[]')

  // And another node takes it over from there, straight into its federation.
  await tellJson(here, 'federation', 'create', '--name', 'second')
  const words = ['market', 'import', `${amy.url}/hub/api`, '--into', 'federation']
  const asked = await maoctlHere(['--data', here, ...words])
  assert.equal(asked.exit, 2, 'somebody else’s files were registered for all without a question')
  assert.match(
    asked.stderr,
    /\+ tool counter lab\/counter:1\n\+ pipeline survey: count \(counter\)\n! .* unencrypted/,
  )
  assert.match(asked.stderr, /Register this in the federation \(2 entries\)\? .* add --yes/)
  assert.equal(bob.node.federation.execution.tools.get('counter'), undefined)
  const untold = await maoctlHere(['--data', here, '--yes', ...words])
  assert.match(untold.stderr, /pipelines.json: survey is left out: .*--share-names/)
  await tellJson(here, '--yes', ...words, '--share-names')
  assert.equal(bob.node.federation.execution.tools.get('counter')?.value.image, 'lab/counter:1')
  assert.deepEqual(bob.node.federation.execution.pipelines.get('survey')?.value.steps[0]?.cmd, ['wc'])
  const nothing = await maoctlHere(['--data', here, 'market', 'import', `${amy.url}/nowhere`])
  assert.equal(nothing.exit === 0, false)

  // Who needs no token has a share of its own, and nobody with one is kept out by it.
  assert.equal((await askRaw(`${amy.url}/hub/api/boats.json`)).status, 404)
  const many = Array.from({ length: 31 }, () => askRaw(`${amy.url}/hub/api/tools.json`))
  const statuses = new Set((await Promise.all(many)).map(({ status }) => status))
  assert.deepEqual(statuses, new Set([200, 429]))
  assert.equal((await amy.ask('GET', '/api/v1/market')).status, 200)
})
