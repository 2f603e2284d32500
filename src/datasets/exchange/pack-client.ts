import { messageOf, NodeError } from '../../base/errors.ts'
import { fetchHavesMax, fetchTimeoutMs, streamIdleMaxMs } from '../../base/limits.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import type { Streams } from '../../network/network.ts'
import type { PackRepository, Quarantine } from '../git/repository.ts'
import { Conversation, chunksOf, dialectSchema, PACK_PROTOCOL, packSchema } from './pack-protocol.ts'

export interface FetchRequest {
  readonly dataset: string
  /** Where the objects go. */
  readonly repository: PackRepository
  /** Peer id of the member that is asked. */
  readonly peer: string
  /** Commit ids. */
  readonly wants: readonly string[]
  readonly signal?: AbortSignal
}

/**
 * Fetches commits with all they need from one member. When it returns, all of it is in the repository and nothing
 * refers to it yet; when it throws, nothing of it is.
 *
 * @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT, COMMIT_NOT_FOUND, FORBIDDEN, DATASET_NOT_FOUND,
 * QUEUE_FULL (all: try another member), PACK_REJECTED, PATH_UNSAFE (what came does not hold).
 */
export async function fetchCommits(
  streams: Pick<Streams, 'open'>,
  { dataset, repository, peer, wants, signal }: FetchRequest,
): Promise<void> {
  const deadline = AbortSignal.timeout(fetchTimeoutMs)
  const ending = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  ending.throwIfAborted()
  const stream = await streams.open(peer, PACK_PROTOCOL, ending)
  const cut = () => stream.abort(new Error(messageOf(ending.reason)))
  ending.addEventListener('abort', cut, { once: true })
  let quarantine: Quarantine | undefined
  try {
    const talk = new Conversation(stream)
    await talk.say({ dataset, dialects: repository.dialects })
    const { dialect } = await talk.hear(dialectSchema)
    quarantine = await repository.quarantine()
    if (dialect === 'upload-pack') await quarantine.fetch(talk.rest(), wants, ending)
    else await fetchPack(talk, stream, repository, quarantine, wants, ending)
    await quarantine.admit(wants, ending)
  } catch (error) {
    stream.abort(new Error(messageOf(error)))
    if (deadline.aborted) throw new NodeError('TIMED_OUT', `The fetch from ${peer} took too long`, { peer })
    signal?.throwIfAborted()
    throw error
  } finally {
    ending.removeEventListener('abort', cut)
    await quarantine?.discard()
  }
}

async function fetchPack(
  talk: Conversation,
  stream: ByteStream,
  repository: PackRepository,
  quarantine: Quarantine,
  wants: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const haves = [...new Set((await repository.branches()).values())].slice(0, fetchHavesMax)
  await talk.say({ wants, haves })
  await stream.closeWrite()
  // The other side may have to walk a long history before the first byte.
  await talk.hear(packSchema, streamIdleMaxMs)
  await quarantine.receive(chunksOf(talk.rest()), signal)
}
