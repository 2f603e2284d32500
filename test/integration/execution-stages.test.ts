/** The stages of a step, and the houses that tools are written for, on the real engine. One room for all. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { withDeadline } from '../../src/base/wait.ts'
import type { Run, Stage } from '../../src/execution/runs/run.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX, containersLabelled, removeImage, testImage } from '../support/test-images.ts'

const ALGORITHM = 'mao-test/algorithm:1'
/** Runs as another user than the tools whose output it filters. */
const FILTER = 'mao-test/filter:1'
const SECRET = 'wren-7041-thrush'

/** Knows the contract of compute-to-data and nothing of this node: it counts the lines of each file of each input. */
const COUNT_LINES = [
  'cd "$INPUTS" && echo "dids $DIDS by $TRANSFORMATION_DID in $VOLUME"',
  'for did in $(echo "$DIDS" | tr -d \'[]"\' | tr , " "); do',
  'for file in $(find "$did" -type f | sort); do echo "$file $(wc -l < $file)" >> "$OUTPUTS/result"; done',
  'grep -q "$did" /data/ddos/$did || exit 8; done',
  'echo "said in a file" > $LOGS/own.log; [ -d /data/transformations ] || exit 9; ! touch $INPUTS/x 2>/dev/null',
].join('\n')

let base: string
let room: ExecutionRoom
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-stages-'))
  await testImage()
  await testImage(ALGORITHM, [`ENTRYPOINT ["/bin/sh","-c",${JSON.stringify(COUNT_LINES)}]`])
  const environment = { MAO_SECRET_TOKEN: SECRET, MAO_SECRET_SALT: 'owl-5522-finch' }
  room = await openExecutionRoom(join(base, 'node'), { environment })
  await testImage(FILTER, ['USER 1234:1234'])
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.execution.addTool('anon', { image: FILTER })
  await room.execution.addTool('algo', { image: ALGORITHM })
  await room.datasets.add('out')
  for (const [path, text] of [
    ['people.csv', 'ann 1970\nbob 1981\n'],
    ['more/pets.csv', 'cat\n'],
  ] as const) {
    await mkdir(dirname(join(base, 'source', path)), { recursive: true })
    await writeFile(join(base, 'source', path), text)
  }
  await room.datasets.importDirectory('raw', join(base, 'source'))
})
after(async () => {
  await room.stop()
  assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  await removeImage(ALGORITHM)
  await removeImage(FILTER)
  await rm(base, { recursive: true, force: true, maxRetries: 3 })
})

let count = 0
async function finished(step: Record<string, unknown>, options: { timeoutMs?: number } = {}): Promise<Run> {
  count += 1
  const name = `work-${count}`
  const whole = { name, tool: 'shell', output_dataset: 'out', ...step }
  await room.execution.addPipeline(name, { steps: [whole] })
  const asksSecrets = JSON.stringify(step).includes('MAO_PRIVATE_VARIABLE')
  if (asksSecrets) await room.execution.approve(name)
  const { id } = await room.execution.submit(name, options)
  return withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
}

async function ran(step: Record<string, unknown>, options: { timeoutMs?: number } = {}): Promise<Run> {
  const run = await finished(step, options)
  assert.deepEqual(await containersLabelled('mao.run', run.id), [])
  assert.deepEqual(await readdir(join(base, 'node/staging')), [])
  return run
}

function sh(script: string): string[] {
  return ['/bin/sh', '-c', script]
}

async function logOf(run: Run, stage: Stage): Promise<string> {
  let text = ''
  for await (const piece of room.execution.logs(run.id, { stage })) text += piece
  return text
}

/** The files of what a run committed, path → text; undefined where it committed nothing. */
async function outputOf(run: Run): Promise<Record<string, string> | undefined> {
  const commit = run.steps[0]?.outputCommit
  const repository = await room.datasets.repository('out')
  const branch = await repository.resolve(`${run.pipeline}-alice`)
  assert.equal(branch, commit)
  if (commit === undefined) return undefined
  const files = await repository.listFiles(commit)
  const read = async (oid: string) => Buffer.from(await repository.readBlob(oid)).toString()
  return Object.fromEntries(await Promise.all(files.map(async ({ path, oid }) => [path, await read(oid)])))
}

function states(run: Run): string[] {
  return run.transitions.map(({ state }) => state)
}

test('what a filter leaves is committed; it sees the output and no input, and each stage has its log', async () => {
  const run = await ran({
    input_dataset: 'raw',
    cmd: sh('cp input/people.csv data/copy; echo counted; chmod 700 data/copy'),
    filter: {
      tool: 'anon',
      cmd: sh('ls -d input inputs data 2>/dev/null; cut -d" " -f2 data/copy > data/years; rm data/copy'),
    },
  })
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(states(run), [
    ...['queued', 'pulling', 'staging', 'running', 'filtering', 'committing', 'succeeded'],
  ])
  assert.deepEqual(await outputOf(run), { years: '1970\n1981\n' })
  assert.deepEqual([run.steps[0]?.filter?.tool, run.steps[0]?.filter?.exitCode], ['anon', 0])
  assert.equal(await logOf(run, 'algorithm'), 'counted\n')
  assert.equal(await logOf(run, 'filter'), 'data\n')
  const configured = await logOf(run, 'configure')
  assert.match(configured, /image .* is .*sha256:[0-9a-f]{64}/)
  assert.match(configured, /input dataset raw at [0-9a-f]{40} \(ground-truth\)/)
  assert.match(await logOf(run, 'publish'), /committed [0-9a-f]{40} on work-1-alice of out/)
})

test('a filter that fails in any way withholds the output, and the run says so', async () => {
  const failing: [Record<string, unknown>, string, RegExp, timeoutMs?: number][] = [
    [{ cmd: sh('echo not this; exit 3') }, 'failed', /filter anon withheld.*nothing.*exit code 3/],
    [{ cmd: sh('dd if=/dev/zero of=/dev/null bs=128M count=1') }, 'oom-killed', /withheld.*memory limit/],
    [{ cmd: sh('sleep 60') }, 'timed-out', /withheld.*longer than 2 s/, 2_000],
    [{ cmd: ['/no/such/program'] }, 'failed', /withheld.*does not start/],
  ]
  for (const [filter, state, reason, timeoutMs = 15_000] of failing) {
    const run = await ran({
      cmd: sh('echo raw > data/raw'),
      timeoutMs,
      filter: { tool: 'anon', ...filter },
    })
    assert.equal(run.state, state, run.reason)
    assert.match(run.reason ?? '', reason)
    assert.equal(await outputOf(run), undefined)
    assert.equal(states(run).includes('committing'), false)
  }
  const gone = finished({ cmd: sh('echo raw > data/raw'), filter: { tool: 'anon', cmd: sh('sleep 60') } })
  const filtering = () => room.execution.runs().find(({ state }) => state === 'filtering')
  await eventually(() => filtering() !== undefined, 'no filter began')
  await room.engine.remove(filtering()?.steps[0]?.filter?.containerId ?? '')
  const { state, reason } = await gone
  assert.equal(state, 'failed')
  assert.match(reason ?? '', /the filter anon withheld the output/)
  const run = await ran({ cmd: sh('exit 4'), filter: { tool: 'anon', cmd: sh('true') } })
  assert.match(run.reason ?? '', /^the tool ended with exit code 4/)
  assert.equal(states(run).includes('filtering'), false, 'a filter runs on success only')
})

test('a filter has the secrets that its own variables ask for, and not those of the tool', async () => {
  const secret = '{{ MAO_PRIVATE_VARIABLE }}'
  const run = await ran({
    cmd: sh('echo "tool: $TOKEN $SALT"'),
    env: { TOKEN: secret },
    filter: {
      tool: 'anon',
      cmd: sh(`echo "filter: \${TOKEN:-none} $SALT ${SECRET}"`),
      env: { SALT: secret },
    },
  })
  assert.equal(run.state, 'succeeded', run.reason)
  assert.match(await logOf(run, 'algorithm'), /^tool: \[[^\]]*\] \n$/)
  const filtered = await logOf(run, 'filter')
  assert.match(filtered, /^filter: none \[[^\]]*\] \[[^\]]*\]\n$/)
  assert.doesNotMatch(filtered, /wren|owl/)

  // What opens another way out of the box was not approved with it.
  const [approved] = run.plan
  const filter = { tool: 'anon', cmd: sh('env'), env: { SALT: secret } }
  for (const change of [{ filter }, { inputs: [{ text: 'x' }] }, { layout: 'compute-to-data' }]) {
    await room.execution.addPipeline(run.pipeline, { steps: [{ ...approved, ...change }] })
    const { id } = await room.execution.submit(run.pipeline)
    const changed = await withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
    assert.equal(changed.state, 'rejected')
    assert.match(changed.reason ?? '', /no longer what was approved/)
  }
})

test('an algorithm written for compute-to-data runs unchanged', async () => {
  const run = await ran({ tool: 'algo', layout: 'compute-to-data', input_dataset: 'raw' })
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(await outputOf(run), { result: 'raw/0 1\nraw/1 2\n' })
  const log = await logOf(run, 'algorithm')
  assert.equal(log, 'dids ["raw"] by algo in /data\n[own.log]\nsaid in a file\n')
})

test('a service finds its inputs and leaves its outputs where the labels of its image say', async () => {
  const described = {
    ...{ name: 'count', version: '1', description: '' },
    inputs: [{ name: 'text', path: '/exchange/in', type: 'string' as const, filename: 'text.txt' }],
    outputs: [{ name: 'counts', path: '/exchange/out' }],
  }
  const image = 'mao-test/counting-service:1'
  const labels = { name: 'count', version: '1', 'output.1.name': 'counts', 'output.1.path': '/exchange/out' }
  const input = { name: 'text', path: '/exchange/in', type: 'string', filename: 'text.txt' }
  const ofInput = Object.entries(input).map(([field, value]) => [`input.1.${field}`, value])
  const all = [...Object.entries(labels), ...ofInput]
  await testImage(
    image,
    all.map(([field, value]) => `LABEL eudat.gef.service.${field}="${value}"`),
  )
  const { id: digest } = await room.engine.image(image, new AbortController().signal)
  await room.execution.addTool('count', { image, service: { ...described, digest } })
  const cmd = sh('wc -w < /exchange/in/text.txt > /exchange/out/words')
  const step = { tool: 'count', inputs: [{ name: 'text', text: 'one two three' }], cmd }
  const run = await ran(step)
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(await outputOf(run), { 'counts/words': '3\n' })
  // A record that any member writes decides nothing of where things are.
  const outputs = [...described.outputs, { name: 'more', path: '/work/more' }]
  await room.execution.addTool('count', { image, service: { ...described, outputs, digest } })
  const lied = await ran(step)
  assert.deepEqual([lied.state, lied.code], ['rejected', 'FORBIDDEN'], lied.reason)
  assert.match(lied.reason ?? '', /does not say what the labels of its image .* say.*maoctl tool add count/)
  await removeImage(image)
})

test('further inputs are mounted by name, for tools of this node and for algorithms by number', async () => {
  const inputs = [
    { text: 'one\ntwo\n', name: 'notes.txt' },
    { text: 'cat $INPUTS/notes.txt/0 > $OUTPUTS/again', name: 'algorithm' },
  ]
  const ours = await ran({ inputs, cmd: sh('wc -l < inputs/notes.txt > data/lines; ! touch inputs/x') })
  assert.equal(ours.state, 'succeeded', ours.reason)
  assert.deepEqual(await outputOf(ours), { lines: '2\n' })
  assert.deepEqual(
    ours.steps[0]?.inputs?.map(({ name, kind }) => [name, kind]),
    [
      ['notes.txt', 'text'],
      ['algorithm', 'text'],
    ],
  )
  const moved = await ran({ inputs, layout: 'compute-to-data', cmd: sh('sh $ALGO') })
  assert.equal(moved.state, 'succeeded', moved.reason)
  assert.deepEqual(await outputOf(moved), { again: 'one\ntwo\n' })
})

test('a run that takes longer than it may ends at its deadline, whatever its steps may', async () => {
  const run = await ran({ cmd: sh('echo begun; sleep 60') }, { timeoutMs: 1_000 })
  assert.deepEqual([run.state, run.code], ['timed-out', 'TIMED_OUT'])
  assert.match(run.reason ?? '', /the run took longer than 1 s/)
  assert.equal(await logOf(run, 'algorithm'), 'begun\n')
})

test('a deadline survives a restart of the node: it counts from the first start', async (t) => {
  const directory = join(base, 'restarted')
  const first = await openExecutionRoom(directory)
  await first.execution.addTool('shell', { image: BUSYBOX })
  await first.datasets.add('out')
  await first.execution.addPipeline('slow', {
    steps: [{ name: 'slow', tool: 'shell', cmd: sh('sleep 60'), output_dataset: 'out' }],
  })
  const { id } = await first.execution.submit('slow', { timeoutMs: 3_000 })
  await eventually(() => first.execution.run(id).state === 'running', 'the run did not begin')
  await first.stop()
  const again = await openExecutionRoom(directory)
  t.after(() => again.stop())
  const [lost, repetition] = again.execution.runs()
  assert.equal(lost?.state, 'lost')
  const run = await withDeadline(again.execution.finished(repetition?.id ?? ''), 30_000, 'the repetition')
  assert.deepEqual([run.state, run.code], ['timed-out', 'TIMED_OUT'], run.reason)
  const began = lost?.transitions.find(({ state }) => state === 'pulling')?.timeMs ?? 0
  const own = run.transitions.find(({ state }) => state === 'pulling')?.timeMs ?? run.endedMs ?? 0
  assert.ok((run.endedMs ?? 0) - began >= 3_000)
  assert.ok((run.endedMs ?? 0) - own < 3_000, 'the time before the restart was forgotten')
})
