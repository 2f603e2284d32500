import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { messageOf, NodeError } from '../base/errors.ts'
import { gitReaderIdleMaxMs, gitRequestBytesMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { Upload } from './upload.ts'

export interface GitAnswerParts {
  /** Makes the answer; ends soon after the signal aborts. */
  readonly iterate: (signal: AbortSignal) => AsyncIterable<Uint8Array>
  readonly request: Request
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal
  readonly log: Logger
}

/**
 * The body of an answer to git, made at the pace at which it is taken. Its first bytes are waited for, so that what
 * fails before them can still be told as an error; what fails later cuts the answer, so that nobody takes half a pack
 * for a whole (stock-git.md P9).
 *
 * @throws whatever `iterate` throws before its first bytes.
 */
export async function gitAnswer(parts: GitAnswerParts): Promise<ReadableStream<Uint8Array>> {
  const { iterate, request, stopping, log } = parts
  const gone = new AbortController()
  const iterator = iterate(AbortSignal.any([gone.signal, stopping, request.signal]))[Symbol.asyncIterator]()
  const first = await iterator.next()
  let isFirst = true
  let idle: NodeJS.Timeout | undefined
  const leave = (why: unknown) => {
    clearTimeout(idle)
    gone.abort(why)
    Promise.resolve(iterator.return?.()).catch((error: unknown) => {
      log.debug({ reason: messageOf(error) }, 'an answer to git ended after its reader')
    })
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(idle)
        try {
          const next = isFirst ? first : await iterator.next()
          isFirst = false
          if (next.done === true) return controller.close()
          controller.enqueue(next.value)
        } catch (error) {
          log.info({ reason: messageOf(error) }, 'an answer to git was cut')
          return controller.error(error)
        }
        idle = setTimeout(() => {
          const late = new NodeError('TIMED_OUT', `A git client took nothing for ${gitReaderIdleMaxMs} ms`)
          leave(late)
          controller.error(late)
        }, gitReaderIdleMaxMs).unref()
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  )
}

/** A body as it comes, unzipped where git zipped it (stock-git.md P3). @throws NodeError INVALID_INPUT otherwise */
export function gitBody(request: Request): AsyncIterable<Uint8Array> {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new NodeError('INVALID_INPUT', `The encoding ${encoding} is not understood; gzip is`)
  }
  if (request.body === null) return Readable.from([])
  if (encoding === null) return request.body
  const gunzip = createGunzip()
  // How it failed is told to whoever reads from the end of the pipe.
  pipeline(Readable.fromWeb(request.body), gunzip, () => undefined)
  return gunzip
}

/** A whole request of a client that reads, which is short. @throws NodeError TOO_LARGE, INVALID_INPUT */
export async function gitRequest(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array()
  const upload = new Upload(request.body)
  const { headers, url } = request
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    const copy = new Request(url, { method: 'POST', headers, body: upload.stream, duplex: 'half' })
    for await (const part of gitBody(copy)) {
      bytes += part.length
      if (bytes > gitRequestBytesMax) {
        throw new NodeError('TOO_LARGE', `A request may have ${gitRequestBytesMax} bytes`)
      }
      parts.push(part)
    }
  } catch (cause) {
    await upload.discardRest(gitRequestBytesMax)
    if (cause instanceof NodeError) throw cause
    throw new NodeError('INVALID_INPUT', `The request cannot be read: ${messageOf(cause)}`, {}, { cause })
  }
  return Buffer.concat(parts)
}
