/**
 * Keeps the branch `certificates` of every dataset that is copied here: writes it when a truth was adopted, takes over
 * what other members' branches have besides, and says where it is. All of it in the background: no round waits for it.
 */
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { fetchLongestPauseMs, fetchRejectedRetryMs } from '../../base/limits.ts'
import {
  proofAnnounceMs,
  proofFetchTimeoutMs,
  proofRefusedMax,
  proofRetriesMax,
  proofRetryFirstMs,
  proofRetryLongestMs,
  proofSettleMs,
  proofsAtOnceMax,
  proofsWaitingMax,
} from '../../base/limits-proofs.ts'
import type { Logger } from '../../base/logger.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { AnnouncedCertificates, CertificateBranches } from '../../datasets/certificate-branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { isRejection } from '../../datasets/exchange/fetcher.ts'
import { retryPauseMs } from '../../datasets/heads.ts'
import type { Genesis } from '../../federation/genesis.ts'
import type { Registry } from '../../registry/registry.ts'
import { truthKey, truthPrefix } from '../round-id.ts'
import type { ConsensusEvent } from '../views.ts'
import { ProofKeeper, type Proven } from './proof-keeper.ts'
import { type ChainVerification, Verifying, type VerifyingParts } from './verification.ts'

export interface ProofsParts {
  readonly genesis: Genesis
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'envelope'>
  readonly datasets: Pick<Datasets, 'find' | 'repository'> & { readonly certificates: CertificateBranches }
  /** What is known of a truth beside its chain. */
  readonly verify: VerifyingParts['verify']
  readonly counting: VerifyingParts['counting']
  readonly nameOf: (peer: string) => string
  /** Hears of truths that were adopted. */
  readonly onEvent: (heard: (event: ConsensusEvent) => void) => () => void
  readonly clock: Clock
  readonly log: Logger
}

interface Job {
  readonly keeper: ProofKeeper
  readonly id: string
  /** Its steps, one after another. */
  steps: Promise<unknown>
  timer: NodeJS.Timeout | undefined
  isGathering: boolean
  again: boolean
  failures: number
  announcedMs: number
}

/** A member whose branch was refused, how often, and until when it is not asked. */
interface Distrusted {
  readonly failures: number
  readonly untilMs: number
}

export class Proofs implements Startable {
  readonly #parts: ProofsParts
  readonly #jobs = new Map<string, Job>()
  /** By dataset, commit and own truth: what was looked at and gives nothing new. */
  readonly #done = new Set<string>()
  readonly #distrusted = new Map<string, Distrusted>()
  readonly #atOnce = new Semaphore(proofsAtOnceMax, proofsWaitingMax)
  readonly #running = new Set<Promise<void>>()
  #stopping = new AbortController()
  #unwatch: (() => void)[] = []

  constructor(parts: ProofsParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    this.#stopping = new AbortController()
    const { registry, datasets, onEvent } = this.#parts
    this.#unwatch = [
      onEvent((event) => {
        if (event.type === 'adopted') this.#soon(event.dataset)
      }),
      datasets.certificates.onAnnounced((dataset) => this.#soon(dataset)),
    ]
    // What was adopted before this node knew of branches, or was cut short.
    for (const { key } of registry.list(truthPrefix)) this.#soon(key.slice(truthPrefix.length))
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const { timer } of this.#jobs.values()) clearTimeout(timer)
    await Promise.allSettled(this.#running)
    await Promise.allSettled([...this.#jobs.values()].map(({ steps }) => steps))
    this.#jobs.clear()
  }

  /**
   * What the branch of a dataset says once it is in step with the registry's certificate; nobody else is asked.
   *
   * @returns undefined where there is no certificate, no copy, or the truth is not adopted yet.
   */
  async proven(dataset: string): Promise<Proven | undefined> {
    const job = this.#jobOf(dataset)
    return job && this.#step(job, () => job.keeper.keep(this.#stopping.signal))
  }

  /** Checks the truth of a dataset and all that came before it. @throws NodeError DATASET_NOT_FOUND */
  verify(dataset: string): Promise<ChainVerification> {
    const { genesis, registry, datasets, verify, counting, nameOf, clock } = this.#parts
    const verifying = new Verifying({
      ...{ federation: genesis.federation, verify, counting, nameOf, clock },
      isCertified: (name) => registry.get(truthKey(name)) !== undefined,
      proven: (name) => this.proven(name),
      repository: (name) => datasets.repository(name),
    })
    return verifying.verify(dataset, this.#stopping.signal)
  }

  #soon(dataset: string, pauseMs = proofSettleMs): void {
    const job = this.#unwatch.length === 0 ? undefined : this.#jobOf(dataset)
    if (job === undefined) return
    if (job.isGathering) {
      job.again = true
      return
    }
    clearTimeout(job.timer)
    job.timer = setTimeout(() => this.#begin(dataset, job), pauseMs)
    job.timer.unref()
  }

  #begin(dataset: string, job: Job): void {
    if (job.isGathering || this.#stopping.signal.aborted) return
    job.isGathering = true
    job.again = false
    const running = this.#atOnce
      .run(() => this.#work(dataset, job))
      .then(
        (isComplete) => this.#ended(dataset, job, isComplete),
        (error: unknown) => {
          this.#parts.log.warn(
            { dataset, error: messageOf(error) },
            'certificates of a dataset were not written yet',
          )
          this.#ended(dataset, job, false)
        },
      )
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #ended(dataset: string, job: Job, isComplete: boolean): void {
    job.isGathering = false
    if (this.#stopping.signal.aborted) return
    job.failures = isComplete ? 0 : job.failures + 1
    // [MUST] Bounded: from then on the next truth, the next announcement or the next start tries again.
    const isOver = isComplete || job.failures > proofRetriesMax
    if (job.again) this.#soon(dataset)
    else if (!isOver) this.#soon(dataset, retryPauseMs(job.failures, proofRetryFirstMs, proofRetryLongestMs))
  }

  /** @returns false when something could not be had now. */
  async #work(dataset: string, job: Job): Promise<boolean> {
    const { branches, signal } = {
      branches: this.#parts.datasets.certificates,
      signal: this.#stopping.signal,
    }
    let now = await this.#step(job, () => job.keeper.keep(signal))
    if (now === undefined) return true
    let isComplete = true
    for (const announced of branches.announced(dataset)) {
      signal.throwIfAborted()
      const isNews = announced.commit !== now.commit && this.#mayTry(dataset, announced, now)
      if (!isNews) continue
      try {
        const merged = await this.#merge(job, announced)
        if (merged !== undefined) now = merged
      } catch (error) {
        signal.throwIfAborted()
        if (isRejection(error) || isNodeError(error, 'TOO_LARGE'))
          this.#distrust(dataset, announced, messageOf(error))
        else isComplete = false
        const { author, commit } = announced
        this.#parts.log.info(
          { dataset, author, commit, error: messageOf(error) },
          "a member's certificates did not come",
        )
        continue
      }
      this.#remember(keyOf(dataset, announced, now))
    }
    await this.#announce(dataset, job)
    return isComplete
  }

  async #merge(job: Job, announced: AnnouncedCertificates): Promise<Proven | undefined> {
    const { signal } = this.#stopping
    await job.keeper.bring(announced, proofFetchTimeoutMs, signal)
    const merged = await this.#step(job, () => job.keeper.merge(announced.commit, signal))
    if (merged === undefined || !('refused' in merged)) return merged
    throw new NodeError('PACK_REJECTED', merged.refused)
  }

  /** Others hear of it in the head, which is written at most so often. */
  async #announce(dataset: string, job: Job): Promise<void> {
    const waitMs = job.announcedMs + proofAnnounceMs - performance.now()
    if (waitMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, waitMs).unref())
      if (this.#stopping.signal.aborted) return
    }
    job.announcedMs = performance.now()
    await this.#parts.datasets.certificates.announce(dataset)
  }

  #mayTry(dataset: string, announced: AnnouncedCertificates, now: Proven): boolean {
    if (this.#done.has(keyOf(dataset, announced, now))) return false
    const known = this.#distrusted.get(`${dataset} ${announced.author}`)
    return known === undefined || known.untilMs <= this.#parts.clock.now()
  }

  #distrust(dataset: string, { author, commit }: AnnouncedCertificates, reason: string): void {
    const place = `${dataset} ${author}`
    const failures = (this.#distrusted.get(place)?.failures ?? 0) + 1
    if (this.#distrusted.size >= proofRefusedMax) this.#distrusted.clear()
    const pauseMs = retryPauseMs(failures, fetchRejectedRetryMs, fetchLongestPauseMs)
    this.#distrusted.set(place, { failures, untilMs: this.#parts.clock.now() + pauseMs })
    this.#parts.log.warn(
      { dataset, author, commit, reason },
      "a member's certificates do not hold; nothing of them is taken",
    )
  }

  #remember(key: string): void {
    if (this.#done.size >= proofRefusedMax) this.#done.clear()
    this.#done.add(key)
  }

  #step<T>(job: Job, work: () => Promise<T>): Promise<T> {
    const step = job.steps.then(work)
    // The tail only orders the steps: a failure belongs to who waits for it.
    job.steps = step.catch(() => undefined)
    return step
  }

  #jobOf(dataset: string): Job | undefined {
    const { genesis, registry, datasets, log } = this.#parts
    const now = datasets.find(dataset)
    const known = this.#jobs.get(dataset)
    if (now?.policy !== 'shared') {
      clearTimeout(known?.timer)
      this.#jobs.delete(dataset)
      return undefined
    }
    if (known?.id === now.id) return known
    clearTimeout(known?.timer)
    const { id } = now
    const keeper = new ProofKeeper({ dataset, id, genesis, registry, branches: datasets.certificates, log })
    const idle = { timer: undefined, isGathering: false, again: false, failures: 0, announcedMs: -Infinity }
    const job: Job = { keeper, id, steps: Promise.resolve(), ...idle }
    this.#jobs.set(dataset, job)
    return job
  }
}

/** Of another truth than this there may be something to take that was none before. */
function keyOf(dataset: string, { commit }: AnnouncedCertificates, { tip }: Proven): string {
  return `${dataset} ${commit} ${tip.commit}`
}
