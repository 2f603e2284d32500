/**
 * What was printed in the stages of a step: one file for each, bounded, without secrets. The logs of `algorithm` and
 * `filter` are the tools', those of `configure` and `publish` the node's own words. A reader gets what is there from any
 * byte on and then, if it follows, what comes until the log is closed. Readers wait for the writer and never the other
 * way round. A step that is begun again writes on in the same files, so that no reader's place is lost.
 */
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { logReadBytes } from '../../base/limits.ts'
import type { Stage } from '../runs/run.ts'
import { type Feed, StepLog } from './step-log.ts'

export type { OutputStream, StepLog } from './step-log.ts'

/** One log of a run. */
export interface LogName {
  readonly run: string
  readonly step: string
  readonly stage: Stage
}

export class RunLogs {
  readonly #directory: string
  /** The logs being written now, by path. */
  readonly #feeds = new Map<string, Feed>()
  /** Whoever waits for a log to be opened, by path. */
  readonly #waiting = new Map<string, Set<() => void>>()

  /** @param directory holds one directory per run. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Begins the log of a stage, or goes on with it where the step is begun again. */
  async open(run: string, step: string, stage: Stage, secrets: readonly string[]): Promise<StepLog> {
    const path = this.#path({ run, step, stage })
    await mkdir(join(this.#directory, run), { recursive: true, mode: 0o700 })
    const bytes = await sizeOf(path)
    const file = await open(path, 'a', 0o600)
    const feed: Feed = { bytes, closed: false, waiting: new Set() }
    this.#feeds.set(path, feed)
    for (const wake of this.#waiting.get(path) ?? []) wake()
    const onClose = () => {
      if (this.#feeds.get(path) === feed) this.#feeds.delete(path)
    }
    return new StepLog({ file, feed, secrets, onClose })
  }

  /** How many bytes a log has now. */
  size(log: LogName): Promise<number> {
    return sizeOf(this.#path(log))
  }

  /**
   * The bytes of a log, from `from` on.
   *
   * @param options.follow also yields what is still to come, until the log is closed or `signal` aborts.
   */
  async *read(
    log: LogName,
    options: { from?: number; follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array> {
    const { from = 0, follow = false, signal } = options
    const path = this.#path(log)
    const feed = this.#feeds.get(path)
    if (feed === undefined && (await sizeOf(path)) <= from) return
    const file = await open(path, 'r')
    let at = from
    try {
      for (;;) {
        if (signal?.aborted) return
        // Looked at before reading: what was written until it closed is on the disk by then.
        const closed = feed === undefined || feed.closed
        const buffer = Buffer.allocUnsafe(logReadBytes)
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
        at += bytesRead
        if (bytesRead > 0) yield buffer.subarray(0, bytesRead)
        else if (closed || !follow) return
        else await moreThan(at, feed, signal)
      }
    } finally {
      await file.close()
    }
  }

  /** Resolves as soon as somebody writes the log, at once where that is so already, or when `signal` aborts. */
  whenOpen(log: LogName, signal: AbortSignal): Promise<void> {
    const path = this.#path(log)
    if (this.#feeds.has(path) || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(path) ?? new Set()
      this.#waiting.set(path, waiting)
      const wake = () => {
        waiting.delete(wake)
        if (waiting.size === 0) this.#waiting.delete(path)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  async remove(run: string): Promise<void> {
    await rm(join(this.#directory, run), { recursive: true, force: true })
  }

  /** No two of them meet, though names of steps hold dots: one kind ends with ".log", the others with their stage. */
  #path({ run, step, stage }: LogName): string {
    const name = stage === 'algorithm' ? `${step}.log` : `${step}.log.${stage}`
    return join(this.#directory, run, name)
  }
}

/** Resolves when the log holds more than `bytes`, is closed, or the reader has gone. */
function moreThan(bytes: number, feed: Feed, signal: AbortSignal | undefined): Promise<void> {
  if (feed.closed || feed.bytes > bytes || signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const wake = () => {
      feed.waiting.delete(wake)
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    feed.waiting.add(wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}
