/**
 * Publishes what a crash or a stop has left committed and not handed to the publishers of its step. That may take as
 * long as a network takes, so the node's start does not wait for it: the run stays `committing` until then, as it was.
 */
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { latePublishingMinMs, SECOND_MS, timerMaxMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Checkouts } from '../../datasets/upkeep/checkouts.ts'
import type { RunLogs } from '../logs/logs.ts'
import { publishedBefore } from '../publishing/published.ts'
import type { Publishers } from '../publishing/publishers.ts'
import { CANCELLED, type RunQueue } from '../queue/queue.ts'
import { endOfAbort } from '../steps/step-end.ts'
import type { Recovery, Unpublished } from './recovery.ts'
import { endStateOf } from './retries.ts'
import { isEnded, type Published, type Run, type StepRun } from './run.ts'
import { currentStep, endRun, finishStep, type StepPatch } from './run-machine.ts'
import type { RunStore } from './run-store.ts'

export interface LatePublishingParts {
  readonly recovery: Pick<Recovery, 'unpublished' | 'settled'>
  readonly store: Pick<RunStore, 'get' | 'save'>
  readonly publishers: Pick<Publishers, 'publish'>
  readonly checkouts: Pick<Checkouts, 'use'>
  readonly logs: Pick<RunLogs, 'open'>
  readonly queue: Pick<RunQueue, 'withdraw'>
  /** How long one that does not say may be published, ms. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly log: Logger
}

interface Late {
  readonly found: Unpublished
  /** Aborts with CANCELLED. */
  readonly cut: AbortController
  working?: Promise<void>
}

export class LatePublishing implements Startable {
  readonly #parts: LatePublishingParts
  /** What is to be published yet, oldest first. */
  readonly #late = new Map<string, Late>()
  #stopping: AbortController | undefined
  #working: Promise<void> = Promise.resolve()

  constructor(parts: LatePublishingParts) {
    this.#parts = parts
  }

  /** Begins with what the recovery found, one after another. */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) return
    this.#stopping = new AbortController()
    for (const found of this.#parts.recovery.unpublished) {
      this.#late.set(found.id, { found, cut: new AbortController() })
    }
    this.#working = this.#all(this.#stopping.signal)
  }

  /** What has not been published waits for the next start. */
  async stop(): Promise<void> {
    this.#stopping?.abort()
    this.#stopping = undefined
    await this.#working
    await Promise.all([...this.#late.values()].map(({ working }) => working))
    this.#late.clear()
  }

  /**
   * Stops publishing what a run has made; the run has ended with what is known of it when this resolves, unless that
   * could not be written. @returns whether it was to be published.
   */
  async cancel(id: string): Promise<boolean> {
    const late = this.#late.get(id)
    if (late === undefined || this.#stopping === undefined) return false
    late.cut.abort(CANCELLED)
    // Its turn may be long in coming.
    await this.#begun(late, this.#stopping.signal)
    return true
  }

  async #all(stopping: AbortSignal): Promise<void> {
    for (const late of this.#late.values()) {
      if (stopping.aborted) return
      await this.#begun(late, stopping)
    }
  }

  #begun(late: Late, stopping: AbortSignal): Promise<void> {
    late.working ??= this.#try(late, stopping)
    return late.working
  }

  async #try({ found, cut }: Late, stopping: AbortSignal): Promise<void> {
    const { store, timeoutMs, log } = this.#parts
    const deadline = new AbortController()
    const limitMs = Math.min(
      timerMaxMs,
      Math.max(latePublishingMinMs, store.get(found.id).timeoutMs ?? timeoutMs),
    )
    const late = () => {
      const message = `publishing after the node's start took longer than ${limitMs / SECOND_MS} s`
      deadline.abort(new NodeError('TIMED_OUT', message, { timeoutMs: limitMs }))
    }
    const timer = setTimeout(late, limitMs)
    try {
      await this.#one(found, stopping, AbortSignal.any([stopping, cut.signal, deadline.signal]))
    } catch (error) {
      log.error({ run: found.id, error: messageOf(error) }, 'a run stays committing until the next start')
    } finally {
      clearTimeout(timer)
      this.#late.delete(found.id)
    }
  }

  async #one({ id, patch }: Unpublished, stopping: AbortSignal, signal: AbortSignal): Promise<void> {
    const { store, checkouts, logs, queue, clock, recovery } = this.#parts
    const step = store.get(id).steps[currentStep(store.get(id))] as StepRun
    const log = await logs.open(id, step.name, 'publish', [])
    const say = (line: string) => {
      // A log that cannot be written changes nothing of how a run ends.
      log
        .say(line)
        .catch((error: unknown) =>
          this.#parts.log.warn({ run: id, error: messageOf(error) }, 'a log was not written'),
        )
    }
    let end: (run: Run) => Run[]
    try {
      signal.throwIfAborted()
      const tree = await checkouts.use(step.outputDataset, patch.outputCommit)
      try {
        const published = await this.#published({ id, patch, directory: tree.path, signal, say })
        end = (run) => recovery.settled(finishStep(run, clock.now(), { ...patch, published }))
      } finally {
        tree.release()
      }
    } catch (error) {
      if (stopping.aborted) return
      say(`stopped: ${messageOf(error)}`)
      const published = publishedBefore(error)
      const known = published.length === 0 ? patch : { ...patch, published }
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      const reason = `the output was committed as ${patch.outputCommit}, and then ${messageOf(error)}`
      const { state, ...said } = signal.aborted
        ? endOfAbort(signal)
        : { state: endStateOf(code), reason, code }
      end = (run) => [endRun(run, state, { ...said, timeMs: clock.now(), patch: known })]
    } finally {
      await log.close()
    }
    await queue.withdraw(id, async () => {
      const run = store.get(id)
      if (!isEnded(run)) await store.save(...end(run))
    })
  }

  #published(p: {
    id: string
    patch: StepPatch
    directory: string
    signal: AbortSignal
    say(line: string): void
  }): Promise<Published[]> {
    const { id, patch, ...rest } = p
    const run = this.#parts.store.get(id)
    const index = currentStep(run)
    const step = { ...(run.steps[index] as StepRun), ...patch }
    const names = run.plan[index]?.publish ?? []
    p.say(`the node ended before the output was published; it is ${patch.outputCommit}`)
    return this.#parts.publishers.publish({ run, step, names, ...rest })
  }
}
