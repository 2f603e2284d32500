import { NodeError } from '../../src/base/errors.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import type { Streams } from '../../src/network/network.ts'

/** Bytes in one direction that wait for their reader; a writer waits above it, as on a real stream. */
const WINDOW_BYTES = 256 * 1024

/** What passes a direction: may change a chunk, or throw to cut the stream. */
export type Tap = (chunk: Uint8Array) => Uint8Array

class Direction {
  chunks: Uint8Array[] = []
  waiting = 0
  passed = 0
  ended = false
  failure: NodeError | undefined
  #wake: (() => void)[] = []

  changed(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resume of wake) resume()
  }

  change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve))
  }
}

class PairedStream implements ByteStream {
  readonly peer: string
  readonly #incoming: Direction
  readonly #outgoing: Direction
  readonly #tap: Tap

  constructor(peer: string, incoming: Direction, outgoing: Direction, tap: Tap) {
    this.peer = peer
    this.#incoming = incoming
    this.#outgoing = outgoing
    this.#tap = tap
  }

  /** Bytes that the other side has written and this side not read. */
  get unread(): number {
    return this.#incoming.waiting
  }

  async read(): Promise<Uint8Array | undefined> {
    const from = this.#incoming
    for (;;) {
      if (from.failure !== undefined) throw from.failure
      const chunk = from.chunks.shift()
      if (chunk !== undefined) {
        from.waiting -= chunk.length
        from.changed()
        return chunk
      }
      if (from.ended) return undefined
      await from.change()
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const to = this.#outgoing
    if (to.failure === undefined && to.ended) throw new NodeError('STREAM_CLOSED', 'The stream was ended')
    let chunk: Uint8Array
    try {
      chunk = this.#tap(Uint8Array.from(bytes))
    } catch (error) {
      this.abort(error as Error)
      throw error
    }
    if (to.failure !== undefined) throw to.failure
    to.chunks.push(chunk)
    to.waiting += chunk.length
    to.passed += chunk.length
    to.changed()
    while (to.waiting > WINDOW_BYTES) {
      await to.change()
      if (to.failure !== undefined) throw to.failure
    }
  }

  async closeWrite(): Promise<void> {
    this.#outgoing.ended = true
    this.#outgoing.changed()
  }

  abort(error: Error): void {
    for (const direction of [this.#incoming, this.#outgoing]) {
      direction.failure ??= new NodeError('STREAM_CLOSED', `The stream was cut: ${error.message}`)
      direction.changed()
    }
  }
}

/** Two ends of one stream within the process. `tap` sees what the second end (the server's) writes. */
export function byteStreamPair(
  first: string,
  second: string,
  tap: Tap = (chunk) => chunk,
): [PairedStream, PairedStream] {
  const [there, back] = [new Direction(), new Direction()]
  return [new PairedStream(second, back, there, (chunk) => chunk), new PairedStream(first, there, back, tap)]
}

/** Peers within the process that open streams to each other. */
export class StreamExchange {
  readonly #handlers = new Map<string, (stream: ByteStream) => Promise<void>>()
  /** Peers that do not answer now. */
  readonly unplugged = new Set<string>()
  /** What is done to the bytes that a peer serves. */
  readonly taps = new Map<string, Tap>()
  /** Who was asked, in order. */
  readonly opened: string[] = []

  of(self: string): Pick<Streams, 'peerId' | 'handle' | 'open' | 'connectedPeers'> {
    return {
      peerId: self,
      handle: async (protocol, serve) => {
        this.#handlers.set(`${self} ${protocol}`, serve)
        return async () => {
          this.#handlers.delete(`${self} ${protocol}`)
        }
      },
      open: async (peer, protocol) => {
        this.opened.push(peer)
        const serve = this.#handlers.get(`${peer} ${protocol}`)
        if (serve === undefined || this.unplugged.has(peer) || this.unplugged.has(self)) {
          throw new NodeError('PEER_UNREACHABLE', `${peer} does not answer`, { peer })
        }
        const [client, server] = byteStreamPair(self, peer, this.taps.get(peer))
        serve(server).catch((error: Error) => server.abort(error))
        return client
      },
      connectedPeers: () => {
        const peers = [...this.#handlers.keys()].map((key) => key.split(' ')[0] as string)
        return [...new Set(peers)].filter((peer) => peer !== self && !this.unplugged.has(peer))
      },
    }
  }
}
