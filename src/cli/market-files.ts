/**
 * One of the predecessor's files from the web. Fetched by maoctl and not by the node: whoever types an address asks for it
 * from where he sits, and cannot make a node ask what only that could reach.
 */
import { messageOf, NodeError } from '../base/errors.ts'
import { marketFetchTimeoutMs, marketFileBytesMax, marketRedirectsMax } from '../base/limits.ts'

/**
 * The text of `<source>/<file>`; undefined where there is none.
 *
 * @throws NodeError INVALID_INPUT for what is no address, TOO_LARGE, SOURCE_UNAVAILABLE.
 */
export async function fetchMarketFile(source: string, file: string): Promise<string | undefined> {
  const base = URL.parse(source.endsWith('/') ? source : `${source}/`)
  if (base === null) throw new NodeError('INVALID_INPUT', `${source} is no address`)
  const signal = AbortSignal.timeout(marketFetchTimeoutMs)
  const response = await follow(new URL(file, base), signal)
  if (response.status === 404 || response.status === 410) {
    await response.body?.cancel()
    return undefined
  }
  if (!response.ok) {
    await response.body?.cancel()
    const message = `${response.url} answers ${response.status}; the files are wanted without a login`
    throw new NodeError('SOURCE_UNAVAILABLE', message, { status: response.status })
  }
  return textWithin(response)
}

/** @throws NodeError SOURCE_UNAVAILABLE, also for a redirect that leads from https to http or nowhere. */
async function follow(url: URL, signal: AbortSignal): Promise<Response> {
  let at = url
  for (let hops = 0; hops <= marketRedirectsMax; hops += 1) {
    const response = await ask(at, signal)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) return response
    await response.body?.cancel()
    const next = URL.parse(location, at.href)
    const isFit = next?.protocol === 'https:' || (next?.protocol === 'http:' && at.protocol === 'http:')
    if (next === null || !isFit) {
      throw new NodeError(
        'SOURCE_UNAVAILABLE',
        `${at.href} leads to where nobody follows; name the final address`,
      )
    }
    at = next
  }
  throw new NodeError('SOURCE_UNAVAILABLE', `${url.href} leads on more than ${marketRedirectsMax} times`)
}

async function ask(url: URL, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { redirect: 'manual', signal, headers: { accept: 'application/json' } })
  } catch (cause) {
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
    throw new NodeError('SOURCE_UNAVAILABLE', `${url.href} cannot be had: ${messageOf(why)}`, {}, { cause })
  }
}

async function textWithin(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > marketFileBytesMax) {
        const message = `${response.url} has more than ${marketFileBytesMax} bytes; split the file, and import its parts from a directory`
        throw new NodeError('TOO_LARGE', message)
      }
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    const message = `${response.url} broke off: ${messageOf(cause)}`
    throw new NodeError('SOURCE_UNAVAILABLE', message, {}, { cause })
  }
  return Buffer.concat(chunks).toString('utf8')
}
