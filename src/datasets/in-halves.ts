export interface Left<T> {
  readonly items: readonly T[]
  readonly error: unknown
}

/**
 * Does a work with many things at once; where it may have failed because of one of them, with either half, down to each
 * alone. So one at fault keeps no other from being done, and costs few calls.
 *
 * @param mayBeOne whether an error may have come from one thing out of many; at any other all that is left is left.
 * @returns what was left undone, with the error that it was left with.
 */
export async function inHalves<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  { mayBeOne, callsMax }: { mayBeOne: (error: unknown) => boolean; callsMax: number },
): Promise<Left<T>[]> {
  const left: Left<T>[] = []
  const waiting = items.length === 0 ? [] : [items]
  let error: unknown
  for (let calls = 0; calls < callsMax; calls += 1) {
    const some = waiting.pop()
    if (some === undefined) return left
    try {
      await work(some)
    } catch (cause) {
      error = cause
      if (some.length === 1 || !mayBeOne(cause)) left.push({ items: some, error })
      else waiting.push(some.slice(some.length >> 1), some.slice(0, some.length >> 1))
      if (!mayBeOne(cause)) break
    }
  }
  return [...left, ...waiting.map((some) => ({ items: some, error }))]
}
