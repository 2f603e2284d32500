/** Many objects out of one `git cat-file`, read as the bytes come: no promise and no string for each of them. */
import { NodeError } from '../../base/errors.ts'
import type { GitProgram } from './git-program.ts'

const [LINE_FEED, LINE_BYTES_MAX] = [0x0a, 200]
const HEADER = '%(objecttype) %(objectsize)'

export interface BatchReading {
  /** Hears of each object in the order asked for. @throws NodeError of its own, which ends the reading. */
  onObject(index: number, type: string, size: number): void
  /** With it, contents are read as well, whole. */
  onContent?(index: number, bytes: Buffer): void
}

/** Asks for objects by ids, each a line of `input`. @throws NodeError NOT_FOUND naming the line of the first that is not here. */
export async function readBatch(
  git: GitProgram,
  path: string,
  input: string | Uint8Array,
  reading: BatchReading,
  signal?: AbortSignal,
): Promise<void> {
  if (input.length === 0) return
  const mode = reading.onContent === undefined ? '--batch-check' : '--batch'
  const args = [`--git-dir=${path}`, 'cat-file', `${mode}=${HEADER}`, '--buffer']
  await git.read(args, { input, ...(signal === undefined ? {} : { signal }) }, async (stdout) => {
    const parser = new BatchParser(reading)
    for await (const chunk of stdout) parser.add(chunk)
  })
}

class BatchParser {
  readonly #reading: BatchReading
  #rest: Buffer = Buffer.alloc(0)
  /** Of the content at hand, and how much of it is still to come, with the line feed behind it. */
  #pieces: Buffer[] = []
  #left = 0
  #index = 0

  constructor(reading: BatchReading) {
    this.#reading = reading
  }

  add(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      if (this.#left > 0) {
        const piece = bytes.subarray(0, this.#left)
        this.#pieces.push(piece)
        this.#left -= piece.length
        bytes = bytes.subarray(piece.length)
        if (this.#left > 0) break
        const content = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
        this.#pieces = []
        this.#reading.onContent?.(this.#index, content.subarray(0, -1))
        this.#index += 1
      }
      const end = bytes.indexOf(LINE_FEED)
      if (end === -1) break
      this.#header(bytes.toString('latin1', 0, end))
      bytes = bytes.subarray(end + 1)
    }
    if (this.#left === 0 && bytes.length > LINE_BYTES_MAX) throw unreadable()
    this.#rest = this.#left === 0 ? bytes : Buffer.alloc(0)
  }

  #header(line: string): void {
    const blank = line.indexOf(' ')
    const [type, size] = [line.slice(0, blank), Number(line.slice(blank + 1))]
    if (line.endsWith(' missing')) {
      const oid = line.slice(0, 40)
      throw new NodeError('NOT_FOUND', `There is no object ${oid} here`, { oid })
    }
    if (!Number.isSafeInteger(size)) throw unreadable()
    this.#reading.onObject(this.#index, type, size)
    if (this.#reading.onContent === undefined) this.#index += 1
    else this.#left = size + 1
  }
}

function unreadable(): NodeError {
  return new NodeError('GIT_FAILED', 'git cat-file says something that is no object')
}
