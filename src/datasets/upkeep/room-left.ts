/** How much a dataset may still take of this node's disk. Everything here is pure. */
import { isNodeError, NodeError } from '../../base/errors.ts'
import { diskFullRetryMs, fetchRejectedRetryMs, quotaRetryMs } from '../../base/limits.ts'

export interface Usage {
  /** What the dataset takes, and what all datasets of the node take together. */
  readonly bytes: number
  readonly bytesOfAll: number
  /** What of `bytes` is only on its way; 0 without it. */
  readonly comingBytes?: number
  /** Settings; 0: no bound. */
  readonly quotaBytes: number
  readonly totalBytes: number
  /** What the disk has left, and what of that is the node's own. */
  readonly freeBytes: number
  readonly freeBytesMin: number
}

/** Which of the bounds is the nearest. */
export type Bound = 'quota' | 'total' | 'disk'

export interface Room {
  /** 0 when there is none. */
  readonly bytes: number
  readonly bound: Bound
}

export function roomLeft(usage: Usage): Room {
  const { bytes, bytesOfAll, quotaBytes, totalBytes, freeBytes, freeBytesMin } = usage
  const rooms: Room[] = [{ bound: 'disk', bytes: freeBytes - freeBytesMin }]
  if (quotaBytes > 0) rooms.push({ bound: 'quota', bytes: quotaBytes - bytes })
  if (totalBytes > 0) rooms.push({ bound: 'total', bytes: totalBytes - bytesOfAll })
  const least = rooms.reduce((a, b) => (b.bytes < a.bytes ? b : a))
  return { bound: least.bound, bytes: Math.max(0, least.bytes) }
}

/**
 * Why nothing more comes in.
 *
 * @param wantedBytes what was to come, where that is known.
 */
export function noRoom(p: {
  readonly dataset: string
  readonly usage: Usage
  readonly bound: Bound
  readonly wantedBytes?: number
}): NodeError {
  const { dataset, usage, bound, wantedBytes } = p
  const { comingBytes = 0 } = usage
  const coming = comingBytes > 0 ? `, ${comingBytes} are on their way here` : ''
  const wanted = wantedBytes === undefined ? '' : `, and ${wantedBytes} more were to come`
  const data = { dataset, bound, ...usage, ...(wantedBytes === undefined ? {} : { wantedBytes }) }
  const clear = clearing(dataset, usage.bytes - comingBytes > 0, bound)
  if (bound === 'disk') {
    const message = `The disk has ${usage.freeBytes} bytes left${coming}${wanted}; ${usage.freeBytesMin} are kept free (setting datasets.freeBytesMin). To make room, ${clear}free some elsewhere`
    return new NodeError('DISK_FULL', message, data)
  }
  const [takes, setting] =
    bound === 'quota'
      ? [
          `The dataset ${dataset} takes ${usage.bytes - comingBytes} of the ${usage.quotaBytes} bytes that it may`,
          'datasets.quotaBytes',
        ]
      : [
          `The datasets of this node take ${usage.bytesOfAll - comingBytes} of the ${usage.totalBytes} bytes that they may`,
          'datasets.totalBytes',
        ]
  const message = `${takes}${coming}${wanted}. To go on, ${clear}raise the setting ${setting}`
  return new NodeError('QUOTA_EXCEEDED', message, data)
}

/** What makes room, where anything does. @param hasBytes of the dataset. */
function clearing(dataset: string, hasBytes: boolean, bound: Bound): string {
  const ways = [
    ...(hasBytes ? [`collect garbage ("maoctl dataset gc ${dataset}")`] : []),
    // The bound of one dataset is not met by what others take.
    ...(bound === 'quota' ? [] : ['remove copies ("maoctl dataset remove-local")']),
  ]
  return ways.length === 0 ? '' : `${ways.join(', ')} or `
}

/** When what failed for want of room is tried again, in ms (dataset-upkeep.md Q3); undefined when that is not why. */
export function roomRetryMs(error: unknown): number | undefined {
  if (isNodeError(error, 'QUOTA_EXCEEDED')) return quotaRetryMs
  if (isBeyondMemory(error)) return fetchRejectedRetryMs
  return isNodeError(error, 'DISK_FULL') ? diskFullRetryMs : undefined
}

/** Whether something failed because there is no room for it here: nobody else can help with that. */
export function isNoRoom(error: unknown): boolean {
  return roomRetryMs(error) !== undefined
}

/** Whether a dataset's own bound was met, where room that another dataset makes does not help. */
export function isOwnQuota(error: unknown): boolean {
  return isBeyondMemory(error) || (isNodeError(error, 'QUOTA_EXCEEDED') && error.data.bound === 'quota')
}

/** More than a node without the git program takes at once, whoever sends it. */
function isBeyondMemory(error: unknown): boolean {
  return isNodeError(error, 'TOO_LARGE') && error.data.bound === 'memory'
}
