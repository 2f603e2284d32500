/** Writes what a server sends to a file, and finds out whether it is all of it. */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { checkFree } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { inputFreeCheckBytes } from '../../base/limits.ts'
import type { ByteBudget } from './byte-budget.ts'
import { shownUrl, unavailable } from './checked-request.ts'

export interface BodyParts {
  readonly url: URL
  readonly response: IncomingMessage
  readonly file: string
  readonly budget: ByteBudget
  readonly freeBytesMin: () => number
  /** What the file is to hash to. */
  readonly sha256?: string | undefined
}

export interface Written {
  readonly bytes: number
  readonly sha256: string
}

/**
 * The file is there when this resolves, whole and proven; otherwise it is not.
 *
 * @throws NodeError TOO_LARGE, CHECKSUM_MISMATCH, DISK_FULL, SOURCE_UNAVAILABLE for a body that is cut or stops,
 * UNSUPPORTED for an encoding that nobody asked for and that is not known here.
 */
export async function bodyToFile(p: BodyParts): Promise<Written> {
  const { url, response, file, budget } = p
  const length = lengthOf(response)
  checkTellsItsEnd(p, length)
  if (length !== undefined && length > budget.leftBytes) throw budget.excess(shownUrl(url))
  const sink = await open(file, 'wx', 0o600)
  try {
    const written = await write(p, sink, length)
    checkSum({ what: shownUrl(url), found: written.sha256, wanted: p.sha256 })
    return written
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    response.destroy()
    await sink.close()
  }
}

async function write(
  p: BodyParts,
  sink: Awaited<ReturnType<typeof open>>,
  length: number | undefined,
): Promise<Written> {
  const { url, file, budget } = p
  const hash = createHash('sha256')
  const free = (wantedBytes: number) => {
    return checkFree({ place: dirname(file), reserveBytes: p.freeBytesMin(), wantedBytes })
  }
  let [bytes, looked] = [0, 0]
  await free(length ?? 0)
  for await (const chunk of decoded(p, received(p, length))) {
    budget.take(chunk.length, shownUrl(url))
    bytes += chunk.length
    hash.update(chunk)
    await sink.writeFile(chunk)
    if (bytes - looked < inputFreeCheckBytes) continue
    looked = bytes
    await free(0)
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** The bytes on the line; ends well only after the last of them. */
async function* received(
  { url, response }: BodyParts,
  length: number | undefined,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  const cut = (cause?: unknown) => {
    if (cause instanceof NodeError) return cause
    const of = length === undefined ? '' : ` of ${length}`
    const why = cause === undefined ? '' : ` (${messageOf(cause)})`
    return unavailable(url, `${shownUrl(url)} broke off after ${bytes}${of} bytes${why}`, cause)
  }
  try {
    for await (const chunk of response) {
      bytes += chunk.length
      yield chunk
    }
  } catch (cause) {
    throw cut(cause)
  }
  if (!response.complete || (length !== undefined && bytes !== length)) throw cut()
}

/**
 * We ask for no encoding. A server that sends one all the same means the file inside (RFC 9110, 8.4), except that many
 * call a compressed file's own compression its encoding: a file that says it in its name is left as it is.
 */
async function* decoded(
  { url, response }: BodyParts,
  raw: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const encoding = (response.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  const isItself = /\.(?:t?gz|tgz|svgz|br)$/i.test(url.pathname)
  if (encoding === '' || encoding === 'identity' || isItself) return yield* raw
  const decoder = DECODERS[encoding]?.()
  if (decoder === undefined) {
    await raw.return(undefined)
    const message = `${shownUrl(url)} comes in the encoding ${encoding}, which is not known here`
    throw new NodeError('UNSUPPORTED', message, { url: shownUrl(url), encoding })
  }
  // Its failure comes out of the decoder.
  pipeline(Readable.from(raw), decoder, () => undefined)
  try {
    yield* decoder
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    const message = `${shownUrl(url)} is not the ${encoding} that it says it is: ${messageOf(cause)}`
    throw unavailable(url, message, cause)
  }
}

const DECODERS: Readonly<Record<string, () => ReturnType<typeof createGunzip>>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

/** @throws NodeError CHECKSUM_MISMATCH */
export function checkSum(p: { what: string; found: string; wanted: string | undefined }): void {
  const { what, found, wanted } = p
  if (wanted === undefined || wanted === found) return
  const message = `${what} has the SHA-256 ${found}, and the step asks for ${wanted}; if it has changed rightly, change the step`
  throw new NodeError('CHECKSUM_MISMATCH', message, { found, wanted })
}

function lengthOf(response: IncomingMessage): number | undefined {
  const text = response.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

/** Where the end of the connection is the end of the file, a cut looks like one too (RFC 9112, 6.3, 8). */
function checkTellsItsEnd({ url, response, sha256 }: BodyParts, length: number | undefined): void {
  const isChunked = response.headers['transfer-encoding'] !== undefined
  if (length !== undefined || isChunked || sha256 !== undefined) return
  response.destroy()
  const message = `${shownUrl(url)} comes without its length, so that a part of it could not be told from all of it; give its sha256 in the step`
  throw new NodeError('UNSUPPORTED', message, { url: shownUrl(url) })
}
