import type { MiddlewareHandler } from 'hono'
import { NodeError } from '../base/errors.ts'
import { refusedBodyTimeoutMs, requestBytesMax } from '../base/limits.ts'

/**
 * A request body whose reader may give up before its end without cutting the connection: most clients write the whole
 * body before they read the answer, and would never learn why they were refused.
 */
export class Upload {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  /** The body; cancelling it leaves the rest where it is. */
  readonly stream: ReadableStream<Uint8Array>

  constructor(body: ReadableStream<Uint8Array>) {
    const reader = body.getReader()
    this.#reader = reader
    this.stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** Reads what is left, and forgets it: for as long as a refusal may take, and up to `bytesMax`. */
  async discardRest(bytesMax = Number.POSITIVE_INFINITY): Promise<void> {
    const deadline = AbortSignal.timeout(refusedBodyTimeoutMs)
    const late = new Promise<undefined>((resolve) => {
      deadline.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    let bytes = 0
    while (bytes <= bytesMax) {
      // A sender who is gone needs no answer.
      const next = await Promise.race([this.#reader.read().catch(() => undefined), late])
      if (next?.value === undefined) return
      bytes += next.value.length
    }
  }
}

/** Takes in the body of a request that was refused before anybody looked at it, where it is no longer than usual. */
export async function discardBody(request: Request): Promise<void> {
  if (request.body === null || request.bodyUsed || request.body.locked) return
  await new Upload(request.body).discardRest(requestBytesMax)
}

/** Refuses bodies beyond `requestBytesMax`, but those of `streamed` paths, which are bounded by who reads them. */
export function limitBody(streamed: (path: string) => boolean): MiddlewareHandler {
  return async (c, next) => {
    const { raw, path } = c.req
    const { method, headers } = raw
    if (method !== 'GET' && method !== 'HEAD' && !streamed(path)) {
      if (Number(headers.get('content-length') ?? 0) > requestBytesMax) throw tooLarge()
      if (headers.has('transfer-encoding')) c.req.raw = await gathered(raw)
    }
    await next()
  }
}

/** A request whose length is not told beforehand, with its body at hand. */
async function gathered(request: Request): Promise<Request> {
  const { url, method, headers, body } = request
  if (body === null) return request
  const upload = new Upload(body)
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of upload.stream) {
    bytes += part.length
    if (bytes > requestBytesMax) {
      await upload.discardRest(requestBytesMax)
      throw tooLarge()
    }
    parts.push(part)
  }
  return new Request(url, { method, headers, body: Buffer.concat(parts) })
}

function tooLarge(): NodeError {
  return new NodeError('TOO_LARGE', `A request may have ${requestBytesMax} bytes`)
}
