/**
 * Lets the branch `ground-truth` of one dataset follow its certificate, in the background: the commit may have to be
 * fetched, and rounds do not wait for it.
 */
import { messageOf } from '../base/errors.ts'
import { candidateRetryMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { GroundTruth } from './ground-truth.ts'
import type { ConsensusEvent } from './views.ts'

export interface AdoptionParts {
  readonly dataset: string
  readonly truth: Pick<GroundTruth, 'certified' | 'isAdopted' | 'adopt'>
  readonly emit: (event: ConsensusEvent) => void
  readonly log: Logger
  /** Aborted when the dataset's rounds end. */
  readonly signal: AbortSignal
}

export class Adoption {
  readonly #parts: AdoptionParts
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: AdoptionParts) {
    this.#parts = parts
  }

  /** Begins to follow, unless that is under way or there is nothing to adopt. */
  begin(): void {
    const { truth, dataset, signal } = this.#parts
    if (this.#running !== undefined || signal.aborted || truth.isAdopted(dataset)) return
    clearTimeout(this.#timer)
    this.#running = this.#follow().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves once nothing is under way; to be called when the signal is aborted. */
  async idle(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#running
  }

  async #follow(): Promise<void> {
    const { truth, dataset, emit, signal, log } = this.#parts
    try {
      // A certificate that comes while an earlier one is fetched finds nobody to wake: it is looked for here.
      while (!signal.aborted && !truth.isAdopted(dataset)) {
        const certificate = truth.certified(dataset)?.certificate
        // The registry proves what it takes in: what does not read as a certificate is not there to be followed.
        if (certificate === undefined) return
        if (!(await truth.adopt(dataset, signal))) continue
        emit({ type: 'adopted', dataset, round: certificate.round, commit: certificate.commit })
      }
    } catch (error) {
      if (signal.aborted) return
      log.warn({ dataset, error: messageOf(error) }, 'the certified truth cannot be had yet')
      this.#timer = setTimeout(() => this.begin(), candidateRetryMs)
      this.#timer.unref()
    }
  }
}
