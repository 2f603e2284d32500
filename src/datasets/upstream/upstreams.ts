/**
 * Git repositories elsewhere that datasets are pulled from and pushed to (protocols/upstreams.md). A record can name
 * one; this node calls it only when its owner says so.
 */
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  upstreamCallsMax,
  upstreamCallsWaitingMax,
  upstreamIntervalMaxMs,
  upstreamIntervalMinMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { Semaphore } from '../../base/semaphore.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import type { Members } from '../../federation/members.ts'
import type { DatasetEvent } from '../dataset-events.ts'
import type { GroundTruths } from '../ground-truths.ts'
import type { KnownDatasets } from '../known-datasets.ts'
import type { Adoption } from '../own-branch-requests.ts'
import type { Shelf } from '../shelf.ts'
import { NamedUpstreams } from './named-upstreams.ts'
import { SshAccess } from './ssh-access.ts'
import {
  checkSafeEnough,
  hostOf,
  parseUpstreamUrl,
  type Upstream,
  upstreamSchema,
} from './upstream-address.ts'
import { reasonOf, UpstreamCalls } from './upstream-calls.ts'
import { UpstreamFollows } from './upstream-follows.ts'
import { lackOfConsent, UpstreamMemory } from './upstream-memory.ts'
import { type Transfer, UpstreamTransfers } from './upstream-transfers.ts'
import {
  addressesOf,
  type HostKeyView,
  lackText,
  type PullResult,
  type PushView,
  type UpstreamView,
  upstreamView,
} from './upstream-view.ts'

export interface UpstreamSettings {
  /** Private keys and known hosts. */
  readonly sshDirectory: string
  /** Empty: none. */
  readonly credentialsFile: string
  readonly caFile: string
  readonly allowHttp: boolean
}

export interface UpstreamsParts {
  /** Peer id of this node. */
  readonly self: string
  readonly settings: UpstreamSettings
  readonly members: Pick<Members, 'self' | 'list' | 'get'>
  readonly known: Pick<KnownDatasets, 'need' | 'write'>
  readonly shelf: Shelf
  readonly truths: Pick<GroundTruths, 'get' | 'settle'>
  readonly adopt: (adoption: Adoption) => Promise<void>
  readonly database: Database
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
  readonly log: Logger
}

/** The upstream that the owner means; where it is given, it is agreed to. */
export interface Consent {
  readonly url?: string
}

export interface CallOptions extends Consent {
  readonly signal?: AbortSignal
}

export interface FollowWish extends Consent {
  readonly everyMs: number
  readonly push?: boolean
}

export class Upstreams implements Startable {
  readonly #parts: UpstreamsParts
  readonly #ssh: SshAccess
  readonly #named: NamedUpstreams
  readonly #calls: UpstreamCalls
  readonly #transfers: UpstreamTransfers
  readonly #memory: UpstreamMemory
  readonly #follows: UpstreamFollows
  readonly #atOnce = new Semaphore(upstreamCallsMax, upstreamCallsWaitingMax)
  readonly #queues = new Map<string, SerialQueue>()
  #stopping = new AbortController()

  constructor(parts: UpstreamsParts) {
    this.#parts = parts
    const { settings, shelf, database, clock, log } = parts
    const { allowHttp } = settings
    this.#ssh = new SshAccess(settings.sshDirectory)
    const calls = new UpstreamCalls({ backend: shelf.backend, ssh: this.#ssh, https: settings, allowHttp })
    this.#calls = calls
    this.#named = new NamedUpstreams(parts)
    this.#transfers = new UpstreamTransfers({ ...parts, named: this.#named, calls })
    this.#memory = new UpstreamMemory(database)
    const round = (dataset: string, push: boolean) => this.#round(dataset, push)
    this.#follows = new UpstreamFollows({ memory: this.#memory, round, clock, log })
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController()
    await this.#memory.load()
    this.#follows.start()
  }

  async stop(): Promise<void> {
    this.#follows.stop()
    this.#stopping.abort()
    await Promise.all([...this.#queues.values()].map((queue) => queue.idle()))
  }

  /** @param options.resolve also says what the host's name stands for. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  async show(dataset: string, options: { readonly resolve?: boolean } = {}): Promise<UpstreamView> {
    const named = this.#named.agreement(dataset)
    const view = upstreamView({
      named,
      row: this.#memory.get(dataset),
      namedBy: this.#named.authorName(dataset),
      pullsTo: this.#transfers.branch,
      commit: await this.#transfers.held(dataset),
    })
    return options.resolve === true ? { ...view, addresses: await addressesOf(named.url) } : view
  }

  /**
   * Names the upstream in the dataset's record, and so agrees to it.
   *
   * @throws NodeError DATASET_NOT_FOUND, INVALID_INPUT, FORBIDDEN when the record is another member's.
   */
  async set(dataset: string, wanted: Upstream): Promise<UpstreamView> {
    const record = this.#named.record(dataset)
    const address = parseUpstreamUrl(wanted.url)
    checkSafeEnough(address, this.#parts.settings.allowHttp)
    const upstream = { url: address.url, branch: wanted.branch }
    if (!upstreamSchema.safeParse(upstream).success) {
      throw new NodeError(
        'INVALID_INPUT',
        `${JSON.stringify(wanted.branch)} cannot name a branch of an upstream`,
      )
    }
    const { id } = this.#parts.known.need(dataset)
    await this.#named.write(dataset, { ...record, upstream })
    // What was said here, whatever the record has come to name meanwhile.
    await this.#memory.change(dataset, { agreed: { ...upstream, id } })
    return this.show(dataset)
  }

  /** @throws NodeError DATASET_NOT_FOUND, FORBIDDEN when the record is another member's. */
  async remove(dataset: string): Promise<void> {
    const { upstream, ...rest } = this.#named.record(dataset)
    if (upstream !== undefined) await this.#named.write(dataset, rest)
    await this.#memory.forget(dataset)
    this.#follows.arm(dataset)
  }

  /**
   * Brings the upstream's branch onto this node's branch `upstream-<node>`, only forward, and announces it. With it
   * begins a dataset of this node that held nothing agreed.
   *
   * @throws NodeError NOT_FOUND, FORBIDDEN without consent, NOT_FAST_FORWARD when the upstream was rewritten, and what
   * `UpstreamCalls.fetch` throws.
   */
  async pull(dataset: string, options: CallOptions = {}): Promise<PullResult> {
    await this.#agree(dataset, options)
    return this.#inTurn(dataset, 'pull', async () => {
      const result = await this.#transfers.pull(this.#consented(dataset, options.signal))
      return { result, commit: result.commit, news: result.changed }
    })
  }

  /**
   * Brings the ground truth to the upstream's branch, and with `branches` this node's own branches to those of their
   * names; each only forward.
   *
   * @throws NodeError NOT_FOUND, FORBIDDEN without consent, DATASET_WITHHELD, NOT_FAST_FORWARD, UPSTREAM_FAILED.
   */
  async push(
    dataset: string,
    options: CallOptions & { readonly branches?: boolean } = {},
  ): Promise<PushView> {
    await this.#agree(dataset, options)
    return this.#inTurn(dataset, 'push', async () => {
      const result = await this.#transfers.push(
        this.#consented(dataset, options.signal),
        options.branches === true,
      )
      const [truth] = result.branches
      const news = result.branches.some(({ outcome }) => outcome !== 'up-to-date')
      return { result, news, ...(truth === undefined ? {} : { commit: truth.commit }) }
    })
  }

  /** Pulls, and pushes if told, from now on; the first time at once. @throws NodeError NOT_FOUND, FORBIDDEN, INVALID_INPUT. */
  async follow(dataset: string, { everyMs, push = false, ...consent }: FollowWish): Promise<UpstreamView> {
    if (!(everyMs >= upstreamIntervalMinMs && everyMs <= upstreamIntervalMaxMs)) {
      const message = `An upstream is followed every ${upstreamIntervalMinMs / 1_000} seconds at most, and every 30 days at least`
      throw new NodeError('INVALID_INPUT', message, { everyMs })
    }
    await this.#agree(dataset, consent)
    const follow = { everyMs, push, nextMs: this.#parts.clock.now(), failures: 0 }
    await this.#memory.change(dataset, { follow })
    this.#follows.arm(dataset)
    return this.show(dataset)
  }

  /** @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  async unfollow(dataset: string): Promise<UpstreamView> {
    await this.#memory.change(dataset, { follow: undefined })
    this.#follows.arm(dataset)
    return this.show(dataset)
  }

  /** The keys that the upstream's host shows now. @throws NodeError NOT_FOUND, INVALID_INPUT without ssh, UPSTREAM_FAILED. */
  async hostKeys(dataset: string): Promise<HostKeyView[]> {
    const address = this.#sshAddress(dataset)
    const [shown, trusted] = [
      await this.#ssh.scan(address, this.#stopping.signal),
      await this.#ssh.trusted(address),
    ]
    return shown.map((key) => {
      const kin = trusted.filter(({ type }) => type === key.type)
      const known = kin.some((each) => each.key === key.key)
      return { ...key, trusted: known ? 'yes' : kin.length > 0 ? 'other' : 'no' }
    })
  }

  /** Trusts the key with this fingerprint, if it is the host's. @throws NodeError CONFLICT when the host shows no such key. */
  async trust(dataset: string, fingerprint: string): Promise<HostKeyView[]> {
    const address = this.#sshAddress(dataset)
    const shown = await this.#ssh.scan(address, this.#stopping.signal)
    const key = shown.find((each) => each.fingerprint === fingerprint)
    if (key === undefined) {
      const keys = shown.map((each) => each.fingerprint).join(', ')
      const message = `${hostOf(address)} shows no key ${fingerprint}; it shows ${keys}`
      throw new NodeError('CONFLICT', message, {
        host: hostOf(address),
        shown: shown.map((each) => each.fingerprint),
      })
    }
    await this.#ssh.trust(address, key)
    return this.hostKeys(dataset)
  }

  /** The public half of this node's key for git hosts, if it has one. */
  publicKey(): Promise<string | undefined> {
    return this.#ssh.publicKey()
  }

  /** The same; a key is made where there is none. */
  makeKey(): Promise<string> {
    return this.#ssh.makeKey(`mao-${this.#parts.members.self().name}`)
  }

  /** See `UpstreamCalls.callTo`. @throws NodeError UNSUPPORTED, INVALID_INPUT, FORBIDDEN, INVALID_CONFIG. */
  callTo(url: string): ReturnType<UpstreamCalls['callTo']> {
    return this.#calls.callTo(url)
  }

  /** One turn of an order to follow. @returns whether it failed in a way that wants a longer pause. */
  async #round(dataset: string, push: boolean): Promise<boolean> {
    try {
      await this.pull(dataset)
    } catch (error) {
      // Nobody was called; what the owner sees of it says so.
      return !isNodeError(error, 'FORBIDDEN') || lackOf(error) === undefined
    }
    if (!push) return false
    try {
      await this.push(dataset)
      return false
    } catch (error) {
      // The upstream is ahead until the members agree on what came from there.
      return !isNodeError(error, 'NOT_FAST_FORWARD') && !isNodeError(error, 'NOT_FOUND')
    }
  }

  /** Calls to one upstream run one after another, and only some at once; how each ended is kept and told. */
  async #inTurn<T>(
    dataset: string,
    direction: 'pull' | 'push',
    act: () => Promise<{ readonly result: T; readonly commit?: string; readonly news: boolean }>,
  ): Promise<T> {
    const queue = this.#queues.get(dataset) ?? new SerialQueue(upstreamCallsWaitingMax)
    this.#queues.set(dataset, queue)
    return queue.run(() =>
      this.#atOnce.run(async () => {
        const field = direction === 'pull' ? 'pulled' : 'pushed'
        const timeMs = this.#parts.clock.now()
        try {
          const { result, commit, news } = await act()
          await this.#memory.change(dataset, {
            [field]: { timeMs, ...(commit === undefined ? {} : { commit }) },
          })
          if (news && commit !== undefined) this.#parts.emit({ type: 'upstream', dataset, direction, commit })
          return result
        } catch (error) {
          // Ended because the node stops: the next life does it again.
          if (this.#stopping.signal.aborted) throw error
          const { code } = isNodeError(error) ? error : { code: 'INTERNAL' as const }
          const reason = reasonOf(error)
          const before = this.#memory.get(dataset)[field]
          await this.#memory.change(dataset, { [field]: { timeMs, code, reason } })
          // An order that goes on failing in one way says so once.
          if (before?.reason !== reason)
            this.#parts.emit({ type: 'upstream', dataset, direction, code, reason })
          throw error
        }
      }),
    )
  }

  /** Keeps the owner's word, where there is one. @throws NodeError CONFLICT when the record names another upstream. */
  async #agree(dataset: string, { url }: Consent): Promise<void> {
    const upstream = this.#named.agreement(dataset)
    if (url === undefined) return
    const meant = parseUpstreamUrl(url).url
    if (meant !== upstream.url) {
      const message = `The upstream of ${dataset} is ${upstream.url}, not ${meant}; look at it, and say again what to do`
      throw new NodeError('CONFLICT', message, { url: upstream.url })
    }
    if (lackOfConsent(this.#memory.get(dataset).agreed, upstream) !== undefined) {
      await this.#memory.change(dataset, { agreed: upstream })
    }
  }

  /** The upstream that may be called. @throws NodeError FORBIDDEN until the owner has agreed to just this one. */
  #consented(dataset: string, wanted?: AbortSignal): Transfer {
    const upstream = this.#named.agreement(dataset)
    const { agreed } = this.#memory.get(dataset)
    const lack = lackOfConsent(agreed, upstream)
    const stopping = this.#stopping.signal
    const signal = wanted === undefined ? stopping : AbortSignal.any([wanted, stopping])
    if (lack === undefined) return { dataset, upstream, signal }
    const message = `No call is made to the upstream of ${dataset}: ${lackText(lack, upstream, agreed)}; "maoctl dataset upstream pull ${dataset}" shows it and asks`
    throw new NodeError('FORBIDDEN', message, { lack, url: upstream.url, branch: upstream.branch })
  }

  #sshAddress(dataset: string) {
    const address = parseUpstreamUrl(this.#named.upstream(dataset).url)
    if (address.protocol === 'ssh') return address
    const message = `The upstream ${address.url} is not reached over ssh: its certificate is checked instead (git.caFile names authorities of your own)`
    throw new NodeError('INVALID_INPUT', message, { url: address.url })
  }
}

function lackOf(error: NodeError): unknown {
  return error.data.lack
}
