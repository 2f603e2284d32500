import { delay } from '../../src/base/wait.ts'

const pollMs = 100

export interface Patience {
  timeoutMs: number
  signal: AbortSignal
}

/**
 * Asks until `look` finds something, and gives that back.
 *
 * @throws Error saying what never came once the time is over, or the signal's reason.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { timeoutMs, signal }: Patience,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    signal.throwIfAborted()
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1_000} s`)
    await delay(pollMs, signal)
  }
}

/** Asks every node the same until each has found it; what they found, in their order. */
export function everywhere<N extends { name: string }, T>(
  nodes: readonly N[],
  what: string,
  look: (node: N) => Promise<T | undefined>,
  patience: Patience,
): Promise<T[]> {
  return Promise.all(nodes.map((node) => until(`${what} at ${node.name}`, () => look(node), patience)))
}
