import { NodeError } from './errors.ts'

/**
 * Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. It keeps the process alive meanwhile: a
 * command that asks again and again has nothing else that does. Whoever has to end sooner aborts it.
 */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** @throws NodeError TIMED_OUT when `promise` takes longer than `ms`; what it does meanwhile is not stopped. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NodeError('TIMED_OUT', `${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
