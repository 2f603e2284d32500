/** A request to a publisher's server, which its operator has named: no address is refused, and nothing is followed. */
import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { messageOf, NodeError } from '../../base/errors.ts'
import { publisherAnswerBytesMax, publishIdleTimeoutMs } from '../../base/limits.ts'

export interface ServerRequest {
  readonly method: string
  readonly headers?: Readonly<Record<string, string | number>>
  readonly body?: Readable
  readonly signal: AbortSignal
}

/** @throws NodeError SOURCE_UNAVAILABLE when no answer comes; the signal's reason. */
export async function askServer(url: URL, p: ServerRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const ask = url.protocol === 'https:' ? overHttps : overHttp
  const { method, headers = {}, signal, body } = p
  const asking = ask(url, { method, headers, signal, timeout: publishIdleTimeoutMs })
  asking.once('timeout', () => {
    asking.destroy(new Error(`nothing came for ${publishIdleTimeoutMs / 1_000} s`))
  })
  asking.once('response', resolve)
  asking.once('error', reject)
  // A server may answer before it has read all, and then close: the answer is what counts.
  if (body === undefined) asking.end()
  else pipeline(body, asking).catch(reject)
  try {
    return await promise
  } catch (cause) {
    body?.destroy()
    signal.throwIfAborted()
    const message = `${url.origin} cannot be reached: ${messageOf(cause)}`
    throw new NodeError('SOURCE_UNAVAILABLE', message, { server: url.origin }, { cause })
  }
}

/** What an answer says, bounded. */
export async function answerText(response: IncomingMessage): Promise<string> {
  return text(bounded(response))
}

/** Whether the same may succeed a moment later. Pure. */
export function mayPass(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

async function* bounded(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > publisherAnswerBytesMax) {
      throw new NodeError(
        'PUBLISH_FAILED',
        `The server answers with more than ${publisherAnswerBytesMax} bytes`,
      )
    }
    yield chunk
  }
}
