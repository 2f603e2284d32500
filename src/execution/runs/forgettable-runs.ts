import { isEnded, type Run } from './run.ts'

export interface KeptBounds {
  /** This node's own runs that are remembered. */
  readonly ownMax: number
  /** Those of all other members together. */
  readonly membersMax: number
}

type Remembered = Pick<Run, 'id' | 'state' | 'owner'>

const OWN = 'node'

/**
 * Which ended runs make room, oldest first. This node's own and those of other members have bounds of their own, so that
 * nobody who is let in has this node forget what it did; among members whoever has most gives way. Pure.
 *
 * @param runs oldest first.
 */
export function forgettable(runs: readonly Remembered[], { ownMax, membersMax }: KeptBounds): string[] {
  const byOwner = Map.groupBy(runs, ({ owner = OWN }) => owner)
  const own = byOwner.get(OWN) ?? []
  byOwner.delete(OWN)
  const gone = oldestEnded(own).slice(0, Math.max(0, own.length - ownMax))
  const members = [...byOwner.values()].map((all) => ({ count: all.length, ended: oldestEnded(all) }))
  let excess = members.reduce((sum, { count }) => sum + count, 0) - membersMax
  for (; excess > 0; excess -= 1) {
    const candidates = members.filter(({ ended }) => ended.length > 0)
    const most = Math.max(...candidates.map(({ count }) => count))
    const giving = candidates.find(({ count }) => count === most)
    const id = giving?.ended.shift()
    if (giving === undefined || id === undefined) break
    giving.count -= 1
    gone.push(id)
  }
  return gone
}

function oldestEnded(runs: readonly Remembered[]): string[] {
  return runs.filter(isEnded).map(({ id }) => id)
}
