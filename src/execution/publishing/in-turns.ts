/** Works on a list, so many at once. The first failure ends it, once those at work have ended. */
export async function inTurns<T>(
  items: readonly T[],
  atOnceMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  let failed = false
  const worker = async () => {
    for (let at = next; at < items.length && !failed; at = next) {
      next = at + 1
      try {
        await work(items[at] as T)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(atOnceMax, items.length) }, worker)
  const settled = await Promise.allSettled(workers)
  for (const each of settled) if (each.status === 'rejected') throw each.reason
}
