import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { openDatabase, table } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { eventually } from '../support/eventually.ts'
import {
  type ExecutionRoom,
  type ExecutionRoomOptions,
  openExecutionRoom,
} from '../support/execution-room.ts'
import { BUSYBOX, removeImage, tagImage, testImage } from '../support/test-images.ts'

const TOKEN = 'correct-horse-battery'
const PRIVATE = '{{ MAO_PRIVATE_VARIABLE }}'
/** All that a tool has to do to tell everybody. */
const LEAK = 'echo "the token is $TOKEN" > data/harmless.txt'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-secrets-'))
  await testImage()
})
after(() => rm(base, { recursive: true, force: true, maxRetries: 3 }))

/** A room whose owner has a token, with the tool `shell` and a dataset `out`. */
async function roomIn(
  t: TestContext,
  name: string,
  options: ExecutionRoomOptions = {},
): Promise<ExecutionRoom> {
  const room = await openExecutionRoom(join(base, name), options)
  t.after(() => room.stop())
  await writeFile(join(base, name, 'secrets.yaml'), `TOKEN: ${TOKEN}\n`, { mode: 0o600 })
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.datasets.add('out')
  return room
}

interface Wanted {
  tool?: string
  env?: Record<string, string>
}

async function scripted(room: ExecutionRoom, script: string, wanted: Wanted = {}): Promise<void> {
  const { tool = 'shell', env = { TOKEN: PRIVATE } } = wanted
  const step = { name: 'work', tool, cmd: ['/bin/sh', '-c', script], env, output_dataset: 'out' }
  await room.execution.addPipeline('work', { steps: [step] })
}

async function ran(room: ExecutionRoom): Promise<Run> {
  const { id } = await room.execution.submit('work')
  return withDeadline(room.execution.finished(id), 30_000, 'the run')
}

async function headOf(room: ExecutionRoom): Promise<string | undefined> {
  return (await room.datasets.repository('out')).resolve('work-alice')
}

function assertRefused(run: Run): void {
  assert.deepEqual([run.state, run.code], ['rejected', 'FORBIDDEN'], run.reason)
  assert.match(run.reason ?? '', /"maoctl pipeline approve work"/)
}

test("a pipeline that merely asks for this node's secrets does not get them, whoever starts it", async (t) => {
  const room = await roomIn(t, 'asking', { environment: { MAO_SECRET_GLOBAL: 'staple-and-more' } })
  for (const env of [{ TOKEN: PRIVATE }, { GLOBAL: PRIVATE }] as Record<string, string>[]) {
    await scripted(room, LEAK, { env })
    assertRefused(await ran(room))
  }
  await room.execution.schedule({ pipeline: 'work', cron: '* * * * * *' })
  const scheduled = () => room.execution.runs().find(({ trigger }) => trigger.kind === 'schedule')
  await eventually(() => scheduled()?.endedMs !== undefined, 'the schedule did not fire')
  await room.execution.unschedule('work')
  assertRefused(scheduled() as Run)
  assert.equal(await headOf(room), undefined)
})

test('an approval holds for the step as it was, and for nothing that it becomes', async (t) => {
  const room = await roomIn(t, 'approved')
  const [image, other] = [`mao-test/trusted-${process.pid}:1`, `mao-test/swapped-${process.pid}:1`]
  await tagImage(BUSYBOX, image)
  await testImage(other, ['ENV OTHER=1'])
  t.after(async () => {
    await removeImage(image)
    await removeImage(other)
  })
  const trusted = '[ "$TOKEN" = correct-horse-battery ] && echo ok > data/ok'
  await room.execution.addTool('trusted', { image })
  await room.execution.addTool('copy', { image })
  await scripted(room, trusted, { tool: 'trusted' })
  const { steps } = await room.execution.approve('work')
  assert.deepEqual(
    steps.map(({ step, tool, variables, approved }) => [step, tool, variables, approved]),
    [['work', 'trusted', ['TOKEN'], true]],
  )
  assert.equal((await ran(room)).state, 'succeeded')

  const changes: [string, () => Promise<unknown>][] = [
    ['command', () => scripted(room, LEAK, { tool: 'trusted' })],
    ['tool', () => scripted(room, trusted, { tool: 'copy' })],
    [
      'variable',
      () => scripted(room, trusted, { tool: 'trusted', env: { TOKEN: PRIVATE, ENV: '/dev/stdin' } }),
    ],
    ['reference', () => room.execution.addTool('trusted', { image: BUSYBOX })],
    [
      'image',
      async () => {
        await tagImage(other, image)
        await room.execution.acceptImage(image)
      },
    ],
  ]
  for (const [what, change] of changes) {
    await change()
    const run = await ran(room)
    assertRefused(run)
    assert.match(run.reason ?? '', /no longer what was approved/, what)
    await tagImage(BUSYBOX, image)
    await room.execution.acceptImage(image)
    await room.execution.addTool('trusted', { image })
    await scripted(room, trusted, { tool: 'trusted' })
    assert.equal((await ran(room)).state, 'succeeded', `approved again, ${what}`)
  }
})

test('an approval is bound to every way out of the box, and can be taken back', async (t) => {
  const room = await roomIn(t, 'rights')
  const cmd = ['/bin/sh', '-c', 'true']
  const step = { name: 'work', tool: 'shell', cmd, env: { TOKEN: PRIVATE }, output_dataset: 'out' }
  const filter = { tool: 'shell', cmd: ['true'], env: { TOKEN: PRIVATE } }
  await room.execution.addPipeline('work', { steps: [step] })
  await room.execution.approve('work')
  const ways = [
    { network: 'bridge' },
    { root: 'writable' },
    { layout: 'compute-to-data' },
    { inputs: [{ name: 'x', text: 'x' }] },
    { publish: ['elsewhere'] },
    { filter },
  ]
  for (const way of ways) {
    await room.execution.addPipeline('work', { steps: [{ ...step, ...way }] })
    const { steps } = await room.execution.approve('work', { preview: true })
    assert.deepEqual([steps[0]?.approved, Object.keys(steps[0]?.rights ?? {})], [false, Object.keys(way)])
  }
  assertRefused(await ran(room))
  const approved = await room.execution.approve('work')
  assert.deepEqual(
    approved.steps.map((each) => each.step),
    ['work', 'work (filter)'],
  )
  const run = await ran(room)
  assert.equal(run.state, 'succeeded', run.reason)
  // What the record of the tool says of places in the image, any member may write.
  const { id: digest } = await room.engine.image(BUSYBOX, new AbortController().signal)
  const outputs = [{ name: 'more', path: '/work' }]
  const service = { name: 'shell', version: '1', inputs: [], outputs, digest }
  await room.execution.addTool('shell', { image: BUSYBOX, service })
  const placed = await ran(room)
  assertRefused(placed)
  assert.match(placed.reason ?? '', /no longer what was approved/)
  const shown = await room.execution.approve('work', { preview: true })
  assert.deepEqual(shown.steps[0]?.rights.service, { inputs: [], outputs })
  await room.execution.addTool('shell', { image: BUSYBOX })
  assert.deepEqual(await room.execution.revoke('work'), ['work', 'work (filter)'])
  assertRefused(await ran(room))
  assert.deepEqual(await room.execution.revoke('work'), [])
})

test('nothing else is approved than what was looked at', async (t) => {
  const room = await roomIn(t, 'looked')
  await scripted(room, 'true')
  const { fingerprint, steps } = await room.execution.approve('work', { preview: true })
  assert.deepEqual(
    steps.map(({ approved }) => approved),
    [false],
  )
  assertRefused(await ran(room))
  await scripted(room, LEAK)
  await assert.rejects(room.execution.approve('work', { fingerprint }), (e) => isNodeError(e, 'CONFLICT'))
  assertRefused(await ran(room))
  await scripted(room, 'true')
  await room.execution.approve('work', { fingerprint })
  assert.equal((await ran(room)).state, 'succeeded')
})

test('an output that holds a secret is not committed, and the run says where it was', async (t) => {
  const room = await roomIn(t, 'leaking')
  const leaks: [script: string, place: string][] = [
    ['mkdir -p data/deep; env > data/deep/env', 'the file deep/env'],
    ['printf "user:%s" "$TOKEN" | base64 > data/auth', 'the file auth'],
    ['head -c 3000000 /dev/zero > data/big; echo "$TOKEN" >> data/big', 'the file big'],
    ['echo > data/with-$TOKEN', 'a name in the output'],
    ['ln -s "$TOKEN" data/link', 'the link link'],
  ]
  for (const [script, place] of leaks) {
    await scripted(room, script)
    await room.execution.approve('work')
    const run = await ran(room)
    assert.deepEqual([run.state, run.code], ['failed', 'FORBIDDEN'], script)
    assert.equal(run.steps[0]?.exitCode, 0)
    assert.ok(run.reason?.startsWith(`${place} holds the secret TOKEN`), run.reason)
    assert.doesNotMatch(JSON.stringify(run.reason), /correct-horse/)
    assert.equal(await headOf(room), undefined)
  }
})

test('a secret reaches the tool and nothing else', async (t) => {
  const room = await roomIn(t, 'reaching', { environment: { MAO_SECRET_FROM_ENV: 'staple-and-more' } })
  const script =
    'echo "token $TOKEN"; printf correct-horse; sleep 0.2; printf -- "-battery\n"; echo $FROM_ENV >&2; [ $(printf %s "$TOKEN" | wc -c) = 21 ] || exit 1; echo ok > data/ok'
  await scripted(room, script, { env: { TOKEN: PRIVATE, FROM_ENV: PRIVATE } })
  await room.execution.approve('work')
  const run = await ran(room)
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual(run.steps[0]?.granted?.secrets, ['FROM_ENV', 'TOKEN'])
  let log = ''
  for await (const piece of room.execution.logs(run.id)) log += piece
  assert.match(log, /token \[secret\]\n/)
  const repository = await room.datasets.repository('out')
  const commit = run.steps[0]?.outputCommit ?? ''
  const { message } = await repository.readCommit(commit)
  const files = await repository.listFiles(commit)
  assert.deepEqual(
    files.map(({ path }) => path),
    ['ok'],
  )
  const contents = await Promise.all(files.map(async ({ oid }) => String(await repository.readBlob(oid))))
  await room.stop()
  const database = await openDatabase(join(base, 'reaching'))
  const stored = JSON.stringify(await table<Run>(database, 'runs').values().all())
  const records = JSON.stringify(await database.values({ valueEncoding: 'utf8' }).all())
  await database.close()
  const runs = join(base, 'reaching/runs', run.id)
  const logs = await Promise.all((await readdir(runs)).map((file) => readFile(join(runs, file), 'utf8')))
  const all = [log, ...logs, stored, records, message, JSON.stringify(files), ...contents]
  for (const text of [...all, JSON.stringify(run)]) {
    assert.doesNotMatch(text, /correct-horse-battery|staple-and-more/)
  }
})
