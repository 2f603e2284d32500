/**
 * Bounds what a step writes to the disk, which no engine does for a directory of the host. The output is measured while
 * the tool is at work and once more when it has ended. What cannot be seen from outside (files that are deleted and
 * still open, directories that are shut) is bounded by the space that is left on the disk.
 */
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { freeBytesAt } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { diskFreeBytesMin, outputWatchIntervalMs, treeEntriesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'

/** A walk through many files may take a fifth of the time, and no more. */
const REST_PER_WALK = 4

export interface OutputBounds {
  /** What the tool can write, together; the first is the output itself. */
  readonly directories: readonly [string, ...string[]]
  readonly bytesMax: number
  readonly entriesMax?: number
  readonly freeBytesMin?: number
}

export interface OutputWatch {
  /** Aborts with a NodeError TOO_LARGE or DISK_FULL that names the limit. */
  readonly signal: AbortSignal
  stop(): void
}

/** Measures at an interval until it is stopped, or a bound is passed. */
export function watchOutput(bounds: OutputBounds, log: Logger): OutputWatch {
  const passed = new AbortController()
  const stopped = new AbortController()
  const watching = async (look: () => Promise<NodeError | undefined>) => {
    while (!stopped.signal.aborted && !passed.signal.aborted) {
      const beganMs = performance.now()
      const excess = await look()
      if (excess !== undefined) passed.abort(excess)
      const restMs = Math.max(outputWatchIntervalMs, REST_PER_WALK * (performance.now() - beganMs))
      await delay(restMs, stopped.signal).catch(() => undefined)
    }
  }
  for (const look of [() => excessOf(bounds, stopped.signal), () => shortageOf(bounds)]) {
    watching(look).catch((error: unknown) => {
      // It is measured again when the step has ended.
      log.warn(
        { directory: bounds.directories[0], error: messageOf(error) },
        'an output is not being measured',
      )
    })
  }
  return { signal: passed.signal, stop: () => stopped.abort() }
}

/** Why an output is more than is allowed; undefined when it is not, or when `signal` ended the walk. */
export async function excessOf(bounds: OutputBounds, signal?: AbortSignal): Promise<NodeError | undefined> {
  const { directories, bytesMax, entriesMax = treeEntriesMax } = bounds
  let bytes = 0
  let entries = 0
  for await (const size of sizesBelow(directories)) {
    if (signal?.aborted) return undefined
    bytes += size
    entries += 1
    if (bytes > bytesMax) {
      const message = `the output holds more than ${bytesMax} bytes, which is the limit of this step (setting execution.outputBytes, or resources.diskBytes of the step)`
      return new NodeError('TOO_LARGE', message, { bytesMax })
    }
    if (entries > entriesMax) {
      const message = `the output holds more than ${entriesMax} files and directories, which no dataset takes`
      return new NodeError('TOO_LARGE', message, { entriesMax })
    }
  }
  return undefined
}

async function shortageOf(bounds: OutputBounds): Promise<NodeError | undefined> {
  const [directory] = bounds.directories
  const { freeBytesMin = diskFreeBytesMin } = bounds
  if ((await freeBytesAt(directory)) >= freeBytesMin) return undefined
  const message = `the disk has less than ${freeBytesMin} bytes left, which the node needs itself (setting datasets.freeBytesMin); free some room, and run it again`
  return new NodeError('DISK_FULL', message, { freeBytesMin, directory })
}

/** Of everything below directories that a tool may be changing meanwhile, what it takes or would take in a commit. */
async function* sizesBelow(roots: readonly string[]): AsyncGenerator<number> {
  const waiting = [...roots]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const directory = await unlessGone(opendir(path))
    if (directory === undefined) continue
    try {
      for await (const entry of directory) {
        const child = join(path, entry.name)
        const found = await unlessGone(lstat(child))
        if (found === undefined) continue
        if (found.isDirectory()) waiting.push(child)
        // A file with holes is committed with all of its noughts, one with room ahead takes that room.
        yield Math.max(found.size, found.blocks * BLOCK_BYTES)
      }
    } catch (error) {
      if (!isPassable(error)) throw error
    }
  }
}

/** The unit of `blocks`, whatever the file system's own. */
const BLOCK_BYTES = 512

async function unlessGone<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    if (isPassable(error)) return undefined
    throw error
  }
}

/** What a tool at work does under our eyes: it removes, replaces, shuts, and nests deeper than paths are long. */
function isPassable(error: unknown): boolean {
  const passable = ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG']
  return error instanceof Error && 'code' in error && passable.includes(String(error.code))
}
