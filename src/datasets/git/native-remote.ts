/**
 * git's own fetch and push to a repository that is no member's. Nothing stands between git and the server here, so what
 * arrives is watched where it arrives, and the call ends at our limits.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { arrivalLookIntervalMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import { GitExit, type GitProgram } from './git-program.ts'
import { lines } from './native-objects.ts'
import { readPackHeader } from './pack-meter.ts'
import type { Pushed, PushResult, PushWish, RemoteCall } from './remote.ts'

const INCOMING = 'refs/incoming/0'
const HEADER_BYTES = 12
const SUBMODULE_MODE = '160000'

const SETTINGS = [
  'fetch.fsckObjects=true',
  'transfer.fsckObjects=true',
  'fetch.unpackLimit=1',
  'transfer.bundleURI=false',
  'push.gpgSign=false',
  'push.followTags=false',
  'submodule.recurse=false',
  // A server that counts objects says a few bytes now and then; one that says nothing has gone.
  'http.lowSpeedLimit=1',
  'http.lowSpeedTime=60',
]

/**
 * Fetches one branch of another repository into the quarantine at `place`; git checks every object, and that none is
 * missing.
 *
 * @returns the commit that it is at. @throws GitExit, NodeError PACK_REJECTED, PATH_UNSAFE.
 */
export async function fetchRemote(
  git: GitProgram,
  place: string,
  { call, branch, ref = `refs/heads/${branch}`, isShallow = false, signal, bytesMax, onBytes }: RemoteFetch,
): Promise<string> {
  const arrival = new Arrival(place, bytesMax, onBytes)
  const flags = [
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-auto-maintenance',
    '--no-recurse-submodules',
    ...(isShallow ? ['--depth=1'] : []),
  ]
  const words = ['fetch', ...flags, '--', call.url, `${ref}:${INCOMING}`]
  const { code, stderr } = await runRemote(git, { place, words, call, signal, arrival })
  if (code !== 0) throw new GitExit('fetch', code, stderr)
  await arrival.look()
  const args = [`--git-dir=${place}`, 'rev-parse', '--verify', '--end-of-options', `${INCOMING}^{commit}`]
  const [commit = ''] = lines(await git.run(args, { signal }))
  await refuseSubmodules(git, place, commit, signal)
  return commit
}

export interface RemoteFetch {
  readonly call: RemoteCall
  readonly branch: string
  /** The whole name of what is fetched, where that is no branch: `HEAD`, `refs/tags/…`. */
  readonly ref?: string
  /** Without the history before it. */
  readonly isShallow?: boolean
  readonly signal: AbortSignal
  /** What may come at most. */
  readonly bytesMax: number
  /** Hears how many more have come, and may refuse them. */
  readonly onBytes: (bytes: number) => Promise<void>
}

/**
 * Brings commits to branches of another repository, each only forward (upstreams.md X19).
 *
 * @throws GitExit when the call itself failed.
 */
export async function pushRemote(
  git: GitProgram,
  path: string,
  { call, wishes, signal }: { call: RemoteCall; wishes: readonly PushWish[]; signal: AbortSignal },
): Promise<PushResult> {
  const flags = ['--porcelain', '--no-verify', '--no-signed', '--recurse-submodules=no']
  const refs = wishes.map(({ commit, branch }) => `${commit}:refs/heads/${branch}`)
  const words = ['push', ...flags, '--', call.url, ...refs]
  const { code, stdout, stderr } = await runRemote(git, { place: path, words, call, signal })
  const branches = readPorcelain(stdout, wishes)
  // 1: some branch was refused, and the lines say which; without a line for each, the call came to no end.
  if (branches.length === wishes.length && (code === 0 || code === 1)) return { branches, said: stderr }
  throw new GitExit('push', code, stderr)
}

/** The lines of `git push --porcelain`: a flag, `from:to`, and a summary, with tabs between. Pure. */
export function readPorcelain(text: string, wishes: readonly PushWish[]): Pushed[] {
  const pushed: Pushed[] = []
  for (const line of text.split('\n')) {
    const [, flag, to, summary = ''] = /^([ +\-*!=])\t[^\t]*:refs\/heads\/([^\t]+)\t(.*)$/.exec(line) ?? []
    const wish = wishes.find(({ branch }) => branch === to)
    if (wish === undefined || flag === undefined) continue
    if (flag === '!') pushed.push({ ...wish, outcome: 'refused', reason: summary })
    else pushed.push({ ...wish, outcome: flag === '*' ? 'created' : flag === '=' ? 'up-to-date' : 'moved' })
  }
  return pushed
}

interface Calling {
  /** The repository that git works in. */
  readonly place: string
  readonly words: readonly string[]
  readonly call: RemoteCall
  readonly signal: AbortSignal
  /** Nothing arrives without it. */
  readonly arrival?: Arrival
}

async function runRemote(
  git: GitProgram,
  { place, words, call, signal, arrival }: Calling,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const settings = [...SETTINGS, ...call.settings].flatMap((setting) => ['-c', setting])
  const env = {
    ...call.env,
    // The one that the address names (upstreams.md X22).
    GIT_ALLOW_PROTOCOL: call.protocol,
    // Whose home this is must not matter: curl would read its .netrc.
    HOME: devNull,
  }
  signal.throwIfAborted()
  const child = git.spawn([`--git-dir=${place}`, ...settings, ...words], { signal, env })
  child.stdin.end()
  let stdout = ''
  child.stdout.on('data', (bytes: Buffer) => {
    if (stdout.length < 1024 * 1024) stdout += bytes.toString('utf8')
  })
  const over = new AbortController()
  let refusal: unknown
  const watching = watch(arrival, over.signal).catch((error: unknown) => {
    if (over.signal.aborted) return
    refusal = error
    child.kill()
  })
  try {
    const { code, stderr } = await child.ended
    signal.throwIfAborted()
    if (refusal !== undefined) throw refusal
    return { code, stdout: redacted(stdout, call.secrets), stderr: redacted(stderr, call.secrets) }
  } finally {
    over.abort()
    await watching
  }
}

async function watch(arrival: Arrival | undefined, signal: AbortSignal): Promise<void> {
  while (arrival !== undefined) {
    await delay(arrivalLookIntervalMs, signal)
    await arrival.look()
  }
}

/** What has arrived in a quarantine, looked at from outside. */
class Arrival {
  readonly #objects: string
  readonly #bytesMax: number
  readonly #onBytes: (bytes: number) => Promise<void>
  #told = 0

  constructor(place: string, bytesMax: number, onBytes: (bytes: number) => Promise<void>) {
    this.#objects = join(place, 'objects')
    this.#bytesMax = bytesMax
    this.#onBytes = onBytes
  }

  /** @throws NodeError PACK_REJECTED when more lies there than may, or in another form than a pack; what `onBytes` throws. */
  async look(): Promise<void> {
    // [MUST] Objects that come one by one are a server's plain files, which nobody has indexed (upstreams.md X10).
    const loose = (await readdir(this.#objects)).find((name) => name !== 'pack' && name !== 'info')
    if (loose !== undefined) {
      const message =
        'The upstream hands out plain files instead of speaking the protocol of git over http (git http-backend does)'
      throw new NodeError('PACK_REJECTED', message)
    }
    let bytes = 0
    for (const name of await readdir(join(this.#objects, 'pack'))) {
      const path = join(this.#objects, 'pack', name)
      const { size } = await stat(path).catch(() => ({ size: 0 }))
      bytes += size
      if (/^tmp_pack_|\.pack$/.test(name) && size >= HEADER_BYTES) await checkHeader(path)
    }
    if (bytes > this.#bytesMax) {
      throw new NodeError('PACK_REJECTED', `The upstream sends more than ${this.#bytesMax} bytes`, { bytes })
    }
    const more = bytes - this.#told
    if (more <= 0) return
    this.#told = bytes
    await this.#onBytes(more)
  }
}

async function checkHeader(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined)
  // git has renamed it meanwhile; it is looked at under its new name next.
  if (handle === undefined) return
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
    if (bytesRead === HEADER_BYTES) readPackHeader(buffer)
  } finally {
    await handle.close()
  }
}

/** Said with the whole path, which the check of single trees does not know. */
async function refuseSubmodules(git: GitProgram, place: string, commit: string, signal: AbortSignal) {
  const args = [`--git-dir=${place}`, 'ls-tree', '-r', '-z', '--full-tree', commit]
  const found = (await git.run(args, { signal }))
    .toString('utf8')
    .split('\0')
    .find((line) => line.startsWith(SUBMODULE_MODE))
  if (found === undefined) return
  const path = found.slice(found.indexOf('\t') + 1)
  const message = `The path ${JSON.stringify(path.slice(0, 200))} is a submodule, which leads to a repository elsewhere; datasets hold none: put its files into the upstream itself`
  throw new NodeError('PATH_UNSAFE', message, { path })
}

/** A server knows the secrets that it was shown, and could say them. */
function redacted(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
}
