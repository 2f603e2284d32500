import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Run } from '../../src/execution/runs/run.ts'
import { freePort } from '../support/free-port.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const execute = promisify(execFile)
const PROJECT = join(import.meta.dirname, '../..')
const IMAGE = `mao-test/node:${process.pid}`
const COMPOSE = `maotest${process.pid}`
const MIB = 1024 ** 2
/** With the slim Debian that the Dockerfile names it is some 60 MB more than on this machine's own programs. */
const IMAGE_BYTES_MAX = 260 * MIB

let directory: string
let environment: NodeJS.ProcessEnv

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-image-'))
  await testImage()
  await execute('sh', [join(PROJECT, 'docker/build.sh'), '--machine', IMAGE], { maxBuffer: 64 * MIB })
  const { gid } = await stat('/var/run/docker.sock')
  const [alice, bob, carol] = await Promise.all([freePort(), freePort(), freePort()])
  environment = {
    ...process.env,
    MAO_IMAGE: IMAGE,
    MAO_DIRECTORY: directory,
    MAO_DOCKER_GROUP: String(gid),
    MAO_ALICE_PORT: String(alice),
    MAO_BOB_PORT: String(bob),
    MAO_CAROL_PORT: String(carol),
  }
})

after(async () => {
  await compose('down', '--volumes', '--timeout', '10').catch(() => undefined)
  await execute('docker', ['image', 'rm', '--force', IMAGE]).catch(() => undefined)
  await rm(directory, { recursive: true, force: true })
})

async function compose(...words: string[]): Promise<string> {
  const file = join(PROJECT, 'docker/compose.yaml')
  const { stdout } = await execute('docker-compose', ['-p', COMPOSE, '-f', file, ...words], {
    env: environment,
  })
  return stdout
}

/** `maoctl` in the container of a node, as whoever the image runs as. */
async function maoctl(node: string, ...words: string[]): Promise<string> {
  return (await compose('exec', '-T', node, 'maoctl', ...words)).trim()
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within a minute`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

test('the image is small, is not root, and holds no way to install anything', async () => {
  const { stdout } = await execute('docker', ['image', 'inspect', IMAGE])
  const [{ Size, Config }] = JSON.parse(stdout) as [{ Size: number; Config: { User: string } }]
  assert(Size < IMAGE_BYTES_MAX, `the image has ${Math.round(Size / MIB)} MiB`)
  assert.equal(Config.User, 'mao')
  const within =
    'id -u; command -v npm || echo no npm; touch /opt/mao/x 2>&1 || echo closed; maoctl --version'
  const looked = await execute('docker', [
    'run',
    '--rm',
    '--network',
    'none',
    '--entrypoint',
    'sh',
    IMAGE,
    '-c',
    within,
  ])
  assert.match(looked.stdout, /^10001\nno npm\n(?:.*\n)?closed\n\d+\.\d+\.\d+\n$/)
})

test("three nodes of the compose file form a federation, run a tool on the machine's engine, and stop cleanly", {
  timeout: 180_000,
}, async () => {
  await compose('up', '--detach', '--no-build')
  const ids = (await compose('ps', '--quiet', 'alice', 'bob', 'carol')).trim().split('\n')
  await until('all three healthy', async () => {
    const format = '{{.State.Health.Status}}'
    const { stdout } = await execute('docker', ['inspect', '--format', format, ...ids])
    return stdout.trim() === 'healthy\nhealthy\nhealthy'
  })
  await maoctl('alice', 'federation', 'create', '--name', 'trio')
  for (const node of ['bob', 'carol']) {
    const token = await maoctl('alice', 'federation', 'invite')
    await maoctl(node, 'federation', 'join', token)
  }
  await maoctl('alice', 'tool', 'add', 'shell', '--image', BUSYBOX)
  await maoctl('alice', 'dataset', 'add', '--name', 'results')
  const script = 'mkdir data/deep && id -u > data/deep/user'
  const steps = [{ name: 'measure', tool: 'shell', cmd: ['sh', '-c', script], output_dataset: 'results' }]
  const pipeline = JSON.stringify({ name: 'measuring', steps })
  await compose('exec', '-T', 'alice', 'sh', '-c', `echo '${pipeline}' | maoctl pipeline add -f -`)
  await until('bob knows the pipeline', async () =>
    (await maoctl('bob', 'pipeline', 'list')).includes('measuring'),
  )
  for (const node of ['alice', 'bob']) {
    const run = JSON.parse(await maoctl(node, '--json', 'run', 'submit', 'measuring', '--wait')) as Run
    assert.equal(run.state, 'succeeded', JSON.stringify(run))
  }
  // The tool ran as the node's own user, whose files the node can keep and clear away without being root.
  assert.equal(await maoctl('alice', 'dataset', 'cat', 'results', 'deep/user', '--at', 'alice'), '10001')

  const host = `127.0.0.1:${environment.MAO_ALICE_PORT}`
  const outside = await fetch(`http://${host}/readyz`)
  assert.deepEqual(await outside.json(), { status: 'ready', federated: true })
  assert.equal((await fetch(`http://${host}/api/v1/federation`)).status, 401)

  await compose('stop', '--timeout', '25')
  const { stdout } = await execute('docker', ['inspect', '--format', '{{.State.ExitCode}}', ...ids])
  assert.equal(stdout.trim(), '0\n0\n0')
})
