/**
 * Publications as directories of IPFS, over the RPC of Kubo (https://docs.ipfs.tech/reference/kubo/rpc/): added, read
 * back and then pinned, so that they stay; a pin that was there before is somebody else's and is left alone.
 */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { withAttempts } from './attempts.ts'
import type { Destination, Outgoing, OutgoingFile, Placed } from './destination.ts'
import { digestOfStream } from './manifest.ts'
import { MultipartDirectory } from './multipart-directory.ts'
import type { Credential } from './s3-destination.ts'
import { answerText, askServer, mayPass } from './server-request.ts'
import type { IpfsSettings } from './settings.ts'

const addedSchema = z.object({ Name: z.string(), Hash: z.string() })
const pinsSchema = z.object({ Keys: z.record(z.string(), z.object({ Type: z.string() })) })
const failureSchema = z.object({ Message: z.string() })

export class IpfsDestination implements Destination {
  readonly kind = 'ipfs'
  readonly #settings: IpfsSettings
  readonly #credential: Credential

  constructor(settings: IpfsSettings, credential: Credential) {
    this.#settings = settings
    this.#credential = credential
  }

  get target(): string {
    return this.#settings.api
  }

  placeOf(): undefined {
    return undefined
  }

  async publish({ files, manifest, signal, note }: Outgoing): Promise<Placed> {
    const { publicGateway, readBack } = this.#settings
    const all = [...files, manifest]
    const cid = await withAttempts(() => this.#add(all, signal), { signal })
    if (readBack)
      for (const file of all) await withAttempts(() => this.#compare(cid, file, signal), { signal })
    const isOurs = !(await withAttempts(() => this.#isPinned(cid, signal), { signal }))
    if (isOurs) {
      await note(cid)
      await withAttempts(() => this.#call('pin/add', { arg: cid }, signal).then(answerText), { signal })
    }
    const below = this.#settings.prefix === '' ? '' : `${this.#settings.prefix}/`
    const address =
      publicGateway === undefined ? `ipfs://${cid}/${below}` : `${publicGateway}/ipfs/${cid}/${below}`
    return { place: cid, address, isOurs }
  }

  /** The content itself goes when the IPFS node collects its garbage, and not where others have taken it. */
  async remove(cid: string, _paths: readonly string[], signal: AbortSignal): Promise<void> {
    const removal = async () => {
      try {
        await answerText(await this.#call('pin/rm', { arg: cid }, signal))
      } catch (error) {
        if (!/not pinned/.test(messageOf(error))) throw error
      }
    }
    await withAttempts(removal, { signal })
  }

  /** @returns the CID of the directory that holds all. */
  async #add(files: readonly OutgoingFile[], signal: AbortSignal): Promise<string> {
    const { prefix } = this.#settings
    const named = files.map((file) => ({
      ...file,
      path: prefix === '' ? file.path : `${prefix}/${file.path}`,
    }))
    const upload = new MultipartDirectory(named)
    const query = {
      ...{ 'cid-version': '1', pin: 'false', 'wrap-with-directory': 'true', progress: 'false' },
    }
    const headers = { 'content-type': upload.contentType }
    const response = await this.#call('add', query, signal, {
      headers,
      body: Readable.from(upload.content()),
    })
    const lines = (await answerText(response)).split('\n').filter((line) => line.trim() !== '')
    const added = lines.flatMap((line) => {
      const parsed = addedSchema.safeParse(jsonOf(line))
      return parsed.success ? [parsed.data] : []
    })
    // The wrapping directory has no name and comes last.
    const root = added.findLast(({ Name }) => Name === '')
    const names = new Set(added.map(({ Name }) => Name))
    const missing = named.find(({ path }) => !names.has(path))
    if (root !== undefined && missing === undefined) return root.Hash
    const trouble = String(response.trailers['x-stream-error'] ?? lines.at(-1) ?? 'nothing').slice(0, 200)
    throw new NodeError('SOURCE_UNAVAILABLE', `${this.target} did not add all files: ${trouble}`)
  }

  async #compare(cid: string, { path, sha256 }: OutgoingFile, signal: AbortSignal): Promise<void> {
    const { prefix } = this.#settings
    const arg = `/ipfs/${cid}/${prefix === '' ? '' : `${prefix}/`}${path}`
    const found = await digestOfStream(await this.#call('cat', { arg }, signal))
    if (found.sha256 === sha256) return
    const message = `${arg} was sent with the SHA-256 ${sha256}, and reads as ${found.sha256}`
    throw new NodeError('SOURCE_UNAVAILABLE', message, { path })
  }

  async #isPinned(cid: string, signal: AbortSignal): Promise<boolean> {
    try {
      const said = await answerText(await this.#call('pin/ls', { arg: cid, type: 'recursive' }, signal))
      const pins = pinsSchema.safeParse(jsonOf(said))
      return pins.success && Object.keys(pins.data.Keys).length > 0
    } catch (error) {
      if (/not pinned/.test(messageOf(error))) return false
      throw error
    }
  }

  /** @throws NodeError with what the server says. */
  async #call(
    command: string,
    query: Record<string, string>,
    signal: AbortSignal,
    p: { headers?: Record<string, string>; body?: Readable } = {},
  ): Promise<IncomingMessage> {
    const { api, tokenVariable } = this.#settings
    const url = new URL(`${api}/api/v0/${command}?${new URLSearchParams(query)}`)
    const token =
      tokenVariable === undefined ? {} : { authorization: `Bearer ${await this.#credential(tokenVariable)}` }
    const response = await askServer(url, {
      method: 'POST',
      signal,
      ...p,
      headers: { ...p.headers, ...token },
    })
    const { statusCode: status = 0 } = response
    if (status === 200) return response
    const said = await answerText(response)
    const failure = failureSchema.safeParse(jsonOf(said))
    const words = failure.success ? failure.data.Message : `${status} ${said.slice(0, 200)}`
    // Its RPC says 500 of everything that it understood and could not do; only what has no words may pass.
    const code = mayPass(status) && !failure.success ? 'SOURCE_UNAVAILABLE' : 'PUBLISH_FAILED'
    throw new NodeError(code, `${this.target} answers to ${command}: ${words.trim()}`, { status })
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON is no answer of the kind that is looked for.
    return undefined
  }
}
