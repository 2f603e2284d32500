import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunView } from '../../src/api/run-views.ts'
import { openDatabase } from '../../src/base/database.ts'
import { STAGES } from '../../src/execution/runs/run.ts'
import { encodedForms } from '../../src/execution/secrets/secret-forms.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const TOKEN = 'correct-horse/battery staple'
const FILED = 'filed-by-hand-0123456789'
const PRIVATE = '{{ MAO_PRIVATE_VARIABLE }}'

/** Says what it was given in every way that a tool does without meaning to, to both streams, at once and in pieces. */
const BLAB = `set -e
[ "$(printf %s "$TOKEN" | wc -c)" = ${TOKEN.length} ]
env; echo "token: $TOKEN" >&2
for before in '' x xx; do printf '%s%s!' "$before" "$TOKEN" | base64; done
printf %s "$TOKEN" | xxd -p
printf 'correct-ho' >&2; sleep 0.2; printf 'rse/battery staple\\n' >&2
echo "filed: $FILED"
`
const PIPELINE = {
  name: 'blabbing',
  steps: [
    {
      ...{ name: 'work', tool: 'shell', cmd: ['/bin/sh', '-c', `${BLAB} echo fine > data/fine`] },
      env: { TOKEN: PRIVATE, FILED: PRIVATE },
      filter: {
        tool: 'shell',
        cmd: ['/bin/sh', '-c', 'echo "$TOKEN" | base64; env'],
        env: { TOKEN: PRIVATE },
      },
      output_dataset: 'out',
    },
    {
      ...{ name: 'fails', tool: 'shell', cmd: ['/bin/sh', '-c', `${BLAB} exit 3`] },
      env: { TOKEN: PRIVATE, FILED: PRIVATE },
      output_dataset: 'out',
    },
  ],
}

/** Every file below a directory, as text that keeps each byte. */
async function filesBelow(directory: string): Promise<[path: string, content: string][]> {
  const found: [string, string][] = []
  for (const path of await readdir(directory, { recursive: true })) {
    const full = join(directory, path)
    if ((await stat(full)).isFile()) found.push([path, await readFile(full, 'latin1')])
  }
  return found
}

test('a tool that prints its secrets leaves no trace of them, and its log is read on from any byte', {
  timeout: 120_000,
}, async (t) => {
  await testImage()
  const data = await temporaryDirectory(t)
  const { ready, stderr, stop } = await startInstance(t, data, ['--name', 'alice'], {
    MAO_LOG_LEVEL: 'debug',
  })
  const say = (...words: string[]) => maoctlHere(['--data', data, ...words])
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  await tellJson(data, 'dataset', 'add', '--name', 'out')
  await tellJson(data, 'tool', 'add', 'shell', '--image', BUSYBOX)
  await writeFile(join(data, 'p.yaml'), JSON.stringify(PIPELINE))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 'p.yaml'))

  // The secrets come in by standard input and by the file, which is then sealed.
  const set = await maoctlHere(['--data', data, 'secret', 'set', 'TOKEN'], { input: `${TOKEN}\n` })
  assert.match(set.stdout, /^TOKEN is sealed on this node\./, set.stderr)
  const named = ['secret', 'set', 'TOKEN', '--pipeline', 'blabbing', '--step', 'fails']
  assert.equal((await maoctlHere(['--data', data, ...named], { input: TOKEN })).exit, 0)
  await writeFile(join(data, 'secrets.yaml'), `FILED: ${FILED}\n`, { mode: 0o600 })
  assert.match((await say('--yes', 'secret', 'seal')).stdout, /^Sealed FILED\. .*secrets\.yaml is removed/)
  const listed = await tellJson<{ variable: string; pipeline?: string; step?: string }[]>(
    data,
    'secret',
    'list',
  )
  assert.deepEqual(
    listed.map(({ variable, pipeline, step }) => [variable, pipeline, step]),
    [
      ['FILED', undefined, undefined],
      ['TOKEN', undefined, undefined],
      ['TOKEN', 'blabbing', 'fails'],
    ],
  )
  assert.equal((await maoctlHere(['--data', data, 'secret', 'set', 'TOKEN'], { input: '' })).exit, 2)
  assert.equal(
    (await maoctlHere(['--data', data, 'secret', 'set', 'A', '--step', 's'], { input: 'x' })).exit,
    2,
  )

  assert.equal((await say('--yes', 'pipeline', 'approve', 'blabbing')).exit, 0)
  const ran = await say('--json', 'pipeline', 'run', 'blabbing', '--wait')
  const run = ran.json<RunView>()
  assert.equal(run.state, 'failed', run.reason)
  assert.equal(run.steps[0]?.state, 'succeeded')
  assert.equal(run.steps[1]?.exitCode, 3)

  // Each stage has its log, and it is read on from any byte.
  const log = (...words: string[]) => say('run', 'logs', run.id, ...words)
  const whole = (await log()).stdout
  assert.match(whole, /token: \[secret\]\n/)
  assert.match((await log('--step', 'work', '--stage', 'configure')).stdout, /image|box/)
  assert.match((await log('--step', 'work', '--stage', 'filter')).stdout, /\[secret\]/)
  assert.match((await log('--step', 'work', '--stage', 'publish')).stdout, /committed/)
  assert.equal((await log('--from', '40')).stdout, Buffer.from(whole).subarray(40).toString())
  const told = await tellJson<{ from: number; next: number; complete: boolean; log: string }>(
    data,
    ...['run', 'logs', run.id, '--from', '40'],
  )
  assert.deepEqual([told.from, told.next, told.complete], [40, Buffer.byteLength(whole), true])
  assert.equal((await log('--stage', 'nothing')).exit, 2)
  assert.equal((await log('--step', 'nothing')).exit, 3)
  const token = (await readFile(ready.tokenFile, 'utf8')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(`${ready.url}/api/v1/runs/${run.id}/logs?from=3`, { headers })
  assert.equal(answer.headers.get('mao-log-bytes'), String(Buffer.byteLength(whole)))
  assert.equal((await answer.text()).length, whole.length - 3)

  // Whoever asks in whatever way is not told, and neither the disk nor the node's own log knows.
  const spoken: [string, string][] = [['maoctl pipeline run', ran.stdout + ran.stderr]]
  for (const stage of STAGES) spoken.push([stage, (await log('--stage', stage)).stdout])
  for (const words of [
    ['run', 'show', run.id],
    ['run', 'export', run.id],
    ['--json', 'run', 'list'],
    ['--json', 'secret', 'list'],
    ['pipeline', 'approve', 'blabbing', '--yes'],
    ['--json', 'registry', 'list', '/'],
  ]) {
    const { exit, stdout, stderr: said } = await say(...words)
    assert.equal(exit, 0, `${words.join(' ')}: ${said}`)
    spoken.push([words.join(' '), stdout + said])
  }
  assert.match((await say('pipeline', 'revoke', 'blabbing')).stdout, /work, work \(filter\)|fails/)
  const refused = (await say('--json', 'pipeline', 'run', 'blabbing', '--wait')).json<RunView>()
  assert.equal(refused.state, 'rejected')
  assert.equal((await say('--yes', 'secret', 'remove', 'FILED')).exit, 0)
  assert.equal((await say('--yes', 'secret', 'remove', 'FILED')).exit, 3)

  // A log that is being followed when the node stops is not taken for a whole one.
  const sleeping = {
    name: 'sleeping',
    steps: [{ ...PIPELINE.steps[1], env: null, cmd: ['/bin/sh', '-c', 'echo begun; sleep 60'] }],
  }
  await writeFile(join(data, 's.yaml'), JSON.stringify(sleeping))
  await tellJson(data, 'pipeline', 'add', '-f', join(data, 's.yaml'))
  const { id } = await tellJson<RunView>(data, 'pipeline', 'run', 'sleeping')
  const following = say('run', 'logs', id, '-f')
  await eventually(async () => (await say('run', 'logs', id)).stdout === 'begun\n', 'the tool did not begin')
  await stop()
  const cut = await following
  assert.deepEqual([cut.exit, cut.stdout], [6, 'begun\n'])
  assert.match(cut.stderr, /go on with "maoctl run logs .* -f --from 6"/)
  spoken.push(['the log of the node', stderr()])
  const database = await openDatabase(data)
  for await (const [key, value] of database.iterator({ valueEncoding: 'utf8' })) spoken.push([key, value])
  await database.close()
  spoken.push(...(await filesBelow(data)))
  assert.ok(spoken.length > 60, `${spoken.length} places were looked at`)
  const needles = [TOKEN, FILED].flatMap((secret) => [secret, ...encodedForms(secret)])
  for (const [where, text] of spoken) {
    const unwrapped = text.replaceAll('\n', '')
    for (const needle of needles) {
      assert.ok(!text.includes(needle) && !unwrapped.includes(needle), `${where} holds ${needle}`)
    }
  }
})
