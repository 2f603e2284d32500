/**
 * How this node speaks ssh: with the keys and the known hosts of one directory of its own, and with nothing of the user
 * that it runs as, no agent, no forwarding, no question to anybody (protocols/upstreams.md X13).
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  knownHostsBytesMax,
  SECOND_MS,
  sshConnectTimeoutMs,
  sshKeysMax,
  storeQueueMax,
} from '../../base/limits.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import { type HostKey, knownKeys, parseScan, withKey } from './known-hosts.ts'
import { hostOf, type UpstreamAddress } from './upstream-address.ts'

const run = promisify(execFile)
const KEY_FILE = 'id_ed25519'
const KNOWN_HOSTS = 'known_hosts'
const OTHERS = 0o077
const OTHERS_WRITE = 0o022

export class SshAccess {
  readonly #directory: string
  /** Nobody's word is lost between reading the file and writing it. */
  readonly #writes = new SerialQueue(storeQueueMax)

  /** @param directory holds private keys and `known_hosts`; made when something is first put into it. */
  constructor(directory: string) {
    this.#directory = resolve(directory)
  }

  /**
   * What git is to call instead of `ssh`. git hands it to a shell, so each word is quoted; all of them are ours.
   *
   * @throws NodeError FORBIDDEN when there is no key, or others can read one; INVALID_CONFIG.
   */
  async command(): Promise<string> {
    const keys = await this.#privateKeys()
    if (keys.length === 0) {
      const message = `There is no private key in ${this.#directory}: make one with "maoctl dataset upstream key" and give its public half to the git host`
      throw new NodeError('FORBIDDEN', message, { directory: this.#directory })
    }
    await this.#knownHosts()
    const options = [
      'BatchMode=yes',
      // [MUST] The host's key is known, and no server adds one (upstreams.md X15).
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${this.#place(KNOWN_HOSTS)}`,
      'GlobalKnownHostsFile=none',
      'UpdateHostKeys=no',
      'VerifyHostKeyDNS=no',
      'CheckHostIP=no',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'AddKeysToAgent=no',
      'PreferredAuthentications=publickey',
      'ForwardAgent=no',
      'ForwardX11=no',
      'ClearAllForwardings=yes',
      'PermitLocalCommand=no',
      'Tunnel=no',
      'ControlMaster=no',
      'ControlPath=none',
      'ProxyCommand=none',
      'CanonicalizeHostname=no',
      'LogLevel=ERROR',
      `ConnectTimeout=${Math.ceil(sshConnectTimeoutMs / SECOND_MS)}`,
      'ConnectionAttempts=1',
      'ServerAliveInterval=15',
      'ServerAliveCountMax=3',
    ]
    const files = keys.map((name) => `IdentityFile=${this.#place(name)}`)
    // "none": neither the user's file nor the machine's is read.
    const words = ['ssh', '-F', 'none', ...[...options, ...files].flatMap((option) => ['-o', option])]
    return words.map(quoted).join(' ')
  }

  /** The public half of the key of this node, if it has one. @throws NodeError FORBIDDEN, UNSUPPORTED. */
  async publicKey(): Promise<string | undefined> {
    const keys = await this.#privateKeys()
    const name = keys.includes(KEY_FILE) ? KEY_FILE : keys[0]
    if (name === undefined) return undefined
    const path = join(this.#directory, name)
    const beside = await readFile(`${path}.pub`, 'utf8').catch(() => undefined)
    // A key with a passphrase has only the file beside it; none is asked for here.
    return (beside ?? (await this.#call('ssh-keygen', ['-y', '-P', '', '-f', path]))).trim()
  }

  /** Makes a key unless there is one. @returns its public half. @throws NodeError FORBIDDEN, UNSUPPORTED. */
  async makeKey(comment: string): Promise<string> {
    const found = await this.publicKey()
    if (found !== undefined) return found
    await this.#makeDirectory()
    const path = join(this.#directory, KEY_FILE)
    await this.#call('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path])
    await chmod(path, 0o600)
    return (await readFile(`${path}.pub`, 'utf8')).trim()
  }

  /** The keys that the host tells now; whether they are its own nobody has checked. @throws NodeError UPSTREAM_FAILED */
  async scan(address: UpstreamAddress, signal?: AbortSignal): Promise<HostKey[]> {
    const seconds = String(Math.ceil(sshConnectTimeoutMs / SECOND_MS))
    const kinds = ['-t', 'ed25519,ecdsa,rsa']
    const words = ['-T', seconds, ...kinds, '-p', String(address.port ?? 22), '--', address.host]
    const keys = parseScan(await this.#call('ssh-keyscan', words, signal).catch(noAnswer))
    if (keys.length > 0) return keys
    const message = `No ssh server answers at ${hostOf(address)}`
    throw new NodeError('UPSTREAM_FAILED', message, { host: hostOf(address) })
  }

  /** The keys of the host that this node trusts. */
  async trusted(address: UpstreamAddress): Promise<HostKey[]> {
    return knownKeys(await this.#knownHosts(), hostOf(address))
  }

  /** Trusts this key of the host from now on, and no other of its kind. */
  trust(address: UpstreamAddress, key: HostKey): Promise<void> {
    return this.#writes.run(() => this.#trust(address, key))
  }

  async #trust(address: UpstreamAddress, key: HostKey): Promise<void> {
    const file = withKey(await this.#knownHosts(), hostOf(address), key)
    await this.#makeDirectory()
    const path = join(this.#directory, KNOWN_HOSTS)
    const draft = `${path}.new`
    const handle = await open(draft, 'w', 0o600)
    try {
      await handle.writeFile(file)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, path).catch(async (error: unknown) => {
      await rm(draft, { force: true })
      throw error
    })
  }

  async #makeDirectory(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
  }

  /** [MUST] Names of the files that hold private keys, sorted; none that others can read (upstreams.md X14). */
  async #privateKeys(): Promise<string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true }).catch(ifAbsent([]))
    const files = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink())
    const names = files.map((entry) => entry.name)
    const keys: string[] = []
    for (const name of names.sort()) {
      if (name.endsWith('.pub') || name.startsWith(KNOWN_HOSTS)) continue
      const path = join(this.#directory, name)
      const { start, mode } = await lookAt(path)
      if (!/^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/.test(start)) continue
      if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
        throw new NodeError('FORBIDDEN', `Others can read the private key ${path}: run chmod 600 ${path}`, {
          path,
        })
      }
      keys.push(name)
    }
    if (keys.length <= sshKeysMax) return keys
    const message = `${this.#directory} holds ${keys.length} private keys; servers hang up after a few that do not fit, so at most ${sshKeysMax} are tried: take the others out`
    throw new NodeError('INVALID_CONFIG', message, { directory: this.#directory })
  }

  /** [MUST] None that others can write (upstreams.md X14). */
  async #knownHosts(): Promise<string> {
    const path = join(this.#directory, KNOWN_HOSTS)
    const handle = await open(path, 'r').catch(ifAbsent(undefined))
    if (handle === undefined) return ''
    try {
      const { mode, size } = await handle.stat()
      if (process.platform !== 'win32' && (mode & OTHERS_WRITE) !== 0) {
        throw new NodeError('FORBIDDEN', `Others can write ${path}: run chmod 600 ${path}`, { path })
      }
      if (size > knownHostsBytesMax)
        throw new NodeError('TOO_LARGE', `${path} is too large to be read`, { path })
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  }

  /** A path in a value of ssh's settings, which have their own quotes and replace `%` and `${…}`. */
  #place(name: string): string {
    const path = join(this.#directory, name)
    if (!isAbsolute(path) || /["\\\n\r]|\$\{/.test(path)) {
      const message = `git.sshDirectory cannot be ${JSON.stringify(this.#directory)}: ssh does not take such a path`
      throw new NodeError('INVALID_CONFIG', message)
    }
    return `"${path.replaceAll('%', '%%')}"`
  }

  async #call(program: string, words: readonly string[], signal?: AbortSignal): Promise<string> {
    const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' }
    const options = { env, timeout: 3 * sshConnectTimeoutMs, maxBuffer: knownHostsBytesMax }
    try {
      const { stdout } = await run(program, [...words], {
        ...options,
        ...(signal === undefined ? {} : { signal }),
      })
      return stdout
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') throw withoutSsh(cause)
      throw new NodeError(
        'UPSTREAM_FAILED',
        `${program} failed: ${messageOf(cause).slice(0, 500)}`,
        {},
        { cause },
      )
    }
  }
}

export function withoutSsh(cause?: unknown): NodeError {
  const message =
    'The programs of OpenSSH (ssh, ssh-keygen, ssh-keyscan) are not on this machine; install them (Debian calls it: openssh-client), or use an upstream over https'
  return new NodeError('UNSUPPORTED', message, {}, { cause })
}

/** ssh-keyscan ends with an error where nothing answers, and says so on standard error only. */
function noAnswer(error: unknown): string {
  if (error instanceof NodeError && error.code === 'UNSUPPORTED') throw error
  return ''
}

async function lookAt(path: string): Promise<{ start: string; mode: number }> {
  const handle = await open(path, 'r')
  try {
    const { mode } = await handle.stat()
    const { buffer, bytesRead } = await handle
      .read(Buffer.alloc(64), 0, 64, 0)
      .catch(() => ({ buffer: Buffer.alloc(0), bytesRead: 0 }))
    return { start: buffer.toString('latin1', 0, bytesRead), mode }
  } finally {
    await handle.close()
  }
}

function ifAbsent<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return instead
    throw error
  }
}

/** For a POSIX shell, where nothing between single quotes means anything. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
