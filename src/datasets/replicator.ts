/**
 * Follows the heads that members announce: every head that this node does not have is fetched, from whoever has it,
 * until it is here. What there is to do is read from the registry each time, so a node that was away has the same work
 * before it as one that heard every word (dataset-fetch.md D17).
 */
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  fetchAttemptsMax,
  fetchesMax,
  fetchRejectedRetryMs,
  fetchRetryFirstMs,
  fetchRetryLongestMs,
  followedHeadsMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { Semaphore } from '../base/semaphore.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Members } from '../federation/members.ts'
import type { Streams } from '../network/network.ts'
import type { Collection, Item } from '../registry/collection.ts'
import type { DatasetEvent } from './dataset-events.ts'
import type { DatasetRecord } from './dataset-record.ts'
import { fetchCommits } from './exchange/pack-client.ts'
import type { PackRepository } from './git/repository.ts'
import { candidates, foreignBranches, type HeadRecord, retryPauseMs } from './heads.ts'
import type { Shelf } from './shelf.ts'

export interface ReplicatorParts {
  readonly self: string
  readonly streams: Pick<Streams, 'open' | 'connectedPeers'>
  /** Hears of each peer that becomes connected. */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  readonly members: Pick<Members, 'get' | 'list' | 'isMember' | 'onChange'>
  readonly heads: Collection<HeadRecord>
  readonly records: Collection<DatasetRecord>
  readonly shelf: Shelf
  readonly emit: (event: DatasetEvent) => void
  readonly log: Logger
}

/** A head that is being followed, until what it announces is here or refused. */
interface Job {
  readonly dataset: string
  readonly author: string
  failures: number
  running: boolean
  /** The registry has changed while it ran. */
  again: boolean
  /** A peer that connects may have what is missing. */
  hopes: boolean
  timer: NodeJS.Timeout | undefined
}

export class Replicator implements Startable {
  readonly #parts: ReplicatorParts
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Set<Promise<void>>()
  readonly #fetches = new Semaphore(fetchesMax, followedHeadsMax)
  /** One fetch from one member at a time, so that a member that dawdles cannot hold every place. */
  readonly #turns = new Map<string, SerialQueue>()
  /** The revision of each head that was refused, so that it is told once. */
  readonly #refused = new Map<string, number>()
  readonly #unwatch: (() => void)[] = []
  #stopping = new AbortController()

  constructor(parts: ReplicatorParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    this.#stopping = new AbortController()
    const { heads, records, members, onConnect } = this.#parts
    this.#unwatch.push(
      heads.watch((name, item) => this.#heard(name, item)),
      // A head may come before its dataset's record or its author's admission.
      records.watch((dataset) => this.#noticeAll(`${dataset}/`)),
      members.onChange(() => this.#noticeAll()),
      onConnect(() => this.#hope()),
    )
    this.#noticeAll()
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const job of this.#jobs.values()) clearTimeout(job.timer)
    this.#jobs.clear()
    await Promise.allSettled(this.#running)
  }

  /**
   * Brings commits here, from the first connected member that has them.
   *
   * @param author the member to ask first, if any.
   * @throws NodeError PEER_UNREACHABLE when nobody is connected, else what the last member that was asked failed with.
   */
  async fetch(
    dataset: string,
    wants: readonly string[],
    options: { author?: string; round?: number; signal?: AbortSignal; urgent?: boolean } = {},
  ): Promise<void> {
    const { streams, members, shelf, self } = this.#parts
    const repository = await shelf.open(dataset)
    const connected = streams.connectedPeers().filter((peer) => peer !== self && members.isMember(peer))
    const stopping = this.#stopping.signal
    const signal = options.signal === undefined ? stopping : AbortSignal.any([options.signal, stopping])
    let failure = new NodeError('PEER_UNREACHABLE', 'No member is connected', { dataset, wants })
    for (const peer of candidates(options.author, connected, options.round ?? 0, fetchAttemptsMax)) {
      signal.throwIfAborted()
      const attempt = () => this.#fetchFrom(peer, dataset, repository, wants, signal)
      try {
        return await (options.urgent === true ? attempt() : this.#inTurn(peer, attempt))
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof NodeError)) throw error
        this.#parts.log.debug(
          { dataset, peer, error: error.message },
          'a member could not give what was asked',
        )
        // What a peer's bytes were refused for tells more than that another peer has none.
        if (!isRejection(failure)) failure = error
      }
    }
    throw failure
  }

  async #fetchFrom(
    peer: string,
    dataset: string,
    repository: PackRepository,
    wants: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const missing: string[] = []
    for (const want of new Set(wants)) if (!(await repository.hasCommit(want))) missing.push(want)
    if (missing.length === 0) return
    await fetchCommits(this.#parts.streams, { dataset, repository, peer, wants: missing, signal })
  }

  #inTurn(peer: string, attempt: () => Promise<void>): Promise<void> {
    const turn = this.#turns.get(peer) ?? new SerialQueue(followedHeadsMax)
    this.#turns.set(peer, turn)
    return turn.run(() => this.#fetches.run(attempt))
  }

  #heard(name: string, item: Item<HeadRecord> | undefined): void {
    const [dataset, author] = name.split('/')
    if (item === undefined || dataset === undefined || author === undefined) return
    this.#parts.emit({ type: 'head', dataset, member: this.#nameOf(author), branches: item.value.branches })
    this.#notice(dataset, author)
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
    job.failures = 0
    this.#schedule(key, job, 0)
  }

  /** A peer has come: what waits for somebody to ask is tried at once. */
  #hope(): void {
    for (const [key, job] of this.#jobs) {
      if (job.hopes && !job.running) this.#schedule(key, job, 0)
      if (job.running) job.again = true
    }
  }

  #schedule(key: string, job: Job, pauseMs: number): void {
    clearTimeout(job.timer)
    job.hopes = false
    job.timer = setTimeout(() => {
      const running = this.#run(key, job).finally(() => this.#running.delete(running))
      this.#running.add(running)
    }, pauseMs)
    job.timer.unref()
  }

  async #run(key: string, job: Job): Promise<void> {
    job.running = true
    job.again = false
    let pauseMs: number | undefined
    try {
      await this.#follow(job)
      job.failures = 0
    } catch (error) {
      pauseMs = this.#failed(job, error)
    }
    job.running = false
    if (this.#stopping.signal.aborted) return
    if (job.again) this.#schedule(key, job, job.failures > 0 ? fetchRetryFirstMs : 0)
    else if (pauseMs === undefined) this.#jobs.delete(key)
    else {
      this.#schedule(key, job, pauseMs)
      job.hopes = pauseMs <= fetchRetryLongestMs
    }
  }

  /** @returns how long to wait before the next attempt, in ms. */
  #failed(job: Job, error: unknown): number {
    job.failures += 1
    const pauseMs = isRejection(error)
      ? fetchRejectedRetryMs
      : retryPauseMs(job.failures, fetchRetryFirstMs, fetchRetryLongestMs)
    if (this.#stopping.signal.aborted) return pauseMs
    const { dataset, author } = job
    const code = error instanceof NodeError ? error.code : 'INTERNAL'
    const member = this.#nameOf(author)
    const event = { dataset, member, code, reason: messageOf(error), nextAttemptMs: pauseMs } as const
    this.#parts.log.warn({ ...event, failures: job.failures }, 'a head could not be fetched yet')
    this.#parts.emit({ type: 'fetch-failed', ...event })
    return pauseMs
  }

  /** Brings this node to where one head says its author is. Returns as well when there is nothing to follow. */
  async #follow({ dataset, author, failures }: Job): Promise<void> {
    const { heads, records, members, shelf } = this.#parts
    const item = heads.get(`${dataset}/${author}`)
    const member = members.get(author)
    if (item === undefined || member === undefined || records.get(dataset) === undefined) return
    const names = members.list().map((one) => one.name)
    const foreign = foreignBranches(item.value, member.name, names)
    for (const branch of foreign) this.#refuse(dataset, author, item, branch, 'not-owner')
    const repository = await shelf.open(dataset)
    const behind = Object.entries(item.value.branches).filter(
      ([branch, commit]) => !foreign.includes(branch) && shelf.branches(dataset).get(branch) !== commit,
    )
    const missing: string[] = []
    for (const [, commit] of behind) if (!(await repository.hasCommit(commit))) missing.push(commit)
    if (missing.length > 0) await this.fetch(dataset, missing, { author, round: failures })
    for (const [branch, commit] of behind) await this.#move(dataset, item, branch, commit)
  }

  async #move(dataset: string, item: Item<HeadRecord>, branch: string, announced: string): Promise<void> {
    const { shelf, self, emit } = this.#parts
    const author = item.entry.author
    const move = await shelf.forward(dataset, branch, announced)
    if (move === 'forward') {
      emit({ type: 'replicated', dataset, member: this.#nameOf(author), branch, commit: announced })
    } else if (move !== 'nothing' && author !== self) {
      // Our own branch may be ahead of its announcement, which then is on its way.
      this.#refuse(dataset, author, item, branch, move === 'refuse-rollback' ? 'rollback' : 'divergence')
    }
  }

  #refuse(
    dataset: string,
    author: string,
    item: Item<HeadRecord>,
    branch: string,
    reason: 'rollback' | 'divergence' | 'not-owner',
  ): void {
    const key = `${dataset}/${author}/${branch}`
    if (this.#refused.get(key) === item.entry.revision) return
    if (this.#refused.size >= followedHeadsMax) this.#refused.clear()
    this.#refused.set(key, item.entry.revision)
    const announced = item.value.branches[branch] as string
    const held = this.#parts.shelf.branches(dataset).get(branch)
    const event = { dataset, member: this.#nameOf(author), branch, announced, held, reason } as const
    this.#parts.log.warn(event, 'a head was refused; the branch stays where it is')
    this.#parts.emit({ type: 'rollback-refused', ...event })
  }

  #nameOf(peer: string): string {
    return this.#parts.members.get(peer)?.name ?? peer
  }
}

function newJob(dataset: string, author: string): Job {
  return { dataset, author, failures: 0, running: false, again: false, hopes: false, timer: undefined }
}

/** What was sent does not hold: asking again soon would only fetch it again. */
function isRejection(error: unknown): boolean {
  return isNodeError(error, 'PACK_REJECTED') || isNodeError(error, 'PATH_UNSAFE')
}
