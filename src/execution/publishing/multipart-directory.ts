/**
 * A directory as one request body (RFC 7578), in the way Kubo reads it: directories before what is in them, each path
 * percent-encoded as the file name of its part.
 */
import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'

export interface MultipartFile {
  readonly path: string
  open(): Readable
}

export class MultipartDirectory {
  readonly #files: readonly MultipartFile[]
  readonly #boundary = `mao-${randomUUID()}`

  constructor(files: readonly MultipartFile[]) {
    this.#files = files
  }

  get contentType(): string {
    return `multipart/form-data; boundary=${this.#boundary}`
  }

  async *content(): AsyncGenerator<Uint8Array> {
    const told = new Set<string>()
    // Depth first: Kubo closes a directory when something beside it comes.
    for (const { path, open } of this.#files.toSorted((one, other) => inTreeOrder(one.path, other.path))) {
      for (const directory of directoriesAbove(path)) {
        if (told.has(directory)) continue
        told.add(directory)
        yield this.#head(directory, 'application/x-directory')
      }
      yield this.#head(path, 'application/octet-stream')
      for await (const chunk of open()) yield chunk
    }
    yield Buffer.from(`\r\n--${this.#boundary}--\r\n`)
  }

  #head(path: string, type: string): Uint8Array {
    const disposition = `form-data; name="file"; filename="${encodeURIComponent(path)}"`
    return Buffer.from(
      `\r\n--${this.#boundary}\r\nContent-Disposition: ${disposition}\r\nContent-Type: ${type}\r\n\r\n`,
    )
  }
}

/** From the top down. */
function directoriesAbove(path: string): string[] {
  const above: string[] = []
  for (let at = dirname(path); at !== '.'; at = dirname(at)) above.unshift(at)
  return above
}

/** Part by part, so that all below one directory stands together. */
function inTreeOrder(one: string, other: string): number {
  const [left, right] = [one.split('/'), other.split('/')]
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const [mine = '', theirs = ''] = [left[at], right[at]]
    if (mine !== theirs) return mine < theirs ? -1 : 1
  }
  return left.length - right.length
}
