export interface Evictable {
  readonly bytes: number
  /** Grows with each use. */
  readonly used: number
  /** False while somebody uses it. */
  readonly evictable: boolean
}

/**
 * What has to go so that the rest keeps to `bytesMax`, the least recently used first; never what is in use
 * (dataset-upkeep.md Q11). Pure.
 */
export function leastRecentlyUsed<T extends Evictable>(all: readonly T[], bytesMax: number): T[] {
  let bytes = all.reduce((sum, one) => sum + one.bytes, 0)
  const going: T[] = []
  for (const one of all.filter(({ evictable }) => evictable).sort((a, b) => a.used - b.used)) {
    if (bytes <= bytesMax) break
    going.push(one)
    bytes -= one.bytes
  }
  return going
}
