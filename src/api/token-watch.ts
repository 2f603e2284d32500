import { streamTokenCheckMs } from '../base/limits.ts'

/** Says whether the token that opened a stream still opens anything. */
export type MayStay = () => boolean

/**
 * Looks again and again whether whoever reads may stay, and calls `end` once when not. A token can be revoked, replaced
 * or run out by a clock that was set meanwhile; asking is what finds all of these.
 *
 * @returns how to stop looking.
 */
export function whileMayStay(mayStay: MayStay | undefined, end: () => void): () => void {
  if (mayStay === undefined) return () => undefined
  const timer = setInterval(() => {
    if (mayStay()) return
    clearInterval(timer)
    end()
  }, streamTokenCheckMs)
  timer.unref()
  return () => clearInterval(timer)
}
