import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { buildLogBytesMax, buildLogReadBytes } from '../../base/limits.ts'

/** What a build prints, in a file of its own that people may follow while it grows. */
export class BuildLog {
  readonly #path: string
  #file: FileHandle | undefined
  #bytes = 0
  #isFull = false
  readonly #hearers = new Set<() => void>()

  constructor(path: string) {
    this.#path = path
  }

  /** Waits for the disk, so that whoever prints is no faster than it; beyond the bound nothing is kept, and that is said. */
  async write(text: string): Promise<void> {
    if (this.#isFull) return
    if (this.#file === undefined) {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
      this.#file = await open(this.#path, 'a', 0o600)
      this.#bytes = (await this.#file.stat()).size
    }
    const bytes = Buffer.from(text)
    this.#isFull = this.#bytes + bytes.length > buildLogBytesMax
    const room = Math.max(0, buildLogBytesMax - this.#bytes)
    const kept = this.#isFull
      ? Buffer.concat([bytes.subarray(0, room), Buffer.from('\n[the rest is not kept]\n')])
      : bytes
    await this.#file.appendFile(kept)
    this.#bytes += kept.length
    this.#tell()
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    this.#tell()
  }

  /** Resolves when more was written, the log was closed, or the signal aborts. */
  async more(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const heard = () => {
        this.#hearers.delete(heard)
        signal.removeEventListener('abort', heard)
        resolve()
      }
      this.#hearers.add(heard)
      signal.addEventListener('abort', heard, { once: true })
    })
  }

  #tell(): void {
    for (const heard of [...this.#hearers]) heard()
  }
}

/** What stands in the file from a byte on, and where that ends; nothing where there is no file. */
export async function* readBuildLog(path: string, from: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return
  try {
    for (let at = from; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(buildLogReadBytes), 0, buildLogReadBytes, at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}
