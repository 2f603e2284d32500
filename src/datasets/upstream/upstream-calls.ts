/** Single calls to an upstream: how git is let out for one, and what comes of it. */
import { messageOf, NodeError } from '../../base/errors.ts'
import { upstreamTimeoutMs } from '../../base/limits.ts'
import { GitExit } from '../git/git-program.ts'
import { type Pushed, type PushResult, type PushWish, type RemoteCall, withoutGit } from '../git/remote.ts'
import type { GitBackend, PackRepository } from '../git/repository.ts'
import { type HttpsSettings, httpsAccess, urlForGit } from './https-access.ts'
import { changedFingerprint, cleanWords, diagnose, isHostKeyRefusal } from './remote-words.ts'
import type { SshAccess } from './ssh-access.ts'
import {
  checkSafeEnough,
  hostOf,
  parseUpstreamUrl,
  type Upstream,
  type UpstreamAddress,
} from './upstream-address.ts'

export interface UpstreamCallsParts {
  readonly backend: GitBackend['kind']
  readonly ssh: SshAccess
  readonly https: HttpsSettings
  readonly allowHttp: boolean
}

export interface Calling {
  /** For the words of errors. */
  readonly dataset: string
  readonly upstream: Upstream
  readonly signal: AbortSignal
}

export class UpstreamCalls {
  readonly #parts: UpstreamCallsParts

  constructor(parts: UpstreamCallsParts) {
    this.#parts = parts
  }

  /** @throws NodeError UNSUPPORTED, INVALID_INPUT, FORBIDDEN when this node calls no such place, whatever comes of it. */
  check({ url }: Pick<Upstream, 'url'>): UpstreamAddress {
    const { backend, allowHttp } = this.#parts
    if (backend !== 'native') throw withoutGit()
    const address = parseUpstreamUrl(url)
    checkSafeEnough(address, allowHttp)
    return address
  }

  /**
   * Brings the upstream's branch into the repository, proven as what a peer sends is (upstreams.md X9).
   *
   * @param take gets the commit that it is at, and puts it where it is kept: until then nothing leads to it.
   * @throws NodeError UPSTREAM_FAILED, NOT_FOUND, PACK_REJECTED, PATH_UNSAFE, FORBIDDEN, UNSUPPORTED, TIMED_OUT.
   */
  fetch<T>(repository: PackRepository, calling: Calling, take: (commit: string) => Promise<T>): Promise<T> {
    return this.#call(calling, async (call, signal) => {
      const quarantine = await repository.quarantine()
      try {
        const commit = await quarantine.fetchRemote(call, calling.upstream.branch, signal)
        await quarantine.admit([commit], signal)
        return await take(commit)
      } finally {
        await quarantine.discard()
      }
    })
  }

  /** @throws NodeError NOT_FAST_FORWARD, UPSTREAM_FAILED and what `fetch` throws. */
  push(
    repository: PackRepository,
    wishes: readonly PushWish[],
    calling: Calling,
  ): Promise<readonly Pushed[]> {
    return this.#call(calling, async (call, signal) => {
      const result = await repository.pushRemote(call, wishes, signal)
      const failure = refusalIn(result, calling)
      if (failure !== undefined) throw failure
      return result.branches
    })
  }

  async #call<T>(calling: Calling, act: (call: RemoteCall, signal: AbortSignal) => Promise<T>): Promise<T> {
    const address = this.check(calling.upstream)
    const deadline = AbortSignal.timeout(upstreamTimeoutMs)
    try {
      return await act(await this.#remoteCall(address), AbortSignal.any([calling.signal, deadline]))
    } catch (error) {
      if (calling.signal.aborted) throw new NodeError('CANCELLED', 'The call to the upstream was ended')
      if (deadline.aborted) {
        const message = `${hostOf(address)} took longer than ${upstreamTimeoutMs / 60_000} minutes`
        throw new NodeError('TIMED_OUT', message, { url: address.url })
      }
      if (!(error instanceof GitExit) || !isOfTheCall(error)) throw error
      if (isHostKeyRefusal(error.stderr)) throw await this.#hostKeyRefusal(error.stderr, address, calling)
      throw diagnose(error.stderr, address, calling.upstream.branch)
    }
  }

  /** How git is let out to a repository that no record names, by the same rules. @throws what `check` throws. */
  async callTo(url: string): Promise<{ readonly address: UpstreamAddress; readonly call: RemoteCall }> {
    const address = this.check({ url })
    return { address, call: await this.#remoteCall(address) }
  }

  async #remoteCall(address: UpstreamAddress): Promise<RemoteCall> {
    const { protocol } = address
    const url = urlForGit(address)
    if (protocol === 'ssh') {
      const env = { GIT_SSH_COMMAND: await this.#parts.ssh.command(), GIT_SSH_VARIANT: 'ssh' }
      return { url, protocol, settings: [], env, secrets: [] }
    }
    return { url, protocol, ...(await httpsAccess(address, this.#parts.https)) }
  }

  /** ssh itself tells the fingerprint of an unknown key to nobody who cannot answer, so the host is asked once more. */
  async #hostKeyRefusal(
    stderr: string,
    address: UpstreamAddress,
    { dataset, signal }: Calling,
  ): Promise<NodeError> {
    const changed = changedFingerprint(stderr)
    const host = hostOf(address)
    let fingerprint = changed
    try {
      fingerprint ??= (await this.#parts.ssh.scan(address, signal))[0]?.fingerprint
    } catch {
      // The refusal stands without it; "trust" will say why the host does not answer.
    }
    const told = fingerprint === undefined ? '' : ` It is ${fingerprint}.`
    const accept = `accept it with "maoctl dataset upstream trust ${dataset}${fingerprint === undefined ? '' : ` --fingerprint ${fingerprint}`}"`
    const message =
      changed === undefined
        ? `This node does not know the key of ${host}, so it could be anybody's.${told} Compare it with what the host tells elsewhere, then ${accept}`
        : `The key of ${host} is not the one that this node trusts: it was replaced, or somebody stands in between.${told} Ask whoever runs the host; only if it is theirs, ${accept}`
    return new NodeError('UPSTREAM_FAILED', message, {
      host,
      ...(fingerprint === undefined ? {} : { fingerprint }),
    })
  }
}

/** Nothing is forced, so a branch that has gone elsewhere stays where it is (upstreams.md X21). */
function refusalIn({ branches, said }: PushResult, { upstream, dataset }: Calling): NodeError | undefined {
  const refused = branches.filter(({ outcome }) => outcome === 'refused')
  if (refused.length === 0) return undefined
  const told = branches.map((each) =>
    each.reason === undefined ? each : { ...each, reason: cleanWords(each.reason) },
  )
  const data = { url: upstream.url, branches: told }
  const behind = refused.every(({ reason = '' }) => /non-fast-forward|fetch first|stale info/.test(reason))
  if (behind) {
    const names = refused.map(({ branch }) => branch).join(', ')
    const message = `The upstream has commits on ${names} that what is to be pushed does not contain, and nothing is ever forced: take them in first ("maoctl dataset upstream pull ${dataset}", then a round)`
    return new NodeError('NOT_FAST_FORWARD', message, data)
  }
  const reasons = refused.map(({ branch, reason = '' }) => `${branch} ${cleanWords(reason)}`).join(', ')
  const words = cleanWords(said)
  const message = `The upstream refused ${reasons}${words === '' ? '' : `; it said: ${words}`}`
  return new NodeError('UPSTREAM_FAILED', message, data)
}

/** An error of whatever kind, as the reason that is kept of it. */
export function reasonOf(error: unknown): string {
  return cleanWords(messageOf(error))
}

/** All other work of git is our own, and so is the disk, unless the server speaks of its own. */
function isOfTheCall({ code, data, stderr }: GitExit): boolean {
  if (data.command === 'push') return true
  return data.command === 'fetch' && (code !== 'DISK_FULL' || /^remote: .*space/m.test(stderr))
}
