import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { NodeError } from '../../base/errors.ts'
import { diffHeapMib } from '../../base/limits.ts'
import type { CompareReply, CompareRequest } from './compare-worker.ts'
import type { CompareOptions, Comparison } from './file-comparison.ts'

/** The worker lies beside this file, as TypeScript or compiled. */
const WORKER = new URL(`./compare-worker${extname(import.meta.filename)}`, import.meta.url)

const OUT_OF_MEMORY = 'ERR_WORKER_OUT_OF_MEMORY'

/** Compares files one after another in a thread that is bounded in memory and ended when its time is up. */
export class Comparer {
  #worker: Worker | undefined

  /**
   * The bytes are given away: whoever calls has them no longer.
   *
   * @param timeoutMs after which the files are compared as a whole.
   * @throws NodeError INTERNAL for a defect, or the reason of the signal.
   */
  async compare(
    path: string,
    contents: { readonly from: Uint8Array; readonly to: Uint8Array },
    options: CompareOptions,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<Comparison> {
    signal?.throwIfAborted()
    this.#worker ??= new Worker(WORKER, { resourceLimits: { maxOldGenerationSizeMb: diffHeapMib } })
    const worker = this.#worker
    const { promise, resolve, reject } = Promise.withResolvers<Comparison>()
    const onMessage = (reply: CompareReply) => {
      if ('comparison' in reply) resolve(reply.comparison)
      else reject(new NodeError('INTERNAL', `Two versions of a file could not be compared: ${reply.failure}`))
    }
    const onError = (error: Error) => {
      this.#worker = undefined
      if ('code' in error && error.code === OUT_OF_MEMORY) {
        resolve({ as: 'whole', note: `takes more than ${diffHeapMib} MiB of memory to compare by rows` })
      } else reject(error)
    }
    const onAbort = () => {
      this.close()
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      this.close()
      resolve({
        as: 'whole',
        note: `takes more than ${Math.round(timeoutMs / 1_000)} s to compare any further`,
      })
    }, timeoutMs)
    worker.once('message', onMessage)
    worker.once('error', onError)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const request: CompareRequest = { path, ...contents, options }
      worker.postMessage(request, [contents.from.buffer as ArrayBuffer, contents.to.buffer as ArrayBuffer])
      return await promise
    } finally {
      clearTimeout(timer)
      worker.off('message', onMessage)
      worker.off('error', onError)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends the thread; the next comparison starts another. */
  close(): void {
    const worker = this.#worker
    this.#worker = undefined
    // Ending is all that is asked of it; there is nobody to tell how it went.
    worker?.on('error', () => undefined)
    worker?.terminate().catch(() => undefined)
  }
}
