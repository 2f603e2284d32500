/**
 * Many objects out of one `git cat-file`, read as the bytes come: no promise and no string for each of them. Starting a
 * process costs a large node more than most of what the process does, so one serves for all that is asked of a place.
 */
import { NodeError } from '../../base/errors.ts'
import { type GitChild, GitExit, type GitProgram } from './git-program.ts'

const [LINE_FEED, LINE_BYTES_MAX] = [0x0a, 200]
const HEADER = '%(objecttype) %(objectsize)'
/** Since then one process tells kinds and contents as it is asked. */
const BATCH_COMMAND = [2, 36] as const
/** Objects asked for at once: what memory holds of the question. */
const BATCH_OBJECTS = 10_000

export interface BatchReading {
  /** Hears of each object in the order asked for. @throws NodeError of its own, which ends the reading. */
  onObject(index: number, type: string, size: number): void
  /** With it, contents are read as well, whole. */
  onContent?(index: number, bytes: Buffer): void
}

/** Reads objects of the repository at one place, one question after another, until it is closed. */
export class ObjectBatches {
  readonly #git: GitProgram
  readonly #path: string
  readonly #signal: AbortSignal
  #child: GitChild | undefined
  #parser: BatchParser | undefined
  #fail: (error: unknown) => void = () => undefined

  constructor(git: GitProgram, path: string, signal: AbortSignal) {
    this.#git = git
    this.#path = path
    this.#signal = signal
  }

  /**
   * @param oids may be many: they are taken as they are needed.
   * @throws NodeError NOT_FOUND naming the first that is not here, and whatever `reading` throws. Ends the whole.
   */
  async read(oids: Iterable<string>, reading: BatchReading): Promise<void> {
    let done = 0
    let chunk: string[] = []
    const ask = async () => {
      const first = done
      done += chunk.length
      const asked = chunk
      chunk = []
      await (this.#git.isAtLeast(BATCH_COMMAND)
        ? this.#ask(asked, first, reading)
        : this.#run(asked, first, reading))
    }
    for (const oid of oids) {
      chunk.push(oid)
      if (chunk.length === BATCH_OBJECTS) await ask()
    }
    if (chunk.length > 0) await ask()
  }

  close(): void {
    this.#child?.kill()
  }

  async #ask(oids: readonly string[], first: number, reading: BatchReading): Promise<void> {
    this.#signal.throwIfAborted()
    this.#child ??= this.#start()
    const { stdin } = this.#child
    const word = reading.onContent === undefined ? 'info' : 'contents'
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject
      this.#parser = new BatchParser(reading, first, oids.length, resolve)
      stdin.write(`${oids.map((oid) => `${word} ${oid}\n`).join('')}flush\n`)
    })
  }

  #start(): GitChild {
    const args = [`--git-dir=${this.#path}`, 'cat-file', `--batch-command=${HEADER}`, '--buffer']
    const child = this.#git.spawn(args, { signal: this.#signal })
    child.stdout.on('data', (chunk: Buffer) => {
      try {
        this.#parser?.add(chunk)
      } catch (error) {
        this.#fail(error)
        child.kill()
      }
    })
    child.ended.then(
      ({ code, stderr }) => {
        this.#fail(this.#signal.aborted ? this.#signal.reason : new GitExit('cat-file', code, stderr))
      },
      (error: unknown) => this.#fail(error),
    )
    return child
  }

  /** The same with a process for each question. */
  async #run(oids: readonly string[], first: number, reading: BatchReading): Promise<void> {
    const mode = reading.onContent === undefined ? '--batch-check' : '--batch'
    const args = [`--git-dir=${this.#path}`, 'cat-file', `${mode}=${HEADER}`, '--buffer']
    const input = oids.map((oid) => `${oid}\n`).join('')
    await this.#git.read(args, { input, signal: this.#signal }, async (stdout) => {
      const parser = new BatchParser(reading, first, oids.length)
      for await (const chunk of stdout) parser.add(chunk)
    })
  }
}

class BatchParser {
  readonly #reading: BatchReading
  #rest: Buffer = Buffer.alloc(0)
  /** Of the content at hand, and how much of it is still to come, with the line feed behind it. */
  #pieces: Buffer[] = []
  #left = 0
  #index: number
  readonly #end: number
  readonly #done: () => void

  /** @param first index of the first object that comes. @param done is called behind the last. */
  constructor(reading: BatchReading, first: number, count: number, done: () => void = () => undefined) {
    this.#reading = reading
    this.#index = first
    this.#end = first + count
    this.#done = done
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
    if (this.#index === this.#end) this.#done()
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
