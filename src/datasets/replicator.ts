/**
 * Follows the heads that members announce: every head that this node does not have is fetched, from whoever has it,
 * until it is here. What there is to do is read from the registry each time, so a node that was away has the same work
 * before it as one that heard every word (dataset-heads.md H9).
 */
import type { Clock } from '../base/clock.ts'
import { endingOf } from '../base/ending.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  fetchHalvesMax,
  fetchLongestPauseMs,
  fetchRejectedRetryMs,
  fetchRetryFirstMs,
  fetchRetryLongestMs,
  followedHeadsMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Members } from '../federation/members.ts'
import type { Streams } from '../network/network.ts'
import type { Collection, Item } from '../registry/collection.ts'
import { AuthorLanes } from './author-lanes.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { Fetcher, type FetchOptions, isOfOneCommit, isRejection } from './exchange/fetcher.ts'
import { type Job, mayHelp, newJob } from './follow-job.ts'
import type { HeadWatch } from './head-watch.ts'
import { foreignBranches, type HeadRecord, retryPauseMs } from './heads.ts'
import { type HeldUp, heldUpOf, type Refusal, type Refused } from './held-up.ts'
import { inHalves, type Left } from './in-halves.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import type { Shelf } from './shelf.ts'
import { isNoRoom, isOwnQuota, roomRetryMs } from './upkeep/room-left.ts'

export interface ReplicatorParts {
  readonly self: string
  readonly streams: Pick<Streams, 'open' | 'connectedPeers'>
  /** Hears of each peer that becomes connected. */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  readonly members: Pick<Members, 'get' | 'list' | 'isMember' | 'onChange'>
  readonly heads: Collection<HeadRecord>
  readonly known: KnownDatasets
  readonly watch: HeadWatch
  /** Whether this node copies the dataset. */
  readonly follows: (dataset: string) => boolean
  /** Whether a member has said that it holds something of a dataset. */
  readonly holds: (peer: string, dataset: string) => boolean
  /** The members that are there, connected or not. */
  readonly live: () => readonly string[]
  readonly shelf: Shelf
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
  readonly log: Logger
}

export class Replicator implements Startable {
  readonly #parts: ReplicatorParts
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Set<Promise<void>>()
  readonly #fetcher: Fetcher
  readonly #lanes = new AuthorLanes()
  /** Each branch that was refused, by the revision of the head, so that it is told once. */
  readonly #refused = new Map<string, Refusal>()
  /** Heads whose commits are fetched whole, whatever is here. */
  readonly #holed = new Set<string>()
  /** Fetches that nobody counts: each begins with another member, so that no slow one is always the first. */
  #rounds = 0
  readonly #unwatch: (() => void)[] = []
  #stopping = new AbortController()

  constructor(parts: ReplicatorParts) {
    this.#parts = parts
    const { self, streams, members, shelf, log } = parts
    this.#fetcher = new Fetcher({
      self,
      streams,
      log,
      isMember: (peer) => members.isMember(peer),
      holds: parts.holds,
      live: parts.live,
      repository: async (dataset) => (await shelf.openIfHere(dataset)) ?? shelf.unopened(dataset),
      tips: (dataset) => shelf.branches(dataset).values(),
      onProgress: (dataset, peer, progress) =>
        parts.emit({ type: 'progress', dataset, member: this.#nameOf(peer), ...progress }),
    })
  }

  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    this.#stopping = new AbortController()
    const { heads, members, onConnect } = this.#parts
    this.#unwatch.push(
      heads.watch((name, item) => this.#heard(name, item)),
      members.onChange(() => this.#noticeAll()),
      onConnect((peer) => this.#retry((error, job) => mayHelp(peer, error, job))),
    )
    this.#noticeAll()
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const job of this.#jobs.values()) clearTimeout(job.timer)
    this.#jobs.clear()
    this.#lanes.clear()
    await Promise.allSettled(this.#running)
  }

  /**
   * Brings commits here, from the first connected member that has them.
   *
   * @param author the member to ask first, if any.
   * @throws NodeError PEER_UNREACHABLE when nobody is connected, else what the last member that was asked failed with.
   */
  async fetch(dataset: string, wants: readonly string[], options: Partial<FetchOptions> = {}): Promise<void> {
    const { signal, release } = endingOf([options.signal, this.#stopping.signal])
    try {
      await this.#fetcher.fetch(dataset, wants, { round: this.#rounds++, ...options, signal })
    } finally {
      release()
    }
  }

  /** Why what these heads of a dataset announce is not here. */
  heldUp(dataset: string, heads: readonly Item<HeadRecord>[]): HeldUp {
    return heldUpOf(heads, {
      job: (author) => this.#jobs.get(`${dataset}/${author}`),
      refused: (author, branch) => this.#refused.get(`${dataset}/${author}/${branch}`),
      nameOf: (author) => this.#nameOf(author),
    })
  }

  #heard(name: string, item: Item<HeadRecord> | undefined): void {
    const [dataset, author] = name.split('/')
    if (item === undefined || dataset === undefined || author === undefined) return
    this.#parts.emit({ type: 'head', dataset, member: this.#nameOf(author), branches: item.value.branches })
    this.#notice(dataset, author)
  }

  /** Looks at every head of a dataset anew: what is known of the dataset has changed, or whether it is copied. */
  look(dataset: string): void {
    if (this.#unwatch.length > 0) this.#noticeAll(`${dataset}/`)
  }

  /** A collection has made room: what had none is tried at once. */
  roomMade(dataset: string): void {
    this.#retry((error, job) => isNoRoom(error) && (job.dataset === dataset || !isOwnQuota(error)))
    for (const job of this.#jobs.values()) if (job.running) job.roomMade = true
  }

  /** A check has found that objects are not here: all that is announced is fetched once more, without regard to what is. */
  mend(dataset: string): void {
    for (const { name } of this.#parts.heads.list(`${dataset}/`)) this.#holed.add(name)
    this.look(dataset)
  }

  #noticeAll(under = ''): void {
    for (const { name } of this.#parts.heads.list(under)) {
      const [dataset, author] = name.split('/')
      if (dataset !== undefined && author !== undefined) this.#notice(dataset, author)
    }
  }

  #notice(dataset: string, author: string): void {
    const key = `${dataset}/${author}`
    const known = this.#jobs.get(key)
    if (known?.running === true) {
      known.again = true
      return
    }
    // What is given up here comes again with the next change or the next start; a registry never gets near it.
    if (known === undefined && this.#jobs.size >= followedHeadsMax) return
    const job = known ?? newJob(dataset, author)
    this.#jobs.set(key, job)
    // What has failed would fail again, as long as it is the same that is to be fetched.
    if (job.failures > 0 && job.state === this.#stateOf(job)) return
    job.failures = 0
    job.rejections = 0
    this.#schedule(key, job, 0)
  }

  /** Tries at once what failed for a reason that may be gone. */
  #retry(isGone: (error: unknown, job: Job) => boolean): void {
    for (const [key, job] of this.#jobs) {
      if (job.running) job.again = true
      else if (job.failures > 0 && isGone(job.failure, job)) this.#schedule(key, job, 0)
    }
  }

  /** What there is to follow: a change of it is a reason to try at once, whatever failed before. */
  #stateOf({ dataset, author }: Job): string {
    const { heads, known, follows } = this.#parts
    const now = known.get(dataset)
    const revision = heads.get(`${dataset}/${author}`)?.entry.revision
    return JSON.stringify([revision, now?.id, now?.policy, follows(dataset)])
  }

  #schedule(key: string, job: Job, pauseMs: number): void {
    clearTimeout(job.timer)
    job.dueMs = this.#parts.clock.now() + pauseMs
    job.timer = setTimeout(() => {
      job.running = true
      const turn = this.#lanes.run(job.author, () => this.#run(key, job))
      const running = turn.finally(() => this.#running.delete(running))
      this.#running.add(running)
    }, pauseMs)
    job.timer.unref()
  }

  async #run(key: string, job: Job): Promise<void> {
    if (this.#stopping.signal.aborted) return
    job.again = false
    job.roomMade = false
    job.state = this.#stateOf(job)
    let pauseMs: number | undefined
    try {
      await this.#follow(job)
      job.failures = 0
      this.#lanes.ended(job.author, key)
    } catch (error) {
      job.failure = error
      pauseMs = this.#failed(key, job, error)
    }
    job.running = false
    if (this.#stopping.signal.aborted) return
    if (pauseMs === undefined) {
      if (job.again) this.#schedule(key, job, 0)
      else this.#jobs.delete(key)
      return
    }
    // Whoever came meanwhile may have it; nobody helps against a quota.
    const isChanged = job.again && (!isNoRoom(job.failure) || job.state !== this.#stateOf(job))
    const isSoon = isChanged || (job.roomMade && isNoRoom(job.failure))
    this.#schedule(key, job, isSoon ? fetchRetryFirstMs : pauseMs)
  }

  /** @returns how long to wait before the next attempt, in ms. */
  #failed(key: string, job: Job, error: unknown): number {
    job.failures += 1
    if (isRejection(error)) job.rejections += 1
    const soonestMs = isRejection(error)
      ? retryPauseMs(job.rejections, fetchRejectedRetryMs, fetchLongestPauseMs)
      : retryPauseMs(job.failures, fetchRetryFirstMs, fetchRetryLongestMs)
    const times = this.#lanes.failed(job.author, key)
    const pauseMs = roomRetryMs(error) ?? Math.min(fetchLongestPauseMs, Math.round(times * soonestMs))
    if (this.#stopping.signal.aborted) return pauseMs
    const { dataset, author } = job
    const code = error instanceof NodeError ? error.code : 'INTERNAL'
    const member = this.#nameOf(author)
    const event = { dataset, member, code, reason: messageOf(error), nextAttemptMs: pauseMs } as const
    this.#parts.log.warn({ ...event, failures: job.failures }, 'a head could not be fetched yet')
    this.#parts.emit({ type: 'fetch-failed', ...event })
    return pauseMs
  }

  /**
   * Brings this node to where the heads of a dataset say that their authors are, whether or not it is copied.
   *
   * @param onFailure hears of each member whose head could not be followed.
   * @throws NodeError what fetching throws, once every head was tried; what the signal says when it aborts.
   */
  async followNow(
    dataset: string,
    {
      signal,
      onFailure,
    }: { signal?: AbortSignal; onFailure?: (member: string, error: unknown) => void } = {},
  ): Promise<void> {
    const failures: unknown[] = []
    for (const { entry } of this.#parts.heads.list(`${dataset}/`)) {
      signal?.throwIfAborted()
      const head = { dataset, author: entry.author, failures: 0 }
      await this.#follow(head, { urgent: true, signal }).catch((error: unknown) => {
        failures.push(error)
        onFailure?.(this.#nameOf(entry.author), error)
      })
    }
    signal?.throwIfAborted()
    if (failures.length > 0) throw failures[0]
  }

  /** Brings this node to where one head says its author is. Returns as well when there is nothing to follow. */
  async #follow(
    { dataset, author, failures }: Pick<Job, 'dataset' | 'author' | 'failures'>,
    asked?: { readonly urgent: true; readonly signal: AbortSignal | undefined },
  ): Promise<void> {
    const { heads, known: datasets, members, watch, follows } = this.#parts
    const item = heads.get(`${dataset}/${author}`)
    const [member, known] = [members.get(author), datasets.get(dataset)]
    if (item === undefined || member === undefined || known === undefined) return
    if (known.policy === 'local-only' || !(await watch.judge(known, item))) return
    // What nobody gives away is not asked for.
    if (known.policy !== 'shared' || (asked === undefined && !follows(dataset))) return
    const names = members.list().map((one) => one.name)
    const foreign = foreignBranches(item.value, member.name, names)
    for (const branch of foreign) this.#refuse(dataset, author, item, branch, 'not-owner')
    // What is nowhere lays out no repository: that is done when the first bytes come.
    const repository = await this.#parts.shelf.openIfHere(dataset)
    const held = this.#parts.shelf.branches(dataset)
    const whole = this.#holed.delete(`${dataset}/${author}`)
    const behind = Object.entries(item.value.branches).filter(
      ([branch, commit]) => !foreign.includes(branch) && (whole || held.get(branch) !== commit),
    )
    const missing: [branch: string, commit: string][] = []
    for (const one of behind) {
      // What no branch leads to may lack what a collection took away.
      const isHere = !whole && (await repository?.isWhole(one[1], asked?.signal))
      if (isHere) await this.#move(known, item, ...one)
      else missing.push(one)
    }
    const { urgent, signal } = asked ?? {}
    const options = { author, whole, round: failures, ...(urgent && { urgent }), ...(signal && { signal }) }
    // [MUST] A branch that nobody has keeps no other from being followed (dataset-heads.md H9).
    const bring = async (some: readonly (typeof missing)[number][]) => {
      const wants = some.map(([, commit]) => commit)
      const isAll = some.length === missing.length
      await this.fetch(dataset, wants, { ...options, missing: isAll, isRest: !isAll })
      for (const one of some) await this.#move(known, item, ...one)
    }
    const halving = { mayBeOne: isOfOneCommit, callsMax: fetchHalvesMax }
    const left = await inHalves(rotated(missing, failures), bring, halving)
    for (const branch of Object.keys(item.value.resets ?? {})) {
      if (held.get(branch) === item.value.branches[branch]) await watch.moved(known, item, branch)
    }
    if (left.length > 0) throw unfetched(left, missing.length)
  }

  async #move(known: Known, item: Item<HeadRecord>, branch: string, announced: string): Promise<void> {
    const { shelf, self, emit, watch } = this.#parts
    const { name: dataset } = known
    const author = item.entry.author
    const member = this.#nameOf(author)
    const before = shelf.branches(dataset).get(branch)
    const move = await shelf.follow(dataset, branch, announced, async (held, repository) => {
      const excuse = await watch.excuse(known, item, branch, held, repository)
      // Our own branch may be ahead of its announcement; only a reset that a crash has cut short takes it back.
      const own = excuse === 'reset' && item.value.resets?.[branch]?.from === held
      return author === self && !own ? undefined : excuse
    })
    const reset = item.value.resets?.[branch]
    if (move === 'reset' && reset !== undefined && before !== undefined) {
      const { count, to, reason } = reset
      const event = { dataset, member, branch, from: before, to, count, reason } as const
      this.#parts.log.warn(event, 'a member has reset its branch')
      emit({ type: 'reset', ...event })
    }
    if (move === 'forward' || move === 'reset' || move === 'equivocation') {
      emit({ type: 'replicated', dataset, member, branch, commit: announced })
    } else if (move === 'refuse-divergence' || (move === 'refuse-rollback' && author !== self)) {
      // Our own as well: only its author can put it right, by a reset.
      this.#refuse(dataset, author, item, branch, move === 'refuse-rollback' ? 'rollback' : 'divergence')
    }
  }

  #refuse(dataset: string, author: string, item: Item<HeadRecord>, branch: string, reason: Refused): void {
    const key = `${dataset}/${author}/${branch}`
    const { revision } = item.entry
    if (this.#refused.get(key)?.revision === revision) return
    if (this.#refused.size >= followedHeadsMax) this.#refused.clear()
    this.#refused.set(key, { revision, reason })
    const announced = item.value.branches[branch] as string
    const held = this.#parts.shelf.branches(dataset).get(branch)
    const event = { dataset, member: this.#nameOf(author), branch, announced, held, reason } as const
    const said =
      author === this.#parts.self
        ? 'this node has announced what does not follow what it holds; "maoctl dataset reset" has the branch go on'
        : 'a head was refused; the branch stays where it is'
    this.#parts.log.warn(event, said)
    this.#parts.emit({ type: 'rollback-refused', ...event })
  }

  #nameOf(peer: string): string {
    return this.#parts.members.get(peer)?.name ?? peer
  }
}

/** Another one comes first each time, so that each has its turn where there are too many at fault. */
function rotated<T>(items: readonly T[], round: number): T[] {
  const turn = items.length === 0 ? 0 : (round * 7) % items.length
  return [...items.slice(turn), ...items.slice(0, turn)]
}

/** What is told of branches that did not come, where others did: what was refused says the most. */
function unfetched(left: readonly Left<[branch: string, commit: string]>[], wanted: number): unknown {
  const error = (left.find((one) => isRejection(one.error)) ?? left[0])?.error
  const branches = left.flatMap(({ items }) => items.map(([branch]) => branch)).sort()
  if (!(error instanceof NodeError) || branches.length === wanted) return error
  const message = `${branches.join(', ')} did not come: ${error.message}`
  return new NodeError(error.code, message, { ...error.data, branches }, { cause: error })
}
