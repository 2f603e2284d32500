import { messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { type MayStay, whileMayStay } from './token-watch.ts'

export interface LiveTextParts {
  /** Makes the text; ends soon after the signal aborts. */
  iterate: (signal: AbortSignal) => AsyncIterable<string>
  /** Aborts when the server stops, so that a reader that would follow for ever is let go. */
  stopping: AbortSignal
  /** Asked while the stream is open: once it says no, the stream ends. */
  mayStay?: MayStay | undefined
  log: Logger
}

/**
 * A response body made of text that comes while it is read. Nothing is made that the reader does not ask for, and the
 * source is told when the reader hangs up. A source that fails cuts the response, so that nobody takes it for whole.
 */
export function liveText({ iterate, stopping, mayStay, log }: LiveTextParts): ReadableStream<Uint8Array> {
  const gone = new AbortController()
  const barred = new AbortController()
  const signal = AbortSignal.any([gone.signal, barred.signal, stopping])
  const settle = whileMayStay(mayStay, () => barred.abort())
  const iterator = iterate(signal)[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await iterator.next()
          if (next.done !== true && !barred.signal.aborted) {
            return controller.enqueue(encoder.encode(next.value))
          }
          settle()
          controller.close()
        } catch (error) {
          settle()
          if (stopping.aborted || barred.signal.aborted) return controller.close()
          if (!gone.signal.aborted) log.warn({ err: error }, 'a stream to a client was cut')
          controller.error(error)
        }
      },
      cancel() {
        settle()
        gone.abort()
        // The source may still be waiting; it is not awaited, only told, and what it says last is logged.
        Promise.resolve(iterator.return?.()).catch((error: unknown) => {
          log.debug({ reason: messageOf(error) }, 'a stream ended after its reader')
        })
      },
    },
    { highWaterMark: 0 },
  )
}
