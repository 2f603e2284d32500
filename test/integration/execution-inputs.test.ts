import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { isNodeError, type NodeError } from '../../src/base/errors.ts'
import { AllowedAddresses } from '../../src/base/public-address.ts'
import { parsePipeline } from '../../src/execution/catalogue/pipeline.ts'
import type { StepInput } from '../../src/execution/catalogue/step-input.ts'
import { askChecked } from '../../src/execution/inputs/checked-request.ts'
import { Inputs } from '../../src/execution/inputs/inputs.ts'
import { type InputsSettings, inputsSettingsSchema } from '../../src/execution/inputs/settings.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { newRun } from '../../src/execution/runs/run-machine.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { leadsTo, type SourceServer, serves, startSourceServer } from '../support/source-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const CSV = 'city,count\nRome,3\n'
const SHA256 = createHash('sha256').update(CSV).digest('hex')
const never = new AbortController().signal

/** What is gone when all tests of this file are over. */
const undo: (() => unknown)[] = []
const file = { after: (end: () => unknown) => undo.unshift(end) }
let room: ExecutionRoom
let web: SourceServer
let directory: string
let places = 0

before(async () => {
  directory = await temporaryDirectory(file as never)
  room = await openExecutionRoom(directory)
  file.after(() => room.stop())
  web = await startSourceServer(file as never)
  web.at.set('/data.csv', serves(CSV))
})

after(async () => {
  for (const end of undo) await end()
})

interface Wanted {
  settings?: Partial<InputsSettings>
  runs?: Run[]
  run?: Partial<Run>
  resources?: { diskBytes: number }
  signal?: AbortSignal
}

/** Stages these inputs of one step, in a place of its own. */
async function stage(inputs: StepInput[], wanted: Wanted = {}) {
  const { pipeline } = parsePipeline([
    { name: 'count', tool: 'counter', output_dataset: 'results', inputs, resources: wanted.resources },
  ])
  const [step] = pipeline.steps
  const run = {
    ...newRun({ id: 'now', pipeline: 'p', plan: pipeline.steps, trigger: { kind: 'request' }, timeMs: 1 }),
    ...wanted.run,
  }
  const { datasets } = room
  const staging = new Inputs({
    datasets,
    checkouts: datasets.upkeep.checkouts,
    runs: (id) => (wanted.runs ?? []).find((each) => each.id === id) ?? room.execution.run(id),
    settings: inputsSettingsSchema.parse({ allowedAddresses: ['127.0.0.1'], ...wanted.settings }),
    bytesMax: 1024 ** 2,
    freeBytesMin: () => 1,
  })
  places += 1
  const place = join(directory, 'inputs', String(places))
  const said: string[] = []
  const say = (line: string) => said.push(line)
  if (step === undefined) throw new Error('no step')
  const staged = await staging
    .stage({ run, step, directory: place, signal: wanted.signal ?? never, say })
    .catch(async (error: unknown) => {
      // Whatever went wrong, nothing of it is left that could be taken for an input.
      assert.deepEqual(await readdir(place).catch(() => []), [], 'a part of an input was left')
      throw error
    })
  return { ...staged, place, said }
}

async function refusal(inputs: StepInput[], wanted?: Wanted): Promise<NodeError> {
  const error = await stage(inputs, wanted).then(
    () => assert.fail('the inputs were staged'),
    (thrown: unknown) => thrown,
  )
  if (isNodeError(error)) return error
  throw error
}

test('files, texts and datasets are staged under names of their own, with what they are', async () => {
  await importDataset('cities', { 'data.csv': CSV, 'deep/data.csv': 'other\n' })
  const truth = await room.datasets.truth('cities')
  web.at.set('/moved', leadsTo('/data.csv?key=secret'))
  const { inputs, place, release, said } = await stage([
    { url: `${web.url}/data.csv`, sha256: SHA256 },
    { url: `${web.url}/data.csv?again` },
    { url: `${web.url}/moved`, name: 'moved.csv' },
    { text: 'threshold=3\n' },
    { dataset: 'cities' },
    { dataset: 'cities', commit: truth as string, path: 'deep/data.csv' },
  ])
  const names = inputs.map(({ name }) => name)
  assert.deepEqual(names, ['data.csv', 'data-2.csv', 'moved.csv', 'text.txt', 'cities', 'data-3.csv'])
  const [first, , moved, text, cities, deep] = inputs
  assert.deepEqual(
    { ...first, path: '' },
    { name: 'data.csv', path: '', kind: 'url', source: `${web.url}/data.csv`, sha256: SHA256, bytes: 18 },
  )
  // What stands in the query of a redirect can be a key.
  assert.equal(moved?.resolved, `${web.url}/data.csv?…`)
  assert.doesNotMatch(said.join('\n'), /secret/)
  assert.equal(text?.sha256, createHash('sha256').update('threshold=3\n').digest('hex'))
  assert.equal(cities?.source, `cities@${truth}`)
  assert.equal(deep?.commit, truth)
  assert.equal(await readFile(join(cities?.path ?? '', 'deep/data.csv'), 'utf8'), 'other\n')
  assert.equal(await readFile(deep?.path ?? '', 'utf8'), 'other\n')
  for (const name of await readdir(place)) assert.equal((await stat(join(place, name))).mode & 0o777, 0o444)
  assert.equal(room.datasets.upkeep.checkouts.usage().inUse, 1)
  await release()
  await release()
  assert.equal(room.datasets.upkeep.checkouts.usage().inUse, 0)
  assert.equal(web.headers()['accept-encoding'], 'identity')
})

test('one that is missing or refused is fatal, and says what to do', async () => {
  const missing = await refusal([{ text: 'x' }, { url: `${web.url}/gone.csv` }])
  assert.equal(missing.code, 'NOT_FOUND')
  assert.match(missing.message, /gone\.csv answers 404 .*check the address/)
  for (const [status, code] of [
    [410, 'NOT_FOUND'],
    [403, 'FORBIDDEN'],
    [400, 'INVALID_INPUT'],
    [206, 'INVALID_INPUT'],
    [429, 'SOURCE_UNAVAILABLE'],
    [503, 'SOURCE_UNAVAILABLE'],
  ] as const) {
    web.at.set('/status', (response) => response.writeHead(status).end('x'))
    assert.equal((await refusal([{ url: `${web.url}/status` }])).code, code, String(status))
  }
  // Nobody listens there; nobody knows the name.
  assert.equal((await refusal([{ url: 'http://127.0.0.1:1/x' }])).code, 'SOURCE_UNAVAILABLE')
  assert.equal((await refusal([{ url: 'http://nobody.invalid/x' }])).code, 'SOURCE_UNAVAILABLE')
  assert.equal(
    (await refusal([{ url: `${web.url}/data.csv`, sha256: 'a'.repeat(64) }])).code,
    'CHECKSUM_MISMATCH',
  )
  assert.equal((await refusal([{ text: 'x', sha256: 'a'.repeat(64) }])).code, 'CHECKSUM_MISMATCH')
})

test('what only this node can reach is not fetched, neither at once nor over a redirect', async () => {
  const none = { settings: { allowedAddresses: [] } }
  const urls = [
    ...['http://127.0.0.1/', 'http://localhost/', 'http://[::1]/', 'http://0x7f.1/', 'http://2130706433/'],
    ...[
      'http://169.254.169.254/latest/meta-data/',
      'http://10.0.0.1/',
      'http://[::ffff:a9fe:a9fe]/',
      'http://0/',
    ],
  ]
  for (const url of urls) {
    const error = await refusal([{ url }], none)
    assert.equal(error.code, 'FORBIDDEN', url)
    assert.match(error.message, /not public .*allowedAddresses/)
  }
  for (const target of ['http://169.254.169.254/latest', 'http://[::1]:80/', 'http://10.0.0.1/']) {
    web.at.set('/trap', leadsTo(target))
    assert.equal((await refusal([{ url: `${web.url}/trap` }])).code, 'FORBIDDEN', target)
  }
  for (const target of ['file:///etc/passwd', 'ftp://127.0.0.1/x', 'http://me:pass@127.0.0.1/', 'http://']) {
    web.at.set('/trap', leadsTo(target, 307))
    assert.equal((await refusal([{ url: `${web.url}/trap` }])).code, 'INVALID_INPUT', target)
  }
  web.at.set('/round', leadsTo('/round', 301))
  const before = web.heard.length
  assert.match((await refusal([{ url: `${web.url}/round` }])).message, /leads on more than/)
  assert.equal(web.heard.length - before, 11)
})

test('a name that changes what it stands for is asked once, and only what was checked is connected to', async () => {
  const answers = [
    [
      { address: '10.9.9.9', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
    [{ address: '127.0.0.2', family: 4 }],
  ]
  let asked = 0
  const lookup = async () => {
    asked += 1
    return answers[asked - 1] ?? []
  }
  const allowed = new AllowedAddresses(['127.0.0.1'])
  const request = { allowed, idleTimeoutMs: 5_000, signal: never, lookup }
  const url = new URL(`http://rebind.example:${web.port}/data.csv`)
  const response = await askChecked(url, request)
  assert.equal(response.statusCode, 200)
  assert.equal(response.socket.remoteAddress, '127.0.0.1')
  assert.equal(asked, 1)
  response.destroy()
  await assert.rejects(askChecked(url, request), { code: 'FORBIDDEN' })
  assert.equal(asked, 2)
})

test('https is checked, and is not left for http', async () => {
  const secure = await startSourceServer(file as never, true)
  secure.at.set('/data.csv', serves(CSV))
  secure.at.set('/down', leadsTo(`${web.url}/data.csv`))
  const untrusted = await refusal([{ url: `${secure.url}/data.csv` }])
  assert.equal(untrusted.code, 'SOURCE_UNAVAILABLE')
  assert.match(untrusted.message, /certificate/)
  const settings = { settings: { caFile: secure.caFile } }
  const { inputs } = await stage([{ url: `${secure.url}/data.csv`, sha256: SHA256 }], settings)
  assert.equal(inputs[0]?.bytes, 18)
  const down = await refusal([{ url: `${secure.url}/down` }], settings)
  assert.match(down.message, /from https to http/)
  const missing = await refusal([{ url: `${secure.url}/x` }], { settings: { caFile: '/nonexistent.pem' } })
  assert.equal(missing.code, 'INVALID_CONFIG')
})

test('a body that is cut, or goes on for ever, is never taken for the file', async () => {
  web.at.set('/cut', (response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('half')
    setTimeout(() => response.socket?.destroy(), 20)
  })
  web.at.set('/cut-chunks', (response) => {
    response.write('half')
    setTimeout(() => response.socket?.destroy(), 20)
  })
  web.at.set('/unbounded', (response) => {
    response.socket?.end('HTTP/1.0 200 OK\r\n\r\nwho knows whether this is all')
  })
  web.at.set('/silent', (response) => response.writeHead(200, { 'content-length': 1000 }).write('half'))
  web.at.set('/dripping', (response) => {
    response.writeHead(200, { 'content-length': 100_000 })
    const drip = setInterval(() => response.write('x'), 20)
    response.once('close', () => clearInterval(drip))
  })
  const of = (path: string, settings: Partial<InputsSettings> = {}) =>
    refusal([{ url: `${web.url}${path}` }], { settings: { allowedAddresses: ['127.0.0.1'], ...settings } })
  assert.match((await of('/cut')).message, /broke off after 4 of 1000 bytes/)
  assert.equal((await of('/cut-chunks')).code, 'SOURCE_UNAVAILABLE')
  assert.equal((await of('/unbounded')).code, 'UNSUPPORTED')
  assert.equal((await of('/silent', { idleTimeoutMs: 200 })).code, 'SOURCE_UNAVAILABLE')
  const dripping = await of('/dripping', { timeoutMs: 1_000 })
  assert.equal(dripping.code, 'SOURCE_UNAVAILABLE')
  assert.match(dripping.message, /took longer than 1 s/)
  // A cancel is the caller's own, not a fault of the server.
  const cancel = new AbortController()
  const cancelled = stage([{ url: `${web.url}/dripping` }], { signal: cancel.signal })
  await sleep(100)
  cancel.abort(new Error('enough'))
  await assert.rejects(cancelled, /enough/)
})

test('what is too large is refused before and while it comes', async () => {
  web.at.set('/large', serves(Buffer.alloc(2_000)))
  web.at.set('/endless', (response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
    }
    response.on('drain', more)
    more()
  })
  const resources = { diskBytes: 1_999 }
  assert.equal((await refusal([{ url: `${web.url}/large` }], { resources })).code, 'TOO_LARGE')
  assert.equal((await refusal([{ url: `${web.url}/endless` }], { resources })).code, 'TOO_LARGE')
  // All inputs together.
  const both: StepInput[] = [{ url: `${web.url}/data.csv` }, { text: 'x'.repeat(1_990) }]
  assert.equal((await refusal(both, { resources })).code, 'TOO_LARGE')
})

test('an encoding that nobody asked for is taken off, unless the file is that itself', async () => {
  const zipped = gzipSync(CSV)
  const encoded = { 'content-encoding': 'gzip' }
  web.at.set('/encoded.csv', serves(zipped, encoded))
  web.at.set('/archive.csv.gz', serves(zipped, encoded))
  web.at.set('/short.csv', serves(zipped.subarray(0, 20), encoded))
  web.at.set('/odd.csv', serves(zipped, { 'content-encoding': 'compress' }))
  const bomb = gzipSync(Buffer.alloc(4 * 1024 ** 2))
  web.at.set('/bomb.csv', serves(bomb, encoded))
  const { inputs } = await stage([
    { url: `${web.url}/encoded.csv`, sha256: SHA256 },
    { url: `${web.url}/archive.csv.gz` },
  ])
  assert.equal(inputs[1]?.bytes, zipped.length)
  assert.equal((await refusal([{ url: `${web.url}/short.csv` }])).code, 'SOURCE_UNAVAILABLE')
  assert.equal((await refusal([{ url: `${web.url}/odd.csv` }])).code, 'UNSUPPORTED')
  assert.ok(bomb.length < 10_000)
  assert.equal((await refusal([{ url: `${web.url}/bomb.csv` }])).code, 'TOO_LARGE')
})

test('identifiers are resolved by a handle proxy', async () => {
  const proxy = await startSourceServer(file as never)
  const url = (value: string, index = 1) => ({
    index,
    type: 'URL',
    data: { format: 'string', value },
    ttl: 86_400,
    timestamp: '2026-01-01T00:00:00Z',
  })
  const tells = (path: string, answer: unknown, status = 200) => {
    proxy.at.set(`/api/handles/${path}`, (response) => {
      response
        .writeHead(status, { 'content-type': 'application/json;charset=UTF-8' })
        .end(JSON.stringify(answer))
    })
  }
  const settings = { allowedAddresses: ['127.0.0.1'], handleProxy: `${proxy.url}/api/handles/` }
  const page = (links: string[]) => {
    const link = links.map((each) => `<${each}>; rel="item"`).join(', ')
    web.at.set(
      '/page',
      serves('<html>', { 'content-type': 'text/html; charset=utf-8', ...(link === '' ? {} : { link }) }),
    )
  }
  tells('10.5072/x%20y', { responseCode: 1, handle: '10.5072/x y', values: [] })
  tells('10.5072/page', { responseCode: 1, handle: '10.5072/page', values: [url(`${web.url}/page`)] })
  tells('20.500.1/file', {
    responseCode: 1,
    handle: '20.500.1/file',
    values: [url('http://10.0.0.1/other', 2), url(`${web.url}/data.csv`)],
  })
  tells('20.500.1/none', { responseCode: 100, handle: '20.500.1/none' }, 404)
  tells('20.500.1/bare', { responseCode: 200, handle: '20.500.1/bare', values: [] })
  tells('20.500.1/sick', { responseCode: 2, handle: '20.500.1/sick', message: 'down' }, 500)
  tells('20.500.1/trap', { responseCode: 1, handle: '20.500.1/trap', values: [url('http://[::1]/x')] })

  const { inputs, said } = await stage([{ pid: 'https://hdl.handle.net/20.500.1/file', sha256: SHA256 }], {
    settings,
  })
  assert.deepEqual(
    { ...inputs[0], path: '' },
    {
      ...{ name: 'data.csv', kind: 'pid', source: 'hdl:20.500.1/file', resolved: `${web.url}/data.csv` },
      ...{ sha256: SHA256, bytes: 18, path: '' },
    },
  )
  assert.match(said.join('\n'), /hdl:20\.500\.1\/file is at/)
  assert.equal(proxy.heard.at(-1), '/api/handles/20.500.1/file?type=URL')
  const of = (pid: string) => refusal([{ pid }], { settings })
  assert.equal((await of('hdl:20.500.1/none')).code, 'NOT_FOUND')
  assert.equal((await of('hdl:20.500.1/bare')).code, 'NOT_FOUND')
  assert.equal((await of('hdl:20.500.1/sick')).code, 'SOURCE_UNAVAILABLE')
  assert.equal((await of('hdl:20.500.1/nobody')).code, 'SOURCE_UNAVAILABLE')
  assert.equal((await of('hdl:20.500.1/trap')).code, 'FORBIDDEN')
  // The proxy itself may be asked, because it is set, and nothing else beside it.
  const alone = { settings: { ...settings, allowedAddresses: [] } }
  assert.match((await refusal([{ pid: '20.500.1/trap' }], alone)).message, /^::1 is not public/)

  // The landing page of a DOI is not its data.
  page([])
  assert.match((await of('doi:10.5072/page')).message, /leads to a page for people/)
  page(['/data.csv', '/other.csv'])
  assert.match((await of('doi:10.5072/page')).message, /with 2 files.*\/other\.csv/)
  page(['/data.csv'])
  const found = await stage([{ pid: 'doi:10.5072/page' }], { settings })
  assert.equal(found.inputs[0]?.resolved, `${web.url}/data.csv`)
  assert.equal(found.inputs[0]?.name, 'data.csv')
})

test('the output of an earlier run is its commit, when it succeeded and made one', async () => {
  const { commit } = await commit1('results', { 'table.csv': CSV })
  // Its branch has gone on since.
  await commit1('results', { 'table.csv': 'newer\n' })
  const earlier = (change: Partial<Run>, outputCommit: string | undefined = commit): Run => {
    const step = { name: 'make', tool: 't', state: 'succeeded', outputDataset: 'results', outputCommit }
    return { id: 'before', pipeline: 'p', state: 'succeeded', steps: [step], ...change } as Run
  }
  const runs = (change: Partial<Run> = {}) => ({ runs: [earlier(change)] })
  const { inputs, release } = await stage(
    [{ run: 'before' }, { run: 'before', step: 'make', path: 'table.csv' }],
    runs(),
  )
  assert.deepEqual(
    inputs.map(({ name, kind, source, commit }) => [name, kind, source, commit]),
    [
      ['results-make', 'run', 'before/make', commit],
      ['table.csv', 'run', 'before/make:table.csv', commit],
    ],
  )
  assert.equal(await readFile(inputs[1]?.path ?? '', 'utf8'), CSV)
  await release()
  assert.equal((await refusal([{ run: 'before' }], runs({ state: 'failed' }))).code, 'CONFLICT')
  const nothing = {
    ...earlier({}),
    steps: [{ ...earlier({}).steps[0], outputCommit: undefined }],
  } as unknown as Run
  assert.equal((await refusal([{ run: 'before' }], { runs: [nothing] })).code, 'NOT_FOUND')
  assert.equal((await refusal([{ run: 'before', step: 'other' }], runs())).code, 'NOT_FOUND')
  assert.equal((await refusal([{ run: 'before', path: 'nothing.csv' }], runs())).code, 'NOT_FOUND')
  assert.equal((await refusal([{ run: 'unknown' }])).code, 'RUN_NOT_FOUND')
  // Another member's run does not read ours.
  const foreign = { ...runs({ owner: 'node' }), run: { owner: 'bob' } }
  assert.equal((await refusal([{ run: 'before' }], foreign)).code, 'FORBIDDEN')
  assert.ok(await stage([{ run: 'before' }], { ...runs({ owner: 'bob' }), run: { owner: 'bob' } }))
})

test('a dataset is read as agreed, as pinned, or as this very run has made it; links are not followed', async () => {
  assert.equal((await refusal([{ dataset: 'unknown' }])).code, 'DATASET_NOT_FOUND')
  await room.datasets.add('empty')
  assert.match((await refusal([{ dataset: 'empty' }])).message, /no ground truth yet/)
  const { commit } = await commit1('cities', { 'new.csv': 'x\n', secrets: '-> new.csv' })
  const pinned = await stage([{ dataset: 'cities' }], { run: { inputCommits: { cities: commit } } })
  assert.equal(pinned.inputs[0]?.commit, commit)
  const link = await refusal([{ dataset: 'cities', commit, path: 'secrets' }])
  assert.match(link.message, /is a link, which is not followed/)
  assert.equal((await refusal([{ dataset: 'cities', path: '../x' }])).code, 'PATH_UNSAFE')
  const absent = await refusal([{ dataset: 'cities', commit: '0'.repeat(40) }])
  assert.notEqual(absent.code, 'INTERNAL')
})

async function filesIn(files: Record<string, string>): Promise<string> {
  places += 1
  const at = join(directory, 'made', String(places))
  await mkdir(at, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(at, path, '..'), { recursive: true })
    if (content.startsWith('-> ')) await symlink(content.slice(3), join(at, path))
    else await writeFile(join(at, path), content)
  }
  return at
}

async function importDataset(name: string, files: Record<string, string>): Promise<void> {
  await room.datasets.importDirectory(name, await filesIn(files))
}

async function commit1(dataset: string, files: Record<string, string>) {
  if (room.datasets.find(dataset) === undefined) await room.datasets.add(dataset)
  return room.datasets.commitDirectory({
    dataset,
    step: 'make',
    directory: await filesIn(files),
    message: 'made\n',
  })
}
