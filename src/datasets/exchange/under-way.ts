/**
 * Who waits for whom: another fetch of the same dataset brings most of what the next one wants, as a rule, and side by
 * side both would bring all of it. But it may be one that never comes to its end, on purpose, so nobody waits for one
 * whose bytes do not flow, nor for long for one of another author.
 */
import { fetchFirstCopyWaitMs, fetchSameDatasetWaitMs, fetchStallMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import type { TransferProgress } from './progress.ts'

export interface Patience {
  /** A fetch of which nothing has come for so long is not waited for, ms. */
  readonly stallMs: number
  /** For one of another author, ms. */
  readonly othersMs: number
  /** The same while nothing of the dataset is here, ms. */
  readonly firstCopyMs: number
}

const PATIENCE: Patience = {
  stallMs: fetchStallMs,
  othersMs: fetchSameDatasetWaitMs,
  firstCopyMs: fetchFirstCopyWaitMs,
}

export interface Errand {
  readonly dataset: string
  /** Whose commits they are, if that is known. */
  readonly author: string | undefined
  readonly wants: readonly string[]
}

/** One fetch that runs. */
class Running {
  readonly errand: Errand
  readonly ended: Promise<void>
  isEnded = false
  #bytes = 0
  #isChecked = false
  #movedMs = performance.now()
  #end: () => void = () => undefined

  constructor(errand: Errand) {
    this.errand = errand
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  begin(): void {
    this.#movedMs = performance.now()
  }

  moved({ phase, bytes }: TransferProgress): void {
    this.#isChecked = phase === 'checking'
    if (bytes !== this.#bytes) this.#movedMs = performance.now()
    this.#bytes = bytes
  }

  end(): void {
    this.isEnded = true
    this.#end()
  }

  /** When it will be taken for stalled unless something comes, ms. What is being checked is ours to hurry up. */
  flowsUntilMs(stallMs: number): number {
    return stallMs + (this.#isChecked ? performance.now() : this.#movedMs)
  }

  brings({ author, wants }: Errand): boolean {
    return author === this.errand.author && wants.every((oid) => this.errand.wants.includes(oid))
  }
}

/** A fetch that has been told of. */
export interface Passage {
  /** Waits for those before it, as far as that is of use. @returns whether there were any. */
  turn(
    how: { readonly isFirstCopy: boolean; readonly urgent: boolean },
    signal: AbortSignal,
  ): Promise<boolean>
  moved(progress: TransferProgress): void
  end(): void
}

/** The fetches of all datasets, in the order in which they began. */
export class UnderWay {
  readonly #patience: Patience
  readonly #running = new Map<string, Set<Running>>()

  constructor(patience: Patience = PATIENCE) {
    this.#patience = patience
  }

  begin(errand: Errand): Passage {
    const { dataset } = errand
    const all = this.#running.get(dataset) ?? new Set<Running>()
    const before = [...all]
    const mine = new Running(errand)
    this.#running.set(dataset, all.add(mine))
    return {
      turn: async ({ isFirstCopy, urgent }, signal) => {
        await this.#wait(errand, before, { isFirstCopy, urgent }, signal)
        mine.begin()
        return before.length > 0
      },
      moved: (progress) => mine.moved(progress),
      end: () => {
        mine.end()
        all.delete(mine)
        if (all.size === 0 && this.#running.get(dataset) === all) this.#running.delete(dataset)
      },
    }
  }

  async #wait(
    errand: Errand,
    before: readonly Running[],
    { isFirstCopy, urgent }: { readonly isFirstCopy: boolean; readonly urgent: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const same = before.find((other) => other.brings(errand))
    if (same !== undefined) return this.#whileItFlows(same, Number.POSITIVE_INFINITY, signal)
    if (urgent) return
    const { othersMs, firstCopyMs } = this.#patience
    const untilMs = performance.now() + (isFirstCopy ? firstCopyMs : othersMs)
    for (const other of before) await this.#whileItFlows(other, untilMs, signal)
  }

  async #whileItFlows(other: Running, untilMs: number, signal: AbortSignal): Promise<void> {
    while (!other.isEnded) {
      const leftMs = Math.min(untilMs, other.flowsUntilMs(this.#patience.stallMs)) - performance.now()
      if (leftMs <= 0) return
      const waited = new AbortController()
      try {
        await Promise.race([other.ended, delay(leftMs, AbortSignal.any([signal, waited.signal]))])
      } finally {
        waited.abort()
      }
    }
  }
}
