import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { isNodeError } from '../base/errors.ts'
import { clientPollMs, clientReturnMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import type { ApiClient } from './client.ts'

/**
 * The events of one of the node's streams in order, also over a cut: with the last id that was heard, the node tells
 * what came after it, or that this is gone.
 *
 * @param signal ends it quietly.
 * @throws NodeError NODE_UNREACHABLE or STREAM_CLOSED when the node does not come back in time, and what it refuses with.
 */
export async function* followStream(
  client: ApiClient,
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal?: AbortSignal,
): AsyncGenerator<EventSourceMessage> {
  let lastId: string | undefined
  let lostMs: number | undefined
  for (;;) {
    const heard: EventSourceMessage[] = []
    const parser = createParser({ onEvent: (message) => heard.push(message) })
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
    try {
      for await (const text of client.stream(path, {
        query,
        headers,
        ...(signal === undefined ? {} : { signal }),
      })) {
        lostMs = undefined
        parser.feed(text)
        for (const message of heard.splice(0)) {
          lastId = message.id ?? lastId
          yield message
        }
      }
    } catch (error) {
      if (signal?.aborted === true) return
      // Before the first event there is nothing to come back to.
      const passing = isNodeError(error, 'NODE_UNREACHABLE') || isNodeError(error, 'STREAM_CLOSED')
      if (lastId === undefined || !passing) throw error
      lostMs ??= Date.now()
      if (Date.now() - lostMs > clientReturnMs) throw error
    }
    if (signal?.aborted === true) return
    await delay(clientPollMs)
  }
}
