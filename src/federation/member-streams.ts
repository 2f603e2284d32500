/**
 * Direct streams for members alone: whoever registers a protocol here need not think of those who were removed. Each
 * stream is refused to who is no member, and one that is open is cut at once when its other end is a member no more.
 */
import { NodeError } from '../base/errors.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import type { Network, Streams } from '../network/network.ts'
import type { Members } from './members.ts'

export interface MemberStreamsParts {
  readonly streams: Streams & Pick<Network, 'onConnect'>
  readonly members: Pick<Members, 'isMember' | 'wasRemoved'>
}

export class MemberStreams implements Streams {
  readonly #parts: MemberStreamsParts
  readonly #open = new Set<ByteStream>()
  readonly #protocols = new Set<string>()

  constructor(parts: MemberStreamsParts) {
    this.#parts = parts
  }

  get peerId(): string {
    return this.#parts.streams.peerId
  }

  /** The protocols that are served to members alone. */
  get protocols(): readonly string[] {
    return [...this.#protocols].sort()
  }

  connectedPeers(): string[] {
    return this.#parts.streams.connectedPeers()
  }

  onConnect(connected: (peer: string) => void): () => void {
    return this.#parts.streams.onConnect(connected)
  }

  /** [MUST] Membership comes before a word is heard (keyspace.md [D5]). */
  async handle(protocol: string, serve: (stream: ByteStream) => Promise<void>): Promise<() => Promise<void>> {
    const { streams, members } = this.#parts
    const unhandle = await streams.handle(protocol, async (stream) => {
      if (!members.isMember(stream.peer)) throw refusal(stream.peer)
      this.#open.add(stream)
      try {
        await serve(stream)
      } finally {
        this.#open.delete(stream)
      }
    })
    this.#protocols.add(protocol)
    return async () => {
      this.#protocols.delete(protocol)
      await unhandle()
    }
  }

  /**
   * Who was removed is not asked either; a peer that is not known yet is, for it may bring its own admission. Streams that
   * are open end with the connection (`Network.regate`).
   *
   * @throws NodeError PEER_UNREACHABLE, NOT_A_MEMBER
   */
  async open(peer: string, protocol: string, signal?: AbortSignal): Promise<ByteStream> {
    const { streams, members } = this.#parts
    if (members.wasRemoved(peer)) throw refusal(peer)
    return streams.open(peer, protocol, signal)
  }

  /** Cuts what is open with who is a member no more; to be called after a change among the members. */
  judgeAgain(): void {
    for (const stream of this.#open) {
      if (this.#parts.members.isMember(stream.peer)) continue
      this.#open.delete(stream)
      stream.abort(refusal(stream.peer))
    }
  }
}

function refusal(peer: string): NodeError {
  return new NodeError('NOT_A_MEMBER', `${peer} is no member`, { peer })
}
