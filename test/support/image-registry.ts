import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

const run = promisify(execFile)

export interface ImageRegistry {
  /** `127.0.0.1:PORT`, as references begin. */
  readonly host: string
  readonly user: string
  readonly password: string
  /** Gives an image of the engine a name there, pushes it, and takes the name away here. @returns its `sha256:…` there. */
  push(image: string, repository: string): Promise<string>
  stop(): Promise<void>
}

/**
 * A real registry (CNCF distribution, Debian's docker-registry) on loopback with a root of its own.
 *
 * @param options.isClosed whether it asks for a password.
 */
export async function startImageRegistry(
  t: Pick<TestContext, 'after'>,
  { isClosed = false }: { isClosed?: boolean } = {},
): Promise<ImageRegistry> {
  const root = await mkdtemp(join(tmpdir(), 'mao-registry-'))
  const [user, password] = ['lab', 'a password with "quotes"']
  const host = `127.0.0.1:${await freePort()}`
  const auth = isClosed ? { htpasswd: { realm: 'test', path: join(root, 'htpasswd') } } : undefined
  if (isClosed) {
    const { stdout } = await run('htpasswd', ['-nbB', user, password])
    await writeFile(join(root, 'htpasswd'), stdout.trim())
  }
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(root, 'blobs') } },
    http: { addr: host, secret: 'only for a test' },
    ...(auth === undefined ? {} : { auth }),
  }
  // JSON is YAML.
  await writeFile(join(root, 'config.yml'), JSON.stringify(config))
  const child = spawn('docker-registry', ['serve', join(root, 'config.yml')], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await ended
    }
    await rm(root, { recursive: true, force: true })
  }
  t.after(stop)
  await eventually(async () => {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined)
    return answer !== undefined
  }, 'the registry never answered')
  const push = async (image: string, repository: string) => {
    const named = `${host}/${repository}`
    await run('docker', ['tag', image, named])
    try {
      if (isClosed) await pushAs(named, { user, password, host })
      else await run('docker', ['push', '--quiet', named])
      const { stdout } = await run('docker', ['image', 'inspect', '--format', '{{json .RepoDigests}}', named])
      const digests = JSON.parse(stdout) as string[]
      const own = digests.find((digest) => digest.startsWith(`${named.replace(/:[^:/]*$/, '')}@`))
      return (own as string).slice((own as string).indexOf('@') + 1)
    } finally {
      await run('docker', ['image', 'rm', named])
    }
  }
  return { host, user, password, push, stop }
}

/** With a configuration of its own, so that the machine's user is logged in nowhere afterwards. */
async function pushAs(
  named: string,
  { user, password, host }: { user: string; password: string; host: string },
) {
  const directory = await mkdtemp(join(tmpdir(), 'mao-docker-config-'))
  try {
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    await writeFile(join(directory, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }))
    await run('docker', ['--config', directory, 'push', '--quiet', named])
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
