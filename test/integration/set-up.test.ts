import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

const DOCKER = join(import.meta.dirname, '..', '..', 'docker')
const NOBODY = 65_534
const commandTimeoutMs = 60_000

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

interface Options {
  env?: Record<string, string>
  stdin?: string
  uid?: number
  /** Sent once the command has printed something. */
  signal?: NodeJS.Signals
}

suite('set-up', () => {
  let project: string
  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'mao-set-up-'))
    await chmod(project, 0o755)
    await cp(DOCKER, join(project, 'docker'), { recursive: true })
  })
  after(() => rm(project, { recursive: true, force: true }))

  /** As after `npm ci`: what is installed is younger than the lockfile, or older. */
  async function installed(directory: string, ageSeconds: number): Promise<void> {
    await mkdir(join(directory, 'node_modules'), { recursive: true })
    await writeFile(join(directory, 'package-lock.json'), '{}')
    const file = join(directory, 'node_modules', '.package-lock.json')
    await writeFile(file, '{}')
    const time = Date.now() / 1_000 - ageSeconds
    await utimes(file, time, time)
  }

  function sh(words: string[], options: Options = {}): Promise<Ended> {
    const { env = {}, stdin = '', uid, signal } = options
    const child = spawn('sh', words, {
      cwd: project,
      env: { ...process.env, ...env },
      timeout: commandTimeoutMs,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    const ended: Ended = { code: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (signal !== undefined && ended.stdout === '') child.kill(signal)
      ended.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ended.stderr += text
    })
    child.stdin.end(stdin)
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ ...ended, code }))
    })
  }

  const withSetup = (command: string, options?: Options) => {
    return sh(['docker/with-setup.sh', 'demo', 'sh', '-c', command], options)
  }

  test('a command keeps its standard input, output and exit code', async () => {
    await installed(project, -60)
    const { code, stdout } = await withSetup('cat; exit 7', { stdin: 'what came in' })
    assert.equal(stdout, 'what came in')
    assert.equal(code, 7)
  })

  test('a signal reaches the command, and its end is waited for', async () => {
    await installed(project, -60)
    const command = 'trap "echo cleared up; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
    const { code, stdout } = await withSetup(command, { signal: 'SIGTERM' })
    assert.equal(stdout, 'ready\ncleared up\n')
    assert.equal(code, 3)
  })

  test('an engine that DOCKER_HOST names and that does not answer is told of, and no other is started', async () => {
    await installed(project, -60)
    const env = { DOCKER_HOST: `unix://${project}/no.sock` }
    const { code, stdout, stderr } = await withSetup('echo ran', { env })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^setup: No Docker engine answers at DOCKER_HOST=.* Nothing was changed\.\n$/)
  })

  test('who may not install anything gets one message that says what to install', async () => {
    await installed(project, -60)
    // Root becomes somebody else; anybody else is somebody who may not install anything already.
    const { code, stderr } = await withSetup('echo ran', process.getuid?.() === 0 ? { uid: NOBODY } : {})
    assert.equal(code, 1)
    assert.match(stderr, /^setup: This machine needs a running Docker engine, git.* Nothing was changed\.\n$/)
  })

  test('npm that fails is heard, and ends it with one sentence', async () => {
    await installed(project, 60)
    await writeFile(join(project, 'package.json'), '{"name":"broken","dependencies":{"absent":"1.0.0"}}')
    const { code, stdout, stderr } = await withSetup('echo ran')
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /npm error/)
    assert.match(stderr, /setup: npm ci failed; the lines above are its own words/)
    await rm(join(project, 'package.json'))
  })

  test('an unknown purpose is refused', async () => {
    const { code, stderr } = await sh(['docker/setup.sh', 'dmeo'])
    assert.equal(code, 1)
    assert.match(stderr, /usage: sh docker\/setup\.sh/)
  })
})
