import type { FileHandle } from 'node:fs/promises'
import { stepLogBytesMax } from '../../base/limits.ts'
import { Redactor } from '../secrets/redactor.ts'

export type OutputStream = 'stdout' | 'stderr'

const CUT = `\n[the log reached its limit of ${stepLogBytesMax} bytes; what came after this is not kept]\n`
const AGAIN = '[the step was begun again]\n'

/** What a writer and its readers share of one log. */
export interface Feed {
  /** Bytes in the file by now. */
  bytes: number
  closed: boolean
  readonly waiting: Set<() => void>
}

/** The writing end of the log of one stage of a step. */
export class StepLog {
  readonly #file: FileHandle
  readonly #feed: Feed
  readonly #onClose: () => void
  readonly #redactors: Record<OutputStream, Redactor>
  readonly #decoders: Record<OutputStream, InstanceType<typeof TextDecoder>>
  #writing: Promise<void> = Promise.resolve()
  #accepted: number
  #full = false

  /** @param parts.feed counts what an earlier try of the step has left in the file. */
  constructor(parts: { file: FileHandle; feed: Feed; secrets: readonly string[]; onClose: () => void }) {
    const { file, feed, secrets, onClose } = parts
    this.#file = file
    this.#feed = feed
    this.#onClose = onClose
    this.#accepted = feed.bytes
    this.#redactors = { stdout: new Redactor(secrets), stderr: new Redactor(secrets) }
    this.#decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
    // Should it fail, so does the next write, which somebody waits for.
    if (feed.bytes > 0) this.#append(AGAIN).catch(() => undefined)
  }

  /** Resolves once the text is in the file, so that a tool that prints without end is slowed down, not buffered. */
  write(stream: OutputStream, bytes: Uint8Array): Promise<void> {
    if (this.#full) return this.#writing
    const text = this.#decoders[stream].decode(bytes, { stream: true })
    return this.#append(this.#redactors[stream].push(text))
  }

  /** A line of the node's own. */
  say(line: string): Promise<void> {
    const { stdout } = this.#redactors
    return this.#append(`${stdout.push(line) + stdout.end()}\n`)
  }

  /** Writes what was held back, and lets the followers end. */
  async close(): Promise<void> {
    if (this.#feed.closed) return
    try {
      await this.#writeRest().finally(() => this.#file.close())
    } finally {
      this.#feed.closed = true
      this.#onClose()
      this.#wake()
    }
  }

  async #writeRest(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#redactors[stream].push(this.#decoders[stream].decode())
      await this.#append(rest + this.#redactors[stream].end())
    }
  }

  #append(text: string): Promise<void> {
    if (text === '' || this.#full) return this.#writing
    const bytes = Buffer.from(text)
    const room = Math.max(0, stepLogBytesMax - this.#accepted)
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
