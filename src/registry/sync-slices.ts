/**
 * [S15] Answers to the questions of others, worked out in slices: a question may be about every record there is, and
 * whoever asks it must not hold up all else that the node does, nor those who ask about little.
 */
import { NodeError } from '../base/errors.ts'
import { syncQuestionsPerPeerMax, syncSliceMs } from '../base/limits.ts'

/** Work that stops again and again, so that who runs it can let others go first; what it looks at may change then. */
export type Sliced<T> = Generator<undefined, T>

/** Does sliced work without a stop. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

interface Job {
  /** @returns whether it came to its end, well or not. */
  slice(): boolean
}

/** One slice in each turn of the event loop, of one peer after the other. */
export class SyncSlices {
  /** Whose turn is next comes first. */
  readonly #jobs = new Map<string, Job[]>()
  #scheduled = false

  /** @throws NodeError QUEUE_FULL when too much of that peer waits, and what `work` throws. */
  run<T>(peer: string, work: Sliced<T>): Promise<T> {
    const jobs = this.#jobs.get(peer) ?? []
    if (jobs.length >= syncQuestionsPerPeerMax) {
      return Promise.reject(new NodeError('QUEUE_FULL', `${peer} asks more than can be answered`))
    }
    this.#jobs.set(peer, jobs)
    return new Promise((resolve, reject) => {
      jobs.push({ slice: () => sliceOf(work, resolve, reject) })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#next()
    })
  }

  #next(): void {
    const [next] = this.#jobs
    if (next === undefined) return
    const [peer, jobs] = next
    this.#jobs.delete(peer)
    if (jobs[0]?.slice() === true) jobs.shift()
    if (jobs.length > 0) this.#jobs.set(peer, jobs)
    if (this.#jobs.size > 0) this.#schedule()
  }
}

function sliceOf<T>(
  work: Sliced<T>,
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): boolean {
  const beganMs = performance.now()
  try {
    do {
      const step = work.next()
      if (step.done !== true) continue
      resolve(step.value)
      return true
    } while (performance.now() - beganMs < syncSliceMs)
    return false
  } catch (error) {
    reject(error)
    return true
  }
}
