import type { Connection, Stream } from '@libp2p/interface'
import { messageOf } from '../base/errors.ts'
import { streamsPerPeerMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { type ByteStream, Libp2pByteStream } from './byte-stream.ts'
import type { Host } from './host.ts'

export type Serve = (stream: ByteStream) => Promise<void>

/** The protocols that the rooms serve, on whichever host there is. */
export class Served {
  readonly #log: Logger
  readonly #handlers = new Map<string, Serve>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Serves a protocol from now on, also on hosts to come. */
  async add(host: Host, protocol: string, serve: Serve): Promise<void> {
    this.#handlers.set(protocol, serve)
    await this.#serve(host, protocol)
  }

  /** Stops serving, unless somebody else serves the protocol by now. */
  async remove(host: Host | undefined, protocol: string, serve: Serve): Promise<void> {
    if (this.#handlers.get(protocol) !== serve) return
    this.#handlers.delete(protocol)
    await host?.unhandle(protocol)
  }

  /** Serves all of them on a host that has just started. */
  async attach(host: Host): Promise<void> {
    for (const protocol of this.#handlers.keys()) await this.#serve(host, protocol)
  }

  async #serve(host: Host, protocol: string): Promise<void> {
    const handler = async (stream: Stream, connection: Connection) => {
      const bytes = new Libp2pByteStream(stream, connection.remotePeer.toString())
      try {
        await this.#handlers.get(protocol)?.(bytes)
      } catch (error) {
        this.#log.debug({ protocol, peer: bytes.peer, error: messageOf(error) }, 'a stream was cut')
        bytes.abort(error instanceof Error ? error : new Error(String(error)))
      }
    }
    // What anybody serves it serves over relayed connections too (network.md R7).
    await host.handle(protocol, handler, {
      maxInboundStreams: streamsPerPeerMax,
      runOnLimitedConnection: true,
    })
  }
}
