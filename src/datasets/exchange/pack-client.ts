import { endingOf } from '../../base/ending.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  fetchAliveWordsMax,
  fetchHavesMax,
  fetchPreparationMaxMs,
  fetchTimeoutMs,
  SECOND_MS,
} from '../../base/limits.ts'
import { withDeadline } from '../../base/wait.ts'
import type { Streams } from '../../network/network.ts'
import { fetchRequest, readAdvertisement, readPack } from '../git/fetch-dialogue.ts'
import { PackHeader } from '../git/pack-meter.ts'
import { PacketReader } from '../git/pkt-line.ts'
import type { NewRepository, PackRepository, Quarantine } from '../git/repository.ts'
import { PACE, PacedStream, type PaceLimits } from './pace.ts'
import { Conversation, chunksOf, dialectSchema, PACK_PROTOCOL, packSchema } from './pack-protocol.ts'
import { ProgressTeller, type TransferProgress } from './progress.ts'

/** How long the other side is given to end a stream on which all has come. */
const FAREWELL_MS = 5 * SECOND_MS

export interface FetchRequest {
  readonly dataset: string
  /** Where the objects go. */
  readonly repository: PackRepository | NewRepository
  /** Peer id of the member that is asked. */
  readonly peer: string
  /** Commit ids. */
  readonly wants: readonly string[]
  /** Commits that are here with all they need; the repository's branches, when nothing is said. */
  readonly haves?: readonly string[]
  readonly signal?: AbortSignal
  /** Hears how far it has come, at most twice a second. */
  readonly onProgress?: (progress: TransferProgress) => void
  /** How slow the member may be. */
  readonly pace?: PaceLimits
}

/**
 * Fetches commits with all they need from one member. When it returns, all of it is in the repository and nothing
 * refers to it yet; when it throws, nothing of it is.
 *
 * @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT, COMMIT_NOT_FOUND, FORBIDDEN, DATASET_NOT_FOUND,
 * QUEUE_FULL, INVALID_INPUT (all: try another member), PACK_REJECTED, PATH_UNSAFE (what came does not hold).
 */
export async function fetchCommits(streams: Pick<Streams, 'open'>, request: FetchRequest): Promise<void> {
  const { peer, signal } = request
  signal?.throwIfAborted()
  const late = () => new NodeError('TIMED_OUT', `The fetch from ${peer} took too long`, { peer })
  const { signal: ending, release } = endingOf([signal], { ms: fetchTimeoutMs, reason: late })
  try {
    await fetchUntil(ending, streams, request)
  } catch (error) {
    ending.throwIfAborted()
    throw error
  } finally {
    release()
  }
}

async function fetchUntil(
  ending: AbortSignal,
  streams: Pick<Streams, 'open'>,
  request: FetchRequest,
): Promise<void> {
  const { dataset, repository, peer, wants, onProgress, pace = PACE } = request
  const stream = new PacedStream(await streams.open(peer, PACK_PROTOCOL, ending), pace)
  const cut = () => stream.abort(new Error(messageOf(ending.reason)))
  ending.addEventListener('abort', cut, { once: true })
  const progress = new ProgressTeller(onProgress ?? (() => undefined))
  let quarantine: Quarantine | undefined
  try {
    const talk = new Conversation(stream)
    // What is needed next is made ready while the other side finds out what it may do for us.
    const place = async (target: PackRepository) => {
      quarantine = await target.quarantine()
      return quarantine
    }
    const isNew = 'layOut' in repository
    const [heard, prepared, tips] = await allOf([
      talk.say({ dataset, dialects: repository.dialects }).then(() => talk.hear(dialectSchema)),
      isNew ? undefined : place(repository),
      request.haves ?? (isNew ? [] : tipsOf(repository)),
    ])
    const known = tips.slice(0, fetchHavesMax)
    const thin = heard.dialect === 'upload-pack'
    const pack = thin
      ? await askUploadPack(talk, stream, wants, known)
      : await askPack(talk, stream, wants, known)
    const bytes = await begun(watched(pack, stream, progress))
    const target = prepared ?? (await place(isNew ? await repository.layOut() : repository))
    await target.receive(bytes, ending, { thin })
    void partFrom(stream)
    await target.admit(wants, ending)
  } catch (error) {
    stream.abort(new Error(messageOf(error)))
    throw error
  } finally {
    progress.end()
    stream.unwatch()
    ending.removeEventListener('abort', cut)
    await quarantine?.discard()
  }
}

/** The other side ends once it has heard that we want nothing more, for which nobody waits. */
async function partFrom(stream: PacedStream): Promise<void> {
  try {
    const rest = await withDeadline(stream.read(), FAREWELL_MS, 'The end of a fetch')
    if (rest !== undefined) stream.abort(new Error('Nothing follows a pack'))
  } catch {
    // Everything is here already; a server that does not part is parted from.
    stream.abort(new Error('The fetch is complete'))
  }
}

/** Like Promise.all, but nothing is under way any more when it throws. */
async function allOf<T extends readonly unknown[]>(
  promises: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises)
  return Promise.all(promises) as Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>
}

async function tipsOf(repository: PackRepository): Promise<string[]> {
  return [...new Set((await repository.branches()).values())]
}

async function askUploadPack(
  talk: Conversation,
  stream: PacedStream,
  wants: readonly string[],
  known: readonly string[],
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const capabilities = await readAdvertisement(new PacketReader(talk.reader))
  await stream.write(fetchRequest(wants, known, capabilities))
  await stream.closeWrite()
  return readPack(talk.reader)
}

async function askPack(
  talk: Conversation,
  stream: PacedStream,
  wants: readonly string[],
  known: readonly string[],
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  await talk.say({ wants, haves: known })
  await stream.closeWrite()
  // The other side may have to walk a long history before the first byte.
  await talk.hear(packSchema, { deadlineMs: fetchPreparationMaxMs, wordsMax: fetchAliveWordsMax })
  return chunksOf(talk.rest())
}

/** The same, once the first of it has come. */
async function begun(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const first = await chunks.next()
  return (async function* () {
    if (first.done === true) return
    yield first.value
    yield* chunks
  })()
}

/** The pack as it comes; from its first byte on the pace counts, and how far it has come is told. */
async function* watched(
  pack: AsyncGenerator<Uint8Array, void, undefined>,
  stream: PacedStream,
  progress: ProgressTeller,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = new PackHeader()
  let bytes = 0
  const come = (phase: TransferProgress['phase']) => {
    const { objects } = header
    progress.offer({ phase, bytes, ...(objects === undefined ? {} : { objectsTotal: objects }) })
  }
  const what = `The pack of ${stream.peer}`
  for (
    let next = await withDeadline(pack.next(), fetchPreparationMaxMs, what);
    next.done !== true;
    next = await pack.next()
  ) {
    stream.watch('read')
    header.add(next.value)
    bytes += next.value.length
    come('receiving')
    yield next.value
  }
  stream.unwatch()
  come('checking')
}
