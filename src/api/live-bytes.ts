import { messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { type MayStay, whileMayStay } from './token-watch.ts'

export interface LiveBytesParts {
  readonly content: AsyncIterable<Uint8Array>
  /** Ends whatever makes the content, once its reader has left or the server stops. */
  readonly gone: AbortController
  readonly stopping: AbortSignal
  /** Asked while the content comes: once it says no, the response is cut. */
  readonly mayStay?: MayStay | undefined
  readonly log: Logger
}

/**
 * A response body of bytes that are read as fast as the client takes them, and no faster. A source that fails cuts the
 * response, so that nobody takes it for whole; one that was left is told.
 */
export function liveBytes({
  content,
  gone,
  stopping,
  mayStay,
  log,
}: LiveBytesParts): ReadableStream<Uint8Array> {
  const iterator = content[Symbol.asyncIterator]()
  const end = () => gone.abort()
  stopping.addEventListener('abort', end, { once: true })
  const look = whileMayStay(mayStay, end)
  const settle = () => {
    look()
    stopping.removeEventListener('abort', end)
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await iterator.next()
          if (next.done !== true) return controller.enqueue(next.value)
          settle()
          controller.close()
        } catch (error) {
          settle()
          if (!gone.signal.aborted) log.warn({ err: error }, 'a file for a client was cut')
          controller.error(error)
        }
      },
      cancel() {
        settle()
        gone.abort()
        Promise.resolve(iterator.return?.()).catch((error: unknown) => {
          log.debug({ reason: messageOf(error) }, 'a file ended after its reader')
        })
      },
    },
    { highWaterMark: 0 },
  )
}
