/**
 * What the tools of a run print: one file per step, bounded, without secrets. A reader gets what is there and then, if
 * it follows, what comes until the step has ended. Readers wait for the writer and never the other way round.
 */
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { logReadBytes, stepLogBytesMax } from '../../base/limits.ts'
import { Redactor } from '../secrets/redactor.ts'

export type OutputStream = 'stdout' | 'stderr'

const CUT = `\n[the log reached its limit of ${stepLogBytesMax} bytes; what the tool printed after this is not kept]\n`

interface Feed {
  /** Bytes in the file by now. */
  bytes: number
  closed: boolean
  waiting: Set<() => void>
}

export class RunLogs {
  readonly #directory: string
  /** The logs being written now, by path. */
  readonly #feeds = new Map<string, Feed>()

  /** @param directory holds one directory per run. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Begins the log of a step, replacing what was there. */
  async open(run: string, step: string, secrets: readonly string[]): Promise<StepLog> {
    const path = this.#path(run, step)
    await mkdir(join(this.#directory, run), { recursive: true, mode: 0o700 })
    const file = await open(path, 'w', 0o600)
    const feed: Feed = { bytes: 0, closed: false, waiting: new Set() }
    this.#feeds.set(path, feed)
    return new StepLog(file, feed, secrets, () => this.#feeds.delete(path))
  }

  /**
   * The log of one step in pieces of text, from its beginning.
   *
   * @param options.follow also yields what is still to come, until the step's log is closed or `signal` aborts.
   */
  async *read(
    run: string,
    step: string,
    options: { follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<string> {
    const path = this.#path(run, step)
    const feed = this.#feeds.get(path)
    if (feed === undefined && (await sizeOf(path)) === 0) return
    const file = await open(path, 'r')
    const decoder = new TextDecoder()
    const buffer = Buffer.alloc(logReadBytes)
    let at = 0
    try {
      for (;;) {
        if (options.signal?.aborted) return
        // Looked at before reading: what was written until it closed is on the disk by then.
        const closed = feed === undefined || feed.closed
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
        at += bytesRead
        if (bytesRead > 0) yield decoder.decode(buffer.subarray(0, bytesRead), { stream: true })
        else if (closed || !options.follow) return
        else await moreThan(at, feed, options.signal)
      }
    } finally {
      await file.close()
    }
  }

  async remove(run: string): Promise<void> {
    await rm(join(this.#directory, run), { recursive: true, force: true })
  }

  #path(run: string, step: string): string {
    return join(this.#directory, run, `${step}.log`)
  }
}

/** The writing end of a step's log. */
export class StepLog {
  readonly #file: Awaited<ReturnType<typeof open>>
  readonly #feed: Feed
  readonly #onClose: () => void
  readonly #redactors: Record<OutputStream, Redactor>
  readonly #decoders: Record<OutputStream, InstanceType<typeof TextDecoder>>
  #writing: Promise<void> = Promise.resolve()
  #accepted = 0
  #full = false

  constructor(
    file: Awaited<ReturnType<typeof open>>,
    feed: Feed,
    secrets: readonly string[],
    onClose: () => void,
  ) {
    this.#file = file
    this.#feed = feed
    this.#onClose = onClose
    this.#redactors = { stdout: new Redactor(secrets), stderr: new Redactor(secrets) }
    this.#decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  }

  /** Resolves once the text is in the file, so that a tool that prints without end is slowed down, not buffered. */
  write(stream: OutputStream, bytes: Uint8Array): Promise<void> {
    if (this.#full) return this.#writing
    const text = this.#decoders[stream].decode(bytes, { stream: true })
    return this.#append(this.#redactors[stream].push(text))
  }

  /** Writes what was held back, and lets the followers end. */
  async close(): Promise<void> {
    if (this.#feed.closed) return
    try {
      for (const stream of ['stdout', 'stderr'] as const) {
        const rest = this.#redactors[stream].push(this.#decoders[stream].decode())
        await this.#append(rest + this.#redactors[stream].end())
      }
      await this.#file.close()
    } finally {
      this.#feed.closed = true
      this.#onClose()
      this.#wake()
    }
  }

  #append(text: string): Promise<void> {
    if (text === '' || this.#full) return this.#writing
    const bytes = Buffer.from(text)
    const room = stepLogBytesMax - this.#accepted
    this.#full = bytes.length > room
    const kept = this.#full ? Buffer.concat([bytes.subarray(0, room), Buffer.from(CUT)]) : bytes
    this.#accepted += kept.length
    this.#writing = this.#writing.then(async () => {
      await this.#file.appendFile(kept)
      this.#feed.bytes += kept.length
      this.#wake()
    })
    return this.#writing
  }

  #wake(): void {
    const waiting = [...this.#feed.waiting]
    this.#feed.waiting.clear()
    for (const wake of waiting) wake()
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
