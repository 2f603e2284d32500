export interface Ending {
  /** Aborts with the first of the others, or when the time is over. */
  readonly signal: AbortSignal
  /** From here on nothing is heard of the others, nor held by them. */
  readonly release: () => void
}

/**
 * One signal of several, and of a time. `AbortSignal.any` over a long `AbortSignal.timeout` is kept until that is over,
 * with whoever listens to it; this one is gone once it is released.
 *
 * @param reason what it aborts with when the time is over.
 */
export function endingOf(
  signals: readonly (AbortSignal | undefined)[],
  timeout?: { readonly ms: number; readonly reason: () => Error },
): Ending {
  const controller = new AbortController()
  const ways = signals
    .filter((signal) => signal !== undefined)
    .map((signal) => ({ signal, heard: () => controller.abort(signal.reason) }))
  const timer = timeout && setTimeout(() => controller.abort(timeout.reason()), timeout.ms)
  timer?.unref()
  for (const { signal, heard } of ways) {
    if (signal.aborted) heard()
    else signal.addEventListener('abort', heard, { once: true })
  }
  const release = () => {
    clearTimeout(timer)
    for (const { signal, heard } of ways) signal.removeEventListener('abort', heard)
  }
  return { signal: controller.signal, release }
}
