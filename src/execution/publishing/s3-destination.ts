/**
 * Publications as objects of an S3 bucket, over its REST API (Amazon S3 API Reference; Signature Version 4). The SHA-256
 * of each object is part of what is signed, so that the server itself refuses what arrives otherwise.
 */
import type { IncomingMessage } from 'node:http'
import aws4 from 'aws4'
import { NodeError } from '../../base/errors.ts'
import { filesPublishedAtOnceMax, s3ObjectBytesMax } from '../../base/limits.ts'
import { withAttempts } from './attempts.ts'
import type { Destination, Outgoing, OutgoingFile, Placed } from './destination.ts'
import { inTurns } from './in-turns.ts'
import { digestOfStream } from './manifest.ts'
import { answerText, askServer, mayPass } from './server-request.ts'
import type { S3Settings } from './settings.ts'

/** Of no bytes at all: what is signed of a request without a body. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** The value of a variable that holds a key. @throws NodeError FORBIDDEN when nobody has given it. */
export type Credential = (variable: string) => Promise<string>

export class S3Destination implements Destination {
  readonly kind = 's3'
  readonly #settings: S3Settings
  readonly #credential: Credential

  constructor(settings: S3Settings, credential: Credential) {
    this.#settings = settings
    this.#credential = credential
  }

  get target(): string {
    return `${this.#settings.endpoint}/${this.#settings.bucket}`
  }

  placeOf(name: string): string {
    const { prefix } = this.#settings
    return prefix === '' ? name : `${prefix}/${name}`
  }

  async publish({ name, files, manifest, signal }: Outgoing): Promise<Placed> {
    const { bucket, publicUrl } = this.#settings
    const place = this.placeOf(name)
    const put = (file: OutgoingFile) =>
      withAttempts(() => this.#put(`${place}/${file.path}`, file, signal), { signal })
    await inTurns(files, filesPublishedAtOnceMax, put)
    await put(manifest)
    const key = encoded(place)
    const address = publicUrl === undefined ? `s3://${bucket}/${place}/` : `${publicUrl}/${key}/`
    return { place, address }
  }

  async remove(place: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
    await inTurns(paths, filesPublishedAtOnceMax, (path) => {
      return withAttempts(() => this.#delete(`${place}/${path}`, signal), { signal })
    })
  }

  async #put(key: string, file: OutgoingFile, signal: AbortSignal): Promise<void> {
    const { bytes, sha256 } = file
    if (bytes > s3ObjectBytesMax) {
      const message = `${file.path} has ${bytes} bytes, and one object of S3 takes ${s3ObjectBytesMax} in one go; split the file`
      throw new NodeError('TOO_LARGE', message, { path: file.path })
    }
    const headers = { 'Content-Length': bytes, 'Content-Type': 'application/octet-stream' }
    const response = await this.#ask('PUT', key, { sha256, headers, signal, file })
    await this.#expect(response, [200, 201, 204], `${key} was not taken`)
    if (this.#settings.readBack) await this.#compare(key, sha256, signal)
  }

  async #compare(key: string, sha256: string, signal: AbortSignal): Promise<void> {
    const response = await this.#ask('GET', key, { signal })
    if (response.statusCode !== 200) await this.#expect(response, [200], `${key} cannot be read back`)
    const found = await digestOfStream(response)
    if (found.sha256 === sha256) return
    const message = `${key} was sent with the SHA-256 ${sha256}, and reads as ${found.sha256}`
    throw new NodeError('SOURCE_UNAVAILABLE', message, { key })
  }

  async #delete(key: string, signal: AbortSignal): Promise<void> {
    // Of what is not there, S3 says 204 too, and others 404.
    await this.#expect(await this.#ask('DELETE', key, { signal }), [200, 204, 404], `${key} was not removed`)
  }

  async #ask(
    method: string,
    key: string,
    p: {
      signal: AbortSignal
      sha256?: string
      headers?: Record<string, string | number>
      file?: OutgoingFile
    },
  ): Promise<IncomingMessage> {
    const { endpoint, region, bucket, accessKeyVariable, secretKeyVariable } = this.#settings
    const url = new URL(`${endpoint}/${bucket}/${encoded(key)}`)
    const headers = { ...p.headers, 'X-Amz-Content-Sha256': p.sha256 ?? EMPTY_SHA256 }
    const keys = {
      accessKeyId: await this.#credential(accessKeyVariable),
      secretAccessKey: await this.#credential(secretKeyVariable),
    }
    const signed = aws4.sign(
      { service: 's3', region, host: url.host, method, path: url.pathname, headers },
      keys,
    )
    const body = p.file === undefined ? {} : { body: p.file.open() }
    return askServer(url, {
      method,
      headers: signed.headers as Record<string, string>,
      signal: p.signal,
      ...body,
    })
  }

  /** @throws NodeError unless the answer is one of these. */
  async #expect(response: IncomingMessage, statuses: readonly number[], what: string): Promise<void> {
    const { statusCode: status = 0 } = response
    const said = await answerText(response)
    if (statuses.includes(status)) return
    const [, code = ''] = /<Code>([^<]{1,100})<\/Code>/.exec(said) ?? []
    const message = `${what}: ${this.target} answers ${status} ${code}`.trim()
    if (mayPass(status)) throw new NodeError('SOURCE_UNAVAILABLE', message, { status, code })
    const way =
      status === 401 || status === 403
        ? '; check the keys of this publisher, and that they may write there'
        : status === 404
          ? '; check its endpoint and bucket'
          : status === 301 || status === 307
            ? '; check its endpoint and region'
            : ''
    throw new NodeError('PUBLISH_FAILED', message + way, { status, code })
  }
}

/** As Signature Version 4 writes a key: everything but unreserved characters, with slashes as they are (RFC 3986, 2.3). */
function encoded(key: string): string {
  const part = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    )
  return key.split('/').map(part).join('/')
}
