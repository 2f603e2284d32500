/** Room on the disk: how much is left, and what a full disk looks like in the words of the system and of programs. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { NodeError } from './errors.ts'
import { KIB } from './units.ts'

/** Out of room, over a quota of the file system, or out of inodes on systems that say so apart. */
const FULL_CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT'])
const FULL_WORDS = /No space left on device|Disk quota exceeded|Out of diskspace/
/** Errors wrap each other a few times, and never so often. */
const CAUSES_MAX = 16

/** Bytes that this process may still write where `path` is or will be. */
export async function freeBytesAt(path: string): Promise<number> {
  for (;;) {
    try {
      const { bavail, bsize } = await statfs(path)
      return bavail * bsize
    } catch (error) {
      const parent = dirname(path)
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT') || parent === path)
        throw error
      path = parent
    }
  }
}

/** Less than this, and hardly a file can be written: what failed then has most likely failed for want of room. */
const HARDLY_ANY_BYTES = 64 * KIB

/** Whether there is next to no room, or no name left for a file, where `path` is. */
export async function isOutOfRoom(path: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(path)
  return bavail * bsize < HARDLY_ANY_BYTES || (files > 0 && ffree === 0)
}

/** Whether a program's words, such as git's on standard error, say that the disk is full. */
export function saysDiskFull(text: string): boolean {
  return FULL_WORDS.test(text)
}

/** Whether an error, or one that it was caused by, is a full disk. */
export function isDiskFull(error: unknown): boolean {
  let at = error
  for (let depth = 0; at instanceof Error && depth < CAUSES_MAX; depth += 1) {
    if (at instanceof NodeError && at.code === 'DISK_FULL') return true
    if ('code' in at && FULL_CODES.has(at.code)) return true
    at = at.cause
  }
  return false
}

/** @param place the directory that could not take more. */
export function diskFull(place: string, cause?: unknown): NodeError {
  const message = `The disk of ${place} is full; what was begun is undone. Free some room, for example with "maoctl dataset remove-local" or "maoctl dataset gc", and try again`
  return new NodeError('DISK_FULL', message, { place }, cause === undefined ? {} : { cause })
}

/** An error as it is to be told: a full disk, however it came to light, as DISK_FULL. */
export function orDiskFull(error: unknown, place: string): unknown {
  if (error instanceof NodeError && error.code === 'DISK_FULL') return error
  return isDiskFull(error) ? diskFull(place, error) : error
}

/**
 * Refuses work that writes much while the disk has less than the node itself needs.
 *
 * @param wantedBytes what the work will write, as far as that is known.
 * @throws NodeError DISK_FULL
 */
export async function checkFree(p: {
  readonly place: string
  readonly reserveBytes: number
  readonly wantedBytes?: number
}): Promise<void> {
  const { place, reserveBytes, wantedBytes = 0 } = p
  const freeBytes = await freeBytesAt(place)
  if (freeBytes - wantedBytes >= reserveBytes) return
  const wanted = wantedBytes === 0 ? '' : `, ${wantedBytes} bytes are wanted`
  const message = `The disk of ${place} has ${freeBytes} bytes left${wanted}, and ${reserveBytes} are kept for the node itself (setting datasets.freeBytesMin); free some room, for example with "maoctl dataset remove-local" or "maoctl dataset gc", and try again`
  throw new NodeError('DISK_FULL', message, { place, freeBytes, reserveBytes, wantedBytes })
}
