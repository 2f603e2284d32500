import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PROBLEM_MEDIA_TYPE, problemSchema } from '../api/problems.ts'
import { WHEREABOUTS_FILE } from '../api/whereabouts.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { clientTimeoutMs, clientWorkTimeoutMs } from '../base/limits.ts'
import { TOKEN_FILE } from '../identity/access-token.ts'
import { knownCode } from './exit-codes.ts'
import { proveNode } from './node-proof.ts'
import { patientFetch } from './patient-fetch.ts'

/** Where a node is, and what opens it. */
export interface Address {
  url: string
  token: string
  /** Said when it does not answer. */
  wayOut: string
  /** File of certificates (PEM) that it is checked with instead of the system's. */
  caFile?: string | undefined
}

export interface Wanted {
  data: string
  url?: string | undefined
  token?: string | undefined
  caFile?: string | undefined
  /** How whoever reads an error names another node. */
  naming?: string
  /** Ends the waiting for the node. */
  signal?: AbortSignal | undefined
}

const whereaboutsSchema = z.object({ url: z.url({ protocol: /^https?$/ }) })

/**
 * Finds the node: the one named, else the one that runs on the data directory. [MUST] Nobody is sent the token of a data
 * directory, nor any token for the node of one, who has not shown to know it.
 *
 * @throws NodeError NODE_UNREACHABLE when none is to be found, UNAUTHORIZED when its token is not.
 */
export async function findNode(wanted: Wanted): Promise<Address> {
  const { data, url, token, caFile, naming = 'with --data or --url', signal } = wanted
  const wayOut = `start one with "maoctl instance start --data ${data}", or name a running one ${naming}`
  const at = url === undefined ? await urlOf(data, wayOut) : url.replace(/\/+$/, '')
  if (!/^https?:\/\//.test(at) || !URL.canParse(at)) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${at}" is no address of a node; it looks like http://127.0.0.1:8080`,
    )
  }
  // The token of this machine's node is not sent to another machine because somebody wrote its address.
  const own = isLoopback(at) ? (await readIfThere(join(data, TOKEN_FILE)))?.trim() : undefined
  const opening = token ?? own
  const isOurs = own !== undefined && own !== '' && (url === undefined || token === undefined)
  if (isOurs) await proveNode({ url: at, token: own, caFile, wayOut, signal })
  if (opening !== undefined && opening !== '') return { url: at, token: opening, wayOut, caFile }
  const message = `No token for ${at}: give it with MAO_TOKEN, or name the data directory that holds ${TOKEN_FILE}`
  throw new NodeError('UNAUTHORIZED', message, { url: at })
}

/** Whether an address is on this machine. */
export function isLoopback(url: string): boolean {
  const { hostname } = URL.parse(url) ?? {}
  return hostname !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
}

async function urlOf(data: string, wayOut: string): Promise<string> {
  const text = await readIfThere(join(data, WHEREABOUTS_FILE))
  if (text === undefined) {
    throw new NodeError('NODE_UNREACHABLE', `No node runs on ${data}; ${wayOut}`, { data })
  }
  try {
    return whereaboutsSchema.parse(JSON.parse(text)).url
  } catch (cause) {
    const message = `${join(data, WHEREABOUTS_FILE)} does not say where the node is; ${wayOut}`
    throw new NodeError('NODE_UNREACHABLE', message, { data }, { cause })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new NodeError('FORBIDDEN', `${path} cannot be read: ${messageOf(cause)}`, { path }, { cause })
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Asking {
  query?: Query
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/** The API of one node, as the commands use it. Answers pass the schemas that the API itself is described by. */
export class ApiClient {
  readonly url: string
  readonly token: string
  readonly caFile: string | undefined
  readonly #wayOut: string
  #certificates: Promise<string> | undefined

  constructor({ url, token, wayOut, caFile }: Address) {
    this.url = url
    this.token = token
    this.#wayOut = wayOut
    this.caFile = caFile === '' ? undefined : caFile
  }

  get<T>(path: string, schema: z.ZodType<T>, query: Query = {}, asking: Asking = {}): Promise<T> {
    return this.#tell('GET', path, schema, { ...asking, query })
  }

  post<T>(path: string, schema: z.ZodType<T>, value: unknown = {}, asking: Asking = {}): Promise<T> {
    const headers = { ...asking.headers, 'content-type': 'application/json' }
    return this.#tell('POST', path, schema, { ...asking, headers, body: JSON.stringify(value) })
  }

  put<T>(path: string, schema: z.ZodType<T>, value: unknown): Promise<T> {
    const headers = { 'content-type': 'application/json' }
    return this.#tell('PUT', path, schema, { headers, body: JSON.stringify(value) })
  }

  patch<T>(path: string, schema: z.ZodType<T>, value: unknown): Promise<T> {
    const headers = { 'content-type': 'application/json' }
    return this.#tell('PATCH', path, schema, { headers, body: JSON.stringify(value) })
  }

  /** Work that is done while it is waited for, however long that takes; hanging up ends it where that is safe. */
  work<T>(path: string, schema: z.ZodType<T>, value: unknown = {}, asking: Asking = {}): Promise<T> {
    const headers = { ...asking.headers, 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(clientWorkTimeoutMs)
    return this.#tell('POST', path, schema, { headers, body: JSON.stringify(value), signal, patient: true })
  }

  /** A deletion that tells what it did. */
  remove<T>(path: string, schema: z.ZodType<T>, query: Query): Promise<T> {
    return this.#tell('DELETE', path, schema, { query })
  }

  /** A body that is not JSON: a text, or bytes as they come, which then have no deadline. */
  send<T>(
    path: string,
    schema: z.ZodType<T>,
    sent: { body: string | ReadableStream<Uint8Array>; type: string; query?: Query },
  ): Promise<T> {
    const { body, type, query = {} } = sent
    return this.#tell('POST', path, schema, { headers: { 'content-type': type }, query, body })
  }

  async delete(path: string): Promise<void> {
    await this.#fetch('DELETE', path, { signal: AbortSignal.timeout(clientTimeoutMs) })
  }

  /** An answer that goes on for as long as there is something to tell. */
  async *stream(path: string, asking: Asking = {}): AsyncGenerator<string> {
    const response = await this.#fetch('GET', path, asking)
    if (response.body === null) return
    const decoder = new TextDecoder()
    try {
      for await (const bytes of response.body) yield decoder.decode(bytes, { stream: true })
    } catch (cause) {
      if (asking.signal?.aborted === true) return
      throw new NodeError('STREAM_CLOSED', `The node cut the stream: ${messageOf(cause)}`, {}, { cause })
    }
    yield decoder.decode()
  }

  /** Bytes as they come, with what the node says of them. @throws NodeError, from the bytes STREAM_CLOSED. */
  async open(
    path: string,
    asking: Asking = {},
  ): Promise<{ readonly headers: Headers; readonly bytes: AsyncGenerator<Uint8Array> }> {
    const { headers, body } = await this.#fetch('GET', path, asking)
    async function* bytes() {
      try {
        if (body !== null) for await (const chunk of body) yield chunk
      } catch (cause) {
        throw new NodeError('STREAM_CLOSED', `The node cut the file: ${messageOf(cause)}`, {}, { cause })
      }
    }
    return { headers, bytes: bytes() }
  }

  async #tell<T>(method: string, path: string, schema: z.ZodType<T>, asking: AskingWithBody): Promise<T> {
    const streamed = asking.body instanceof ReadableStream
    const deadline = streamed ? {} : { signal: AbortSignal.timeout(clientTimeoutMs) }
    const response = await this.#fetch(method, path, { ...deadline, ...asking })
    const parsed = schema.safeParse(await jsonOf(response))
    if (parsed.success) return parsed.data
    const message = `The node at ${this.url} answers otherwise than this version of maoctl understands`
    throw new NodeError('UNSUPPORTED', message, { path, problems: parsed.error.issues })
  }

  async #fetch(method: string, path: string, asking: AskingWithBody): Promise<Response> {
    const url = new URL(`${this.url}/api/v1${path}`)
    for (const [name, value] of Object.entries(asking.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const { body, signal, patient = body instanceof ReadableStream } = asking
    const init = {
      method,
      headers: { ...asking.headers, authorization: `Bearer ${this.token}` },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    }
    let response: Response
    try {
      const ca = await this.#ca()
      const own = patient || ca !== undefined
      const more = ca === undefined ? {} : { ca }
      response = await (own
        ? patientFetch(url, { ...init, ...more })
        : fetch(url, { ...init, redirect: 'error' }))
    } catch (cause) {
      throw this.#unreachable(cause)
    }
    if (!response.ok) throw await failureOf(response)
    return response
  }

  /** @throws NodeError INVALID_INPUT when the certificates cannot be read. */
  #ca(): Promise<string> | undefined {
    const { caFile } = this
    if (caFile === undefined || !this.url.startsWith('https:')) return undefined
    this.#certificates ??= readFile(caFile, 'utf8').catch((cause: unknown) => {
      const message = `The certificates in ${caFile} cannot be read: ${messageOf(cause)}`
      throw new NodeError('INVALID_INPUT', message, { caFile }, { cause })
    })
    return this.#certificates
  }

  #unreachable(cause: unknown): NodeError {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      return new NodeError('TIMED_OUT', `The node at ${this.url} did not answer in time`, {}, { cause })
    }
    // What a body could not give, it says itself, whatever came before that.
    if (cause instanceof NodeError) return cause
    const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
    if (inner instanceof NodeError) return inner
    const message = `No node answers at ${this.url} (${messageOf(inner)}); ${this.#wayOut}`
    return new NodeError('NODE_UNREACHABLE', message, { url: this.url }, { cause })
  }
}

type AskingWithBody = Asking & {
  body?: string | ReadableStream<Uint8Array>
  /** The answer may take long to begin. */
  patient?: boolean
}

/** A problem of the API as the error that it was on the node. */
async function failureOf(response: Response): Promise<NodeError> {
  const isProblem = response.headers.get('content-type')?.startsWith(PROBLEM_MEDIA_TYPE) === true
  const parsed = problemSchema.safeParse(isProblem ? await jsonOf(response) : undefined)
  if (!parsed.success) return noNode(response)
  const { code, data } = parsed.data
  // Whoever typed a command knows of no body or query.
  const detail = parsed.data.detail.replace(/^The (?:body|query|path) is not valid: /, '')
  const known = knownCode(code)
  return known === undefined
    ? new NodeError('INTERNAL', `${detail} (${code})`, data)
    : new NodeError(known, detail, data)
}

/** @throws NodeError NODE_UNREACHABLE when the answer is cut short or is no JSON. */
async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch (cause) {
    throw noNode(response, cause)
  }
}

function noNode({ url, status }: Response, cause?: unknown): NodeError {
  const message = `${url} answered ${status} in a way that no MAO node does`
  return new NodeError('NODE_UNREACHABLE', message, { status }, { cause })
}
