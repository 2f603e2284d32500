import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const run = promisify(execFile)
/** Where OpenSSH is told at its building to lock up what has not logged in yet; only root needs it. */
const PRIVILEGE_SEPARATION = '/run/sshd'

/** OpenSSH's server on loopback with keys and settings of its own, for one account: whoever runs the tests. */
export interface SshServer {
  readonly port: number
  readonly user: string
  /** `SHA256:…` of its host key. */
  fingerprint(): Promise<string>
  /** Lets in whoever holds the private half, for git below `root` alone. */
  admit(publicKey: string): Promise<void>
  /** What it has logged so far. */
  log(): string
  /** Another host key on the same port, as after a new machine, or with somebody in between. */
  replaceHostKey(): Promise<void>
  stop(): Promise<void>
}

export async function startSshServer(test: Pick<TestContext, 'after'>): Promise<SshServer> {
  const directory = await temporaryDirectory(test)
  const [port, user] = [await freePort(), userInfo().username]
  const [hostKey, authorized, settings] = ['host', 'authorized', 'settings'].map((name) =>
    join(directory, name),
  ) as [string, string, string]
  if (userInfo().uid === 0) await mkdir(PRIVILEGE_SEPARATION, { recursive: true, mode: 0o755 })
  const makeHostKey = async () => {
    await run('rm', ['-f', hostKey, `${hostKey}.pub`])
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  }
  await makeHostKey()
  await writeFile(authorized, '')
  await chmod(authorized, 0o600)
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    `AllowUsers ${user}`,
    'PidFile none',
    'PermitRootLogin prohibit-password',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    // The directory is below /tmp, which others can write.
    'StrictModes no',
    'AcceptEnv GIT_PROTOCOL',
    'MaxStartups 100',
    'PrintMotd no',
    'LogLevel VERBOSE',
  ]
  await writeFile(settings, `${lines.join('\n')}\n`)

  let said = ''
  let stopping: (() => Promise<void>) | undefined
  const start = async () => {
    // With its whole path, as it insists; on the path of whoever is not root it is not.
    const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', settings], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.on('data', (bytes) => {
      said += String(bytes)
    })
    const ended = once(child, 'close')
    stopping = async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    }
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`sshd ended: ${said}`)
      return answers(port)
    }, 'sshd never listened')
  }
  const stop = async () => {
    const ending = stopping
    stopping = undefined
    await ending?.()
  }
  test.after(stop)
  await start()
  return {
    port,
    user,
    fingerprint: async () => {
      const { stdout } = await run('ssh-keygen', ['-l', '-E', 'sha256', '-f', `${hostKey}.pub`])
      return stdout.split(' ')[1] as string
    },
    admit: async (publicKey) => {
      // git-shell: whoever has the key can fetch and push, and nothing else.
      const only = 'restrict,command="exec git-shell -c \\"$SSH_ORIGINAL_COMMAND\\""'
      await writeFile(authorized, `${await readFile(authorized, 'utf8')}${only} ${publicKey}\n`)
    },
    log: () => said,
    replaceHostKey: async () => {
      await stop()
      await makeHostKey()
      await start()
    },
    stop,
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
