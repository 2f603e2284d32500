import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface PatientRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | ReadableStream<Uint8Array>
  readonly signal?: AbortSignal
  /** Certificates (PEM) that are trusted instead of the system's. */
  readonly ca?: string
}

/**
 * What `fetch` does, for answers that may take hours to begin: the built-in one gives up on the first byte after five
 * minutes, and has no word for longer. Follows no redirects.
 *
 * @throws what the connection, the body or the signal ends with.
 */
export async function patientFetch(
  url: URL,
  { method, headers, body, signal, ca }: PatientRequest,
): Promise<Response> {
  const start = url.protocol === 'https:' ? requestHttps : requestHttp
  const trusted = ca === undefined ? {} : { ca }
  const options = { method, headers, ...trusted, ...(signal === undefined ? {} : { signal }) }
  const asking = start(url, options)
  const answered = new Promise<Response>((resolve, reject) => {
    asking.once('error', reject)
    asking.once('response', (answer) => {
      const told = new Headers()
      for (const [name, value] of Object.entries(answer.headers)) {
        for (const each of [value ?? []].flat()) told.append(name, each)
      }
      const status = answer.statusCode ?? 0
      const bytes =
        status === 204 || status === 304 ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
      const response = new Response(bytes, { status, headers: told })
      Object.defineProperty(response, 'url', { value: url.href })
      resolve(response)
    })
  })
  if (!(body instanceof ReadableStream)) {
    asking.end(body)
    return answered
  }
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  // What the body fails with ends the request, which itself would only tell that it was ended.
  async function* sent(bytes: ReadableStream<Uint8Array>) {
    try {
      yield* bytes
    } catch (error) {
      fail(error)
      throw error
    }
  }
  // A refusal may come before all was sent.
  pipeline(sent(body), asking).catch(() => undefined)
  return Promise.race([failed, answered])
}
