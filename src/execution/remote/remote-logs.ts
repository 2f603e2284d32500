/**
 * What the tools of remote runs have printed, kept here as it comes: one file a run, bounded, readable when the host is
 * away. A run that its host had to repeat goes on in the same file; where each part begins, a small file beside it says.
 */
import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { logReadBytes, remoteLogBytesMax, remoteLogPartsMax } from '../../base/limits.ts'

const partsSchema = z.array(z.object({ run: z.string(), base: z.int().nonnegative() }))
type Part = z.output<typeof partsSchema>[number]

const CUT = `\n[the log reached its limit of ${remoteLogBytesMax} bytes; what follows is not kept]\n`

export class RemoteLogs {
  readonly #directory: string
  readonly #waiting = new Map<string, Set<() => void>>()
  /** How often readers were told to look again, by run. */
  readonly #turns = new Map<string, number>()
  /** Bytes that came beyond the bound, by run. */
  readonly #beyond = new Map<string, number>()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Of which run at the host, and up to which byte, the log is here. */
  async place(id: string): Promise<{ run?: string; offset: number }> {
    const last = (await this.#parts(id)).at(-1)
    return last === undefined ? { offset: 0 } : { run: last.run, offset: (await this.size(id)) - last.base }
  }

  /** Bytes that are here. */
  async size(id: string): Promise<number> {
    return (await stat(this.#path(id, 'log')).catch(ifAbsent))?.size ?? 0
  }

  /**
   * Adds what the host sent; what is here already is passed over.
   *
   * @throws NodeError INVALID_INPUT when something is missing in between, TOO_LARGE when the host goes on for ever.
   */
  async append(id: string, run: string, offset: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    const parts = await this.#parts(id)
    const size = await this.size(id)
    let part = parts.at(-1)
    if (part?.run !== run) {
      if (parts.length >= remoteLogPartsMax) {
        const message = `The host has begun the log ${parts.length} times, and begins it again`
        throw new NodeError('TOO_LARGE', message)
      }
      part = { run, base: size }
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      await writeFile(this.#path(id, 'parts'), JSON.stringify([...parts, part]), { mode: 0o600 })
    }
    const room = remoteLogBytesMax - size
    if (room <= 0) return this.#refuseEndless(id, bytes.length)
    const have = size - part.base
    if (offset > have) {
      throw new NodeError('INVALID_INPUT', `The host sent its log from byte ${offset}, and ${have} are here`)
    }
    const news = bytes.subarray(have - offset)
    if (news.length === 0) return
    const kept = news.length <= room ? news : Buffer.concat([news.subarray(0, room), Buffer.from(CUT)])
    const file = await open(this.#path(id, 'log'), 'a', 0o600)
    try {
      await file.appendFile(kept)
    } finally {
      await file.close()
    }
    this.wake(id)
  }

  /** The bytes from `from` on; with `isOver`, also what is still to come, until that says so and all has been read. */
  async *read(
    id: string,
    options: { from?: number; isOver?: () => boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array> {
    const { isOver = () => true, signal } = options
    let at = options.from ?? 0
    while (!signal?.aborted) {
      // Both looked at before reading: what comes between is found in the next turn.
      const [over, turn] = [isOver(), this.#turns.get(id) ?? 0]
      const bytes = await this.#readAt(id, at)
      at += bytes.length
      if (bytes.length > 0) yield bytes
      else if (over) return
      else await this.#after(id, turn, signal)
    }
  }

  /** Lets readers look again: the run has moved on. */
  wake(id: string): void {
    this.#turns.set(id, (this.#turns.get(id) ?? 0) + 1)
    for (const wake of [...(this.#waiting.get(id) ?? [])]) wake()
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id, 'log'), { force: true })
    await rm(this.#path(id, 'parts'), { force: true })
    this.#turns.delete(id)
    this.#beyond.delete(id)
  }

  #refuseEndless(id: string, bytes: number): void {
    const beyond = (this.#beyond.get(id) ?? 0) + bytes
    this.#beyond.set(id, beyond)
    if (beyond <= remoteLogBytesMax) return
    throw new NodeError('TOO_LARGE', 'The host sends its log without end')
  }

  /** Resolves once there may be more than at that turn, or the reader has gone. */
  #after(id: string, turn: number, signal: AbortSignal | undefined): Promise<void> {
    if ((this.#turns.get(id) ?? 0) !== turn || signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(id) ?? new Set()
      this.#waiting.set(id, waiting)
      const wake = () => {
        waiting.delete(wake)
        if (waiting.size === 0) this.#waiting.delete(id)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  async #readAt(id: string, at: number): Promise<Uint8Array> {
    const file = await open(this.#path(id, 'log'), 'r').catch(ifAbsent)
    if (file === undefined) return new Uint8Array(0)
    try {
      const buffer = Buffer.allocUnsafe(logReadBytes)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }

  async #parts(id: string): Promise<Part[]> {
    const text = await readFile(this.#path(id, 'parts'), 'utf8').catch(ifAbsent)
    return text === undefined ? [] : partsSchema.parse(JSON.parse(text))
  }

  #path(id: string, kind: 'log' | 'parts'): string {
    return join(this.#directory, `${id}.${kind}`)
  }
}

function ifAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
