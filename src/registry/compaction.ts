import { historyBytesMax, historyChangesMax } from '../base/limits.ts'
import type { History } from './history.ts'

/** How far this node had counted at some time. */
export interface Mark {
  readonly atMs: number
  readonly revision: number
}

/**
 * The revision to compact at by `nowMs`, or undefined when nothing is to be dropped. Pure. Like etcd's periodic mode:
 * what was replaced longer than `keepMs` ago goes; and earlier than that, the older half of a history that outgrows its
 * bounds.
 *
 * @param marks ascending.
 */
export function compactionTarget(
  history: Pick<History, 'compacted' | 'changes' | 'replacedBytes' | 'revisionBefore'>,
  marks: readonly Mark[],
  keepMs: number,
  nowMs: number,
): number | undefined {
  const old = marks.findLast(({ atMs }) => atMs <= nowMs - keepMs)?.revision ?? 0
  const outgrown = history.changes > historyChangesMax || history.replacedBytes > historyBytesMax
  const half = outgrown
    ? history.revisionBefore(Math.floor(Math.min(history.changes, historyChangesMax) / 2))
    : 0
  const target = Math.max(old, half)
  return target > history.compacted ? target : undefined
}
