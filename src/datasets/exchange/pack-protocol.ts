/**
 * What both sides of `/mao/git/1.0.0` say before objects flow (protocols/dataset-fetch.md): lines of JSON, each in one
 * schema, on a stream whose rest belongs to the dialect that they agree on.
 */
import { z } from 'zod'
import { type ErrorCode, isNodeError, NodeError } from '../../base/errors.ts'
import {
  branchesPerHeadMax,
  dialTimeoutMs,
  fetchHavesMax,
  fetchLineBytesMax,
  refusedBytesMax,
  refusedPartingMs,
} from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import { strangersWords } from '../../base/strangers-words.ts'
import { withDeadline } from '../../base/wait.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import { ChunkReader } from '../git/chunk-reader.ts'
import type { Dialect } from '../git/repository.ts'

export const PACK_PROTOCOL = '/mao/git/1.0.0'

export const oidSchema = z.string().regex(/^[0-9a-f]{40}$/)

/** The client's first line. */
export const helloSchema = z.object({ dataset: nameSchema, dialects: z.array(z.string().max(40)).max(8) })
/** The server's answer to it. */
export const dialectSchema = z.object({ dialect: z.enum(['upload-pack', 'pack'] satisfies Dialect[]) })
/** The client's second line, in the dialect `pack` alone. */
export const askSchema = z.object({
  wants: z.array(oidSchema).min(1).max(branchesPerHeadMax),
  haves: z.array(oidSchema).max(fetchHavesMax),
})
/** The server's answer to that; the pack follows. */
export const packSchema = z.object({ pack: z.literal(true) })
const refusalSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

/** Codes that mean the same to both sides; any other says only that the peer has failed. */
const SHARED_CODES: readonly ErrorCode[] = [
  'COMMIT_NOT_FOUND',
  'DATASET_NOT_FOUND',
  'DATASET_WITHHELD',
  'FORBIDDEN',
  'QUEUE_FULL',
  'TOO_LARGE',
  'UNSUPPORTED',
]

/** One side of the lines on a stream. */
export class Conversation {
  readonly #stream: ByteStream
  /** What the other side says, in whatever way it goes on behind the lines. */
  readonly reader: ChunkReader

  constructor(stream: ByteStream) {
    this.#stream = stream
    this.reader = new ChunkReader(chunksOf(stream))
  }

  async say(message: object): Promise<void> {
    await this.#stream.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`))
  }

  /** Says nothing but that we are at work. */
  async sayAlive(): Promise<void> {
    await this.#stream.write(Buffer.from('\n'))
  }

  /** Tells the other side why it gets nothing, and parts from it. */
  async refuse(error: unknown): Promise<void> {
    const known = error instanceof NodeError && SHARED_CODES.includes(error.code)
    // What went wrong inside is for our log, not for a peer.
    const shown = known
      ? { code: error.code, message: error.message }
      : { code: 'GIT_FAILED', message: 'failed' }
    await this.say({ error: shown })
    await this.#stream.closeWrite()
    await this.#part()
  }

  /** A cut at once might overtake the words; but whoever talks on instead of hanging up is not listened to. */
  async #part(): Promise<void> {
    const ends = async () => {
      let bytes = 0
      for (let chunk = await this.#stream.read(); chunk !== undefined; chunk = await this.#stream.read()) {
        bytes += chunk.length
        if (bytes > refusedBytesMax) throw new NodeError('TOO_LARGE', 'Nothing follows a refusal')
      }
    }
    try {
      await withDeadline(ends(), refusedPartingMs, 'The end of a refused stream')
    } catch {
      this.#stream.abort(new Error('The other side was refused'))
    }
  }

  /**
   * The next line, in its schema. At the deadline the stream is cut, so that nothing is read on behind it.
   *
   * @param wordsMax empty lines that may come before it, each to say that the other side is at work.
   * @throws NodeError with the code of the other side's refusal, INVALID_INPUT when it says something else, TIMED_OUT.
   */
  async hear<T>(
    schema: z.ZodType<T>,
    { deadlineMs = dialTimeoutMs, wordsMax = 0 }: { deadlineMs?: number; wordsMax?: number } = {},
  ): Promise<T> {
    const what = `The next word of ${this.#stream.peer}`
    const line = await withDeadline(this.#line(wordsMax), deadlineMs, what).catch((error: unknown) => {
      if (isNodeError(error, 'TIMED_OUT')) this.#stream.abort(error)
      throw error
    })
    const value = parseJson(line ?? '')
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const refusal = refusalSchema.safeParse(value)
    if (refusal.success) throw this.#refusal(refusal.data.error)
    throw new NodeError('INVALID_INPUT', `${this.#stream.peer} does not speak ${PACK_PROTOCOL}`, {
      peer: this.#stream.peer,
    })
  }

  /** The stream as it goes on behind the lines. */
  rest(): ByteStream {
    const stream = this.#stream
    return {
      peer: stream.peer,
      read: () => this.reader.chunk(),
      write: (bytes) => stream.write(bytes),
      closeWrite: () => stream.closeWrite(),
      abort: (error) => stream.abort(error),
    }
  }

  /** The next line that says something: empty ones only show that the other side is at work. */
  async #line(wordsMax: number): Promise<string | undefined> {
    for (let words = 0; words < wordsMax; words += 1) {
      const line = await this.reader.line(fetchLineBytesMax)
      if (line !== '') return line
    }
    return this.reader.line(fetchLineBytesMax)
  }

  /** [MUST] Its words are a stranger's (dataset-fetch.md D14). */
  #refusal({ code, message }: { code: string; message: string }): NodeError {
    const { peer } = this.#stream
    const known = SHARED_CODES.find((shared) => shared === code) ?? 'GIT_FAILED'
    return new NodeError(known, `${peer} refused: ${strangersWords(message)}`, { peer })
  }
}

/** A stream as the chunks that come from it. */
export async function* chunksOf(stream: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) yield chunk
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No schema takes undefined, so the caller refuses it like any other nonsense.
    return undefined
  }
}
