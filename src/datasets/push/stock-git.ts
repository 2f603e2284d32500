/**
 * Datasets for stock git over its smart HTTP protocol (gitprotocol-http(5); protocols/stock-git.md): what its requests
 * say, and what they are answered. Reading is done by git's own upload-pack, one process a request; pushes are taken by
 * ourselves, so that they pass the same checks as what peers send and end in an announcement.
 */
import { NodeError } from '../../base/errors.ts'
import {
  fetchTimeoutMs,
  gitReadsServedMax,
  gitRequestsWaitingMax,
  pushesTakenMax,
  pushesWaitingMax,
  pushIdleMaxMs,
  pushTimeoutMs,
} from '../../base/limits.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { Members } from '../../federation/members.ts'
import { ChunkReader } from '../git/chunk-reader.ts'
import { PacketReader } from '../git/pkt-line.ts'
import type { PackRepository, StatelessRead } from '../git/repository.ts'
import { PacedBody } from './paced-body.ts'
import { readPushRequest } from './push-commands.ts'
import { pushAdvertisement } from './push-report.ts'
import { type PushParts, takePush } from './take-push.ts'

export interface StockGitParts extends PushParts {
  /** @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD where the objects are another member's to keep. */
  readonly repository: (dataset: string) => Promise<PackRepository>
  /** Why this node does not copy a dataset; undefined where it does. */
  readonly whyNotCopied: (dataset: string) => { readonly why: string; readonly verb: string } | undefined
  readonly members: Pick<Members, 'self' | 'list'>
}

export class StockGit {
  readonly #parts: StockGitParts
  readonly #reads = new Semaphore(gitReadsServedMax, gitRequestsWaitingMax)
  readonly #pushes = new Semaphore(pushesTakenMax, pushesWaitingMax)

  constructor(parts: StockGitParts) {
    this.#parts = parts
  }

  /**
   * Answers one request of a client that reads.
   *
   * @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD, NOT_FOUND (nothing of it is copied here), UNSUPPORTED without
   * the git program, QUEUE_FULL, TIMED_OUT, GIT_FAILED.
   */
  async *read(
    dataset: string,
    request: StatelessRead,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const repository = await this.#parts.repository(dataset)
    const absence = this.#parts.whyNotCopied(dataset)
    // An empty clone would pass for an empty dataset (stock-git.md P5).
    if (absence !== undefined && (await repository.branches()).size === 0) {
      const { why, verb } = absence
      const message = `This node holds no copy of ${dataset} (${why}); "maoctl dataset ${verb} ${dataset}" brings one`
      throw new NodeError('NOT_FOUND', message, { dataset })
    }
    yield* inTurn(this.#reads, () => {
      return within(fetchTimeoutMs, signal, (ending) => repository.serveRead(request, ending))
    })
  }

  /** What a client that wants to push is told first. @throws NodeError DATASET_NOT_FOUND */
  async advertisePush(dataset: string): Promise<Uint8Array> {
    const repository = await this.#parts.repository(dataset)
    return pushAdvertisement(await repository.branches())
  }

  /**
   * Takes one push.
   *
   * @param body the commands and the pack, as they come.
   * @returns what the client is to hear; nothing for a request that only tries the way.
   * @throws NodeError DATASET_NOT_FOUND, INVALID_INPUT, TOO_LARGE, QUEUE_FULL, TIMED_OUT.
   */
  async *push(
    dataset: string,
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const repository = await this.#parts.repository(dataset)
    const paced = new PacedBody(body, pushIdleMaxMs, signal)
    const reader = new ChunkReader(paced)
    const request = await readPushRequest(new PacketReader(reader))
    if (request.commands.length === 0) return
    const parts = this.#parts
    const isCut = () => paced.isCut
    yield* inTurn(this.#pushes, () =>
      within(pushTimeoutMs, signal, async function* (ending) {
        const held = await repository.branches()
        const place = {
          self: parts.members.self().name,
          members: parts.members.list().map(({ name }) => name),
          held,
        }
        yield* takePush(parts, { ...request, dataset, place, reader, isCut }, ending)
      }),
    )
  }
}

/** Holds a place from the first chunk that is asked for until the last one is made. */
async function* inTurn<T>(
  places: Semaphore,
  make: () => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const { promise: over, resolve: leave } = Promise.withResolvers<void>()
  await new Promise<void>((enter, refuse) => {
    places
      .run(() => {
        enter()
        return over
      })
      .catch(refuse)
  })
  try {
    yield* make()
  } finally {
    leave()
  }
}

async function* within<T>(
  ms: number,
  signal: AbortSignal,
  make: (ending: AbortSignal) => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const deadline = AbortSignal.timeout(ms)
  const ending = AbortSignal.any([signal, deadline])
  ending.throwIfAborted()
  try {
    yield* make(ending)
  } catch (cause) {
    if (!deadline.aborted || signal.aborted) throw cause
    throw new NodeError('TIMED_OUT', `The transfer took longer than ${ms} ms`, {}, { cause })
  }
}
