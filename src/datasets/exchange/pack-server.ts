import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  fetchAliveIntervalMs,
  fetchTimeoutMs,
  transfersPerPeerMax,
  transfersServedMax,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import type { Streams } from '../../network/network.ts'
import type { PackRepository } from '../git/repository.ts'
import { PACE, PacedStream, type PaceLimits } from './pace.ts'
import { askSchema, Conversation, helloSchema, PACK_PROTOCOL } from './pack-protocol.ts'

export interface PackServerParts {
  readonly streams: Pick<Streams, 'handle'>
  /** Whether a peer may ask at all; who may not is not even listened to. */
  readonly isMember: (peer: string) => boolean
  /** Whether a peer may have a dataset at all, or throws why not; asked before a byte of it is read. */
  readonly mayRead: (peer: string, dataset: string) => boolean
  /** Hears that the answers of `mayRead` may have changed. @returns how to stop hearing. */
  readonly onChange?: (changed: () => void) => () => void
  readonly repository: (dataset: string) => Promise<PackRepository>
  readonly log: Logger
  /** How slowly a member may read. */
  readonly pace?: PaceLimits
}

/** One transfer that runs. */
interface Transfer {
  readonly peer: string
  readonly dataset: string
  readonly cut: AbortController
}

/** Serves the objects of this node's datasets to members. */
export class PackServer implements Startable {
  readonly #parts: PackServerParts
  readonly #transfers = new Set<Transfer>()
  #stopping = new AbortController()
  #unhandle: (() => Promise<void>) | undefined
  #unwatch: (() => void) | undefined

  constructor(parts: PackServerParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unhandle !== undefined) return
    this.#stopping = new AbortController()
    this.#unhandle = await this.#parts.streams.handle(PACK_PROTOCOL, (stream) => this.#serve(stream))
    this.#unwatch = this.#parts.onChange?.(() => this.#judgeAgain())
  }

  async stop(): Promise<void> {
    const unhandle = this.#unhandle
    this.#unhandle = undefined
    this.#unwatch?.()
    await unhandle?.()
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
  }

  async #serve(bare: ByteStream): Promise<void> {
    const stream = new PacedStream(bare, this.#parts.pace ?? PACE)
    const talk = new Conversation(stream)
    let dataset: string | undefined
    try {
      if (!this.#parts.isMember(stream.peer)) throw forbidden(stream.peer)
      const hello = await talk.hear(helloSchema)
      dataset = hello.dataset
      const repository = await this.#admit(stream.peer, dataset)
      // [MUST] The first of our own list that both speak (dataset-fetch.md D3).
      const dialect = repository.dialects.find((one) => hello.dialects.includes(one))
      if (dialect === undefined) throw new NodeError('UNSUPPORTED', 'We speak no dialect in common')
      await this.#counted(stream, dataset, async (signal) => {
        await talk.say({ dialect })
        if (dialect === 'upload-pack') await this.#serveUploadPack(talk, stream, repository, signal)
        else await this.#servePack(talk, stream, repository, signal)
      })
    } catch (error) {
      this.#parts.log.debug({ peer: stream.peer, dataset, error: messageOf(error) }, 'a fetch was not served')
      // [MUST] The other side learns why, before the stream ends (dataset-fetch.md D12).
      await talk.refuse(error)
    } finally {
      stream.unwatch()
    }
  }

  /** [MUST] Membership and policy come before anything of the dataset is touched (dataset-fetch.md D1). */
  async #admit(peer: string, dataset: string): Promise<PackRepository> {
    this.#demand(peer, dataset)
    return this.#parts.repository(dataset)
  }

  #demand(peer: string, dataset: string): void {
    if (!this.#parts.mayRead(peer, dataset)) throw forbidden(peer)
  }

  /** [MUST] Who may no longer have a dataset gets no more of it (dataset-fetch.md D1). */
  #judgeAgain(): void {
    for (const { peer, dataset, cut } of this.#transfers) {
      try {
        this.#demand(peer, dataset)
      } catch (error) {
        cut.abort(error)
      }
    }
  }

  async #serveUploadPack(
    talk: Conversation,
    stream: ByteStream,
    repository: PackRepository,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await repository.uploadPack(talk.rest(), signal)
    } catch (cause) {
      // git's dialogue has a way of its own to say what is wrong; a line of ours would only garble it.
      stream.abort(new Error(messageOf(cause)))
      throw cause
    }
  }

  async #servePack(
    talk: Conversation,
    stream: ByteStream,
    repository: PackRepository,
    signal: AbortSignal,
  ): Promise<void> {
    const { wants, haves } = await talk.hear(askSchema)
    const chunks = repository.packObjects(wants, haves, signal)[Symbol.asyncIterator]()
    // A want that is not here shows with the first chunk, while there is still a way to say so.
    let next = await aliveUntil(chunks.next(), talk)
    try {
      await talk.say({ pack: true })
      for (; next.done !== true; next = await chunks.next()) await stream.write(next.value)
      await stream.closeWrite()
    } catch (cause) {
      // [MUST] Behind the first byte a refusal would be read as part of the pack: the other side must see a cut (D13).
      stream.abort(new Error(messageOf(cause)))
      throw cause
    } finally {
      await chunks.return?.()
    }
  }

  /** [MUST] Transfers are bounded, for one peer and for all (dataset-fetch.md D11), and so is how slowly one is read. */
  async #counted(
    stream: PacedStream,
    dataset: string,
    serve: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { peer } = stream
    const ofPeer = [...this.#transfers].filter((transfer) => transfer.peer === peer).length
    if (ofPeer >= transfersPerPeerMax || this.#transfers.size >= transfersServedMax) {
      throw new NodeError('QUEUE_FULL', 'Too many transfers at once; try again later', { peer })
    }
    const transfer: Transfer = { peer, dataset, cut: new AbortController() }
    this.#transfers.add(transfer)
    const deadline = AbortSignal.timeout(fetchTimeoutMs)
    const signal = AbortSignal.any([this.#stopping.signal, transfer.cut.signal, deadline])
    const cut = () => stream.abort(new Error(messageOf(signal.reason)))
    signal.addEventListener('abort', cut, { once: true })
    stream.watch('write')
    stream.watch('read')
    try {
      // What has changed while the repository was being opened was told to nobody.
      this.#demand(peer, dataset)
      await serve(signal)
    } finally {
      signal.removeEventListener('abort', cut)
      this.#transfers.delete(transfer)
    }
  }
}

/** The same words for everybody who may not, whatever there is (dataset-fetch.md D1). */
function forbidden(peer: string): NodeError {
  return new NodeError('FORBIDDEN', 'You may not have this dataset', { peer })
}

/** Says that we are at work for as long as something takes, so that the stream is not taken for dead. */
async function aliveUntil<T>(work: Promise<T>, talk: Conversation): Promise<T> {
  const word = setInterval(() => {
    // A stream that was cut is noticed by whoever writes to it next.
    talk.sayAlive().catch(() => undefined)
  }, fetchAliveIntervalMs)
  try {
    return await work
  } finally {
    clearInterval(word)
  }
}
