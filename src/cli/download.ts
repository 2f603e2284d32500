import { createHash } from 'node:crypto'
import { messageOf, NodeError } from '../base/errors.ts'
import { downloadRedirectsMax, downloadSilenceMs, importBytesMax } from '../base/limits.ts'

export interface Download {
  /** Fails at its end when what came is not what the checksum promised, so that nobody uses it. */
  readonly bytes: AsyncIterable<Uint8Array>
  /** What the file is called, by its address. */
  readonly name: string
}

/**
 * Fetches a file from the web: over few redirects, none of which leaves TLS, up to `importBytesMax`, and given up when
 * nothing comes for a while.
 *
 * @param sha256 64 hex digits that the bytes have to hash to.
 * @throws NodeError INVALID_INPUT, NODE_UNREACHABLE, NOT_FOUND, TOO_LARGE; from the bytes SIGNATURE_INVALID.
 */
export async function download(address: string, sha256?: string): Promise<Download> {
  const silence = new Silence()
  const response = await follow(address, silence)
  const length = Number(response.headers.get('content-length') ?? 0)
  if (length > importBytesMax) throw tooLarge(address)
  return { bytes: read(response, address, silence, sha256), name: nameOf(response.url || address) }
}

async function follow(address: string, silence: Silence): Promise<Response> {
  let at = checkedUrl(address)
  for (let hops = 0; hops <= downloadRedirectsMax; hops += 1) {
    const response = await ask(at, silence)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) {
      if (response.ok && response.body !== null) return response
      await response.body?.cancel()
      const code = response.status === 404 || response.status === 410 ? 'NOT_FOUND' : 'NODE_UNREACHABLE'
      throw new NodeError(code, `${at.href} answers ${response.status} ${response.statusText}`.trim())
    }
    await response.body?.cancel()
    const next = checkedUrl(new URL(location, at).href)
    if (at.protocol === 'https:' && next.protocol !== 'https:') {
      throw new NodeError('INVALID_INPUT', `${at.host} leads from https to http, which is not followed`)
    }
    at = next
  }
  throw new NodeError('INVALID_INPUT', `${address} leads on more than ${downloadRedirectsMax} times`)
}

async function ask(url: URL, silence: Silence): Promise<Response> {
  silence.heard()
  try {
    // As it lies there: a checksum is of the file, not of what a server makes of it on the way.
    const headers = { 'accept-encoding': 'identity' }
    return await fetch(url, { redirect: 'manual', headers, signal: silence.signal })
  } catch (cause) {
    const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
    throw new NodeError(
      'NODE_UNREACHABLE',
      `${url.host} cannot be reached: ${messageOf(inner)}`,
      {},
      { cause },
    )
  } finally {
    silence.pause()
  }
}

async function* read(
  response: Response,
  address: string,
  silence: Silence,
  sha256: string | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let bytes = 0
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  try {
    for (;;) {
      silence.heard()
      const next = await reader.read()
      silence.pause()
      if (next.done) break
      bytes += next.value.length
      if (bytes > importBytesMax) throw tooLarge(address)
      hash.update(next.value)
      yield next.value
    }
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    throw new NodeError('NODE_UNREACHABLE', `The download broke off: ${messageOf(cause)}`, {}, { cause })
  } finally {
    silence.pause()
    await reader.cancel().catch(() => undefined)
  }
  const found = hash.digest('hex')
  if (sha256 === undefined || sha256 === found) return
  const message = `${address} has the SHA-256 ${found}, not ${sha256}; nothing was imported`
  throw new NodeError('SIGNATURE_INVALID', message, { found, sha256 })
}

function checkedUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new NodeError('INVALID_INPUT', `"${text.slice(0, 200)}" is no address that can be fetched`)
  }
  if (url.username === '' && url.password === '') return url
  const message =
    'Names and passwords do not belong into an address, which others may read; fetch the file yourself, and import that'
  throw new NodeError('INVALID_INPUT', message)
}

function nameOf(address: string): string {
  const last = URL.parse(address)?.pathname.split('/').at(-1) ?? ''
  try {
    const name = decodeURIComponent(last)
    return name === '' || name.includes('/') ? 'download' : name
  } catch {
    // Not meant as an escape then.
    return last
  }
}

function tooLarge(address: string): NodeError {
  return new NodeError('TOO_LARGE', `${address} has more than ${importBytesMax} bytes`, {
    bytesMax: importBytesMax,
  })
}

/** Ends what has been waited for too long; whoever waits says so before and after. */
class Silence {
  readonly #late = new AbortController()
  #timer: NodeJS.Timeout | undefined

  get signal(): AbortSignal {
    return this.#late.signal
  }

  heard(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#late.abort(new Error(`nothing came for ${downloadSilenceMs / 1_000} s`))
    }, downloadSilenceMs)
  }

  pause(): void {
    clearTimeout(this.#timer)
  }
}
