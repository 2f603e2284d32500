/**
 * Publishes what a crash or a stop has left committed and not handed to the publishers of its step. That may take as
 * long as a network takes, so the node's start does not wait for it: the run stays `committing` until then, as it was.
 */
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import type { Logger } from '../../base/logger.ts'
import type { Checkouts } from '../../datasets/upkeep/checkouts.ts'
import type { RunLogs } from '../logs/logs.ts'
import type { RunQueue } from '../queue/queue.ts'
import type { Recovery, Unpublished } from './recovery.ts'
import { endStateOf } from './retries.ts'
import type { Published, StepRun } from './run.ts'
import { isEnded, type Run } from './run.ts'
import { currentStep, endRun, finishStep, type StepPatch } from './run-machine.ts'
import type { RunStore } from './run-store.ts'

export interface LatePublishingParts {
  readonly recovery: Pick<Recovery, 'unpublished' | 'settled'>
  readonly store: Pick<RunStore, 'get' | 'save'>
  readonly publishers: {
    publish(p: {
      run: Run
      step: StepRun
      names: readonly string[]
      directory: string
      signal: AbortSignal
      say(line: string): void
    }): Promise<Published[]>
  }
  readonly checkouts: Pick<Checkouts, 'use'>
  readonly logs: Pick<RunLogs, 'open'>
  readonly queue: Pick<RunQueue, 'withdraw'>
  readonly clock: Clock
  readonly log: Logger
}

export class LatePublishing implements Startable {
  readonly #parts: LatePublishingParts
  #stopping: AbortController | undefined
  #working: Promise<void> = Promise.resolve()

  constructor(parts: LatePublishingParts) {
    this.#parts = parts
  }

  /** Begins with what the recovery found, one after another. */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) return
    this.#stopping = new AbortController()
    this.#working = this.#all(this.#parts.recovery.unpublished, this.#stopping.signal)
  }

  /** What has not been published waits for the next start. */
  async stop(): Promise<void> {
    this.#stopping?.abort()
    this.#stopping = undefined
    await this.#working
  }

  async #all(found: readonly Unpublished[], signal: AbortSignal): Promise<void> {
    for (const each of found) {
      if (signal.aborted) return
      try {
        await this.#one(each, signal)
      } catch (error) {
        this.#parts.log.error(
          { run: each.id, error: messageOf(error) },
          'a run stays committing until the next start',
        )
      }
    }
  }

  async #one({ id, patch }: Unpublished, signal: AbortSignal): Promise<void> {
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
      const tree = await checkouts.use(step.outputDataset, patch.outputCommit)
      try {
        const published = await this.#published({ id, patch, directory: tree.path, signal, say })
        end = (run) => recovery.settled(finishStep(run, clock.now(), { ...patch, published }))
      } finally {
        tree.release()
      }
    } catch (error) {
      if (signal.aborted) return
      say(`stopped: ${messageOf(error)}`)
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      const reason = `the output was committed as ${patch.outputCommit}, and then ${messageOf(error)}`
      end = (run) => [endRun(run, endStateOf(code), { timeMs: clock.now(), reason, code, patch })]
    } finally {
      await log.close()
    }
    // It may have been cancelled meanwhile.
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
