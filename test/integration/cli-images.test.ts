/** Images with maoctl against a whole node, a real registry and the real engine. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { BuildView } from '../../src/api/image-views.ts'
import type { RunView } from '../../src/api/run-views.ts'
import { startImageRegistry } from '../support/image-registry.ts'
import { maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, removeImage, testImage } from '../support/test-images.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const mark = `mao-cli-images-${process.pid}`

test('registries, services and builds are managed with maoctl, and no password is told', async (t) => {
  await testImage()
  const registry = await startImageRegistry(t, { isClosed: true })
  const { host, user, password } = registry
  const own = `mao-test/${mark}:1`
  await testImage(own, [`LABEL which=${mark}`])
  await registry.push(own, 'lab/closed:1')
  await removeImage(own)
  t.after(async () => {
    // Where the test fails before they are collected.
    await run('docker', ['image', 'rm', `${mark}/wc:1`, `${host}/lab/closed:1`]).catch(() => undefined)
  })

  const data = await temporaryDirectory(t)
  const instance = await startInstance(t, data, ['--name', 'alice'], {
    MAO_EXECUTION_IMAGES_ALLOW: `${host}/lab/*,mao-test/*,${mark}/*`,
    MAO_EXECUTION_IMAGES_KEEP_BYTES: '0',
    MAO_EXECUTION_IMAGES_KEEP_UNUSED_MS: '0',
    MAO_EXECUTION_IMAGES_RECENT_MS: '0',
  })
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  const say = (...words: string[]) => maoctlHere(['--data', data, ...words])
  const all: string[] = []

  // Without the password nothing comes; with it, the image does.
  const image = `${host}/lab/closed:1`
  const refused = await say('tool', 'inspect-image', image)
  assert.equal(refused.exit, 3, refused.stderr)
  assert.match(refused.stderr, /maoctl image login/)
  const wrong = await maoctlHere(['--data', data, 'image', 'login', host, '--user', user], {
    input: 'wrong\n',
  })
  assert.equal(wrong.exit, 5, wrong.stderr)
  const login = await maoctlHere(['--data', data, 'image', 'login', host, '--user', user], {
    input: `${password}\n`,
  })
  assert.equal(login.exit, 0, login.stderr)
  const logins = await say('--json', 'image', 'logins')
  assert.equal(logins.json<{ registry: string; user: string }[]>()[0]?.user, user)
  const shown = await say('tool', 'inspect-image', image)
  assert.match(shown.stdout, new RegExp(`for ever:\\s+${host}/lab/closed@sha256:`))
  assert.match(shown.stdout, /service:\s+no/)
  all.push(login.stdout, login.stderr, logins.stdout, shown.stdout, wrong.stderr)
  const forbidden = await say('tool', 'inspect-image', 'elsewhere.example.org/x:1')
  assert.equal(forbidden.exit, 5, forbidden.stderr)
  assert.match(forbidden.stderr, /execution\.images\.allow/)

  // A directory becomes an image and, being labelled, a tool of just that image.
  const directory = join(data, 'service')
  await mkdir(directory)
  const labels = [
    `LABEL eudat.gef.service.name="${mark}" eudat.gef.service.version="1"`,
    'LABEL eudat.gef.service.input.1.name="note" eudat.gef.service.input.1.path="/in"',
    'LABEL eudat.gef.service.input.1.type="string" eudat.gef.service.input.1.filename="note.txt"',
    'LABEL eudat.gef.service.output.1.name="copy" eudat.gef.service.output.1.path="/out"',
    'CMD ["cp", "/in/note.txt", "/out/"]',
  ].join('\n')
  await writeFile(join(directory, 'Dockerfile'), `FROM ${BUSYBOX}\n${labels}\nRUN echo building ${mark}\n`)
  const built = await say('--json', 'image', 'build', directory, '--tag', `${mark}/wc:1`, '--tool', 'wc')
  assert.equal(built.exit, 0, built.stderr)
  assert.match(built.stderr, new RegExp(`building ${mark}`))
  const build = built.json<BuildView & { tool: { value: { image: string; service: { digest: string } } } }>()
  assert.equal(build.tool.value.image, build.image)
  assert.equal(build.tool.value.service.digest, build.image)
  assert.match((await say('tool', 'show', 'wc')).stdout, new RegExp(`service:\\s+${mark}@1@sha256`))
  const again = await say('tool', 'add', 'other', '--service', `${mark}/wc:1`)
  assert.match(again.stdout, /The tool other runs sha256:/)
  const neither = await say('tool', 'add', 'lonely')
  assert.equal(neither.exit, 2)

  // The service runs with the inputs that a pipeline gives it, and with no others.
  await tellJson(data, 'dataset', 'add', '--name', 'notes')
  const step = { name: 'copy', tool: 'wc', output_dataset: 'notes' }
  const pipeline = async (inputs: unknown) => {
    await writeFile(join(data, 'pipeline.json'), JSON.stringify([{ ...step, inputs }]))
    return say('pipeline', 'add', '--name', 'noting', '-f', join(data, 'pipeline.json'))
  }
  const lacking = await pipeline([{ name: 'nota', text: 'x' }])
  assert.equal(lacking.exit, 2)
  assert.match(lacking.stderr, /has no input "nota"; did you mean "note"\?; step copy: the input "note" of/)
  assert.equal((await pipeline([{ name: 'note', text: 'a note' }])).exit, 0)
  const ran = await say('--json', 'pipeline', 'run', 'noting', '--wait')
  const { state, reason, steps } = ran.json<RunView>()
  assert.equal(state, 'succeeded', reason)
  assert.equal(steps[0]?.digest, build.image)
  const note = await say('dataset', 'cat', 'notes', 'copy/note.txt', '--at', steps[0]?.outputCommit ?? '')
  assert.equal(note.stdout, 'a note', note.stderr)

  // A build that fails ends so, and Ctrl-C ends the build and not only the command.
  await writeFile(join(directory, 'Dockerfile'), `FROM ${BUSYBOX}\nRUN exit 9\n`)
  const failed = await say('image', 'build', directory)
  assert.equal(failed.exit, 8, failed.stderr)
  assert.match(failed.stdout, /reason:.*The build failed: the command "exit 9" ended with exit code 9/)
  await writeFile(join(directory, 'Dockerfile'), `FROM ${BUSYBOX}\nRUN echo asleep && sleep 302\n`)
  const child = spawn(process.execPath, [MAIN, '--data', data, '--json', 'image', 'build', directory], {
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent' },
    timeout: 60_000,
  })
  const told = text(child.stdout)
  child.stderr.on('data', (piece) => {
    if (/^asleep$/m.test(String(piece))) child.kill('SIGINT')
  })
  const [exit] = await once(child, 'exit')
  assert.equal(exit, 130)
  assert.equal((JSON.parse(await told) as BuildView).state, 'cancelled')
  const builds = await say('--json', 'image', 'build', 'list')
  const states = builds.json<BuildView[]>().map(({ state }) => state)
  assert.deepEqual(states, ['cancelled', 'failed', 'succeeded'])

  // What is no build is refused with a word.
  for (const [exit, ...words] of [
    [2, 'build'],
    [2, 'build', directory, '--git', 'https://example.org/x.git'],
    [2, 'build', '--git', 'file:///etc'],
    [2, 'build', directory, '--tag', 'Not A Tag'],
    [3, 'build', '--dataset', 'there-is-none'],
    [3, 'build', 'show', 'there-is-none'],
    [3, 'logout', 'there-is-none.example.org'],
  ] as const) {
    const mistaken = await say('image', ...words)
    assert.equal(mistaken.exit, exit, `${words.join(' ')}: ${mistaken.stderr}`)
  }
  const { url } = instance.ready
  const token = (await readFile(instance.ready.tokenFile, 'utf8')).trim()
  for (const [status, type, body] of [
    [400, 'text/plain', 'FROM scratch'],
    [400, 'application/json', '{"git": 1}'],
    [400, 'application/json', 'no json'],
    [400, 'application/x-tar', 'no tar'],
    [413, 'application/json', JSON.stringify({ git: 'x'.repeat(2 ** 21) })],
  ] as const) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type }
    const answer = await fetch(`${url}/api/v1/builds`, { method: 'POST', headers, body })
    assert.equal(answer.status, status, `${type} ${body.slice(0, 20)}: ${await answer.text()}`)
  }

  // What was brought is listed, and goes when nothing needs it.
  const listed = await say('image', 'list')
  assert.match(listed.stdout, /a tool or run/)
  const dry = await say('image', 'gc', '--dry-run')
  assert.match(dry.stdout, /would go/)
  for (const name of ['wc', 'other']) await say('--yes', 'tool', 'remove', name)
  const swept = await say('--json', 'image', 'gc')
  assert.equal(swept.exit, 0, swept.stderr)
  const { stdout: left } = await run('docker', ['images', '--quiet', '--filter', `reference=*/${mark}*`])
  assert.equal(left, '')
  assert.deepEqual((await say('--json', 'image', 'list')).json(), [])
  assert.equal((await say('image', 'logout', host)).exit, 0)
  assert.deepEqual((await say('--json', 'image', 'logins')).json(), [])
  all.push(instance.stderr(), listed.stdout, swept.stdout)
  for (const said of all) assert(!said.includes(password) && !said.includes('wrong\n'), said)
})
