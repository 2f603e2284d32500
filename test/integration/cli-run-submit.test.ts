import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunView } from '../../src/api/run-views.ts'
import type { RunPreviewView } from '../../src/api/submit-views.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const GIB = 1024 ** 3

const PIPELINES = {
  long: [{ name: 'sleep', tool: 'shell', cmd: ['sleep', '60'], output_dataset: 'out' }],
  quick: [{ name: 'write', tool: 'shell', cmd: ['sh', '-c', 'echo 1 > data/one'], output_dataset: 'out' }],
  wrong: [
    { name: 'a', tool: 'shell', docker_socket: true, input_dataset: 'empty', output_dataset: 'out' },
    { name: 'b', tool: 'gone', env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' }, output_dataset: 'out' },
  ],
  huge: [{ name: 'huge', tool: 'shell', resources: { memoryBytes: 4_000 * GIB }, output_dataset: 'out' }],
}

test('a run is looked at before it is submitted, submitted once under a key, and says why it waits', {
  timeout: 120_000,
}, async (t) => {
  await testImage()
  const data = await temporaryDirectory(t)
  const limit = { MAO_EXECUTION_MEMORY_BYTES: String(5_000 * GIB), MAO_EXECUTION_CONCURRENCY: '1' }
  const { ready } = await startInstance(t, data, ['--name', 'alice'], limit)
  const tell = <T>(...words: string[]) => tellJson<T>(data, ...words)
  const say = (...words: string[]) => maoctlHere(['--data', data, ...words])
  await tell('federation', 'create', '--name', 'lab')
  for (const name of ['out', 'empty']) await tell('dataset', 'add', '--name', name)
  await tell('tool', 'add', 'shell', '--image', BUSYBOX)
  await tell('tool', 'add', 'gone', '--image', 'registry.invalid/nowhere:1')
  for (const [name, steps] of Object.entries(PIPELINES)) {
    await writeFile(join(data, `${name}.yaml`), JSON.stringify(steps))
    await tell('pipeline', 'add', '-f', join(data, `${name}.yaml`))
  }

  // A dry run writes nothing and says everything at once.
  const good = await tell<RunPreviewView>('run', 'submit', 'quick', '--dry-run', '--priority', '7')
  assert.deepEqual([good.wouldRun, good.problems, good.priority, good.queue.position], [true, [], 7, 1])
  assert.equal(good.queue.engine, 'local')
  const [step] = good.steps
  assert.equal(step?.image?.state, 'there')
  assert.equal(step?.image?.pinned, undefined, 'a dry run pins no image')
  assert.equal(step?.outputBranch, 'write-alice')
  assert.equal(step?.granted.network, 'none')
  const wrong = await say('run', 'submit', 'wrong', '--dry-run')
  assert.equal(wrong.exit, 8)
  for (const said of [
    /wrong would not run: \d things are wrong\. Nothing was written\./,
    /a +FORBIDDEN +The step a asks for the Docker socket.*execution\.dockerSocketGranted/,
    /a +NOT_FOUND +The dataset empty has no ground truth yet/,
    /b +FORBIDDEN +The step b asks for secrets.*maoctl pipeline approve wrong/,
    /registry\.invalid\/nowhere:1 \(would be pulled\)/,
  ]) {
    assert.match(wrong.stdout, said)
  }
  assert.deepEqual(await tell('run', 'list'), [])

  // What no engine has is refused at the door.
  const huge = await say('run', 'submit', 'huge')
  assert.equal(huge.exit, 6)
  assert.match(
    huge.stderr,
    /asks for 4000 GiB of memory, and the engines of this node have at most .* run it on a member/,
  )

  // One key is one run, also at one instant and for another client.
  const first = await tell<RunView>('run', 'submit', 'long', '--key', 'k1')
  assert.equal((await tell<RunView>('run', 'submit', 'long', '--key', 'k1')).id, first.id)
  const token = (await readFile(ready.tokenFile, 'utf8')).trim()
  const post = (key: string, body: object) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    }
    return fetch(`${ready.url}/api/v1/runs`, { method: 'POST', headers, body: JSON.stringify(body) })
  }
  const twins = await Promise.all([1, 2].map(() => post('"k2"', { pipeline: 'quick', priority: -3 })))
  const [one, two] = (await Promise.all(twins.map((answer) => answer.json()))) as RunView[]
  assert.deepEqual(
    twins.map(({ status }) => status),
    [201, 201],
  )
  assert.equal(one?.id, two?.id)
  const other = await say('run', 'submit', 'quick', '--key', 'k2')
  assert.equal(other.exit, 4)
  assert.match(other.stderr, /key k2 was used for another request, which made run .*use a new key/)

  // What waits says why, in the order of its turn.
  await eventually(
    async () => (await tell<RunView>('run', 'show', first.id)).state === 'running',
    'the first run never began',
  )
  const urgent = await tell<RunView>('run', 'submit', 'quick', '--priority', '50', '--max-wait', '20s')
  assert.equal(urgent.queue?.position, 1)
  const line = await tell<{ id: string; why: string }[]>('run', 'queue')
  assert.deepEqual(
    line.map(({ id }) => id),
    [urgent.id, one?.id],
  )
  const listed = (owner: string) => tell<RunView[]>('run', 'list', '--owner', owner, '--state', 'queued')
  assert.deepEqual(
    (await listed('node')).map(({ queue }) => queue?.position),
    [1, 2],
  )
  assert.deepEqual(await listed('somebody'), [])
  assert.match(line[0]?.why ?? '', new RegExp(`^it is next: run ${first.id} is at work`))
  assert.match(
    (await say('run', 'show', one?.id ?? '')).stdout,
    /place: +2: the branch of step out\/write is to be written first by run/,
  )
  const impatient = await tell<RunView>('run', 'submit', 'quick', '--max-wait', '1s')
  await eventually(async () => {
    const { state, code, reason = '' } = await tell<RunView>('run', 'show', impatient.id)
    return state === 'timed-out' && code === 'TIMED_OUT' && /waited longer than it was to/.test(reason)
  }, 'the impatient run went on waiting')
  assert.equal((await tell<RunView>('run', 'cancel', one?.id ?? '')).state, 'cancelled')
  assert.equal((await tell<RunView>('run', 'cancel', first.id)).state, 'cancelled')
  await eventually(
    async () => (await tell<RunView>('run', 'show', urgent.id)).state === 'succeeded',
    'the urgent run never ended',
  )
  assert.match((await say('run', 'queue')).stdout, /Nothing waits/)
})
