import { type ErrorCode, isNodeError, NodeError } from '../../base/errors.ts'
import { askBesideAfterMs, askSilentMaxMs, fetchAttemptsMax, fetchDialledMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Streams } from '../../network/network.ts'
import type { AdmissionBounds } from '../git/admission.ts'
import type { NewRepository, PackRepository } from '../git/repository.ts'
import { candidates, rotated } from '../heads.ts'
import { isNoRoom } from '../upkeep/room-left.ts'
import { type Asked, askBeside, type BesideLimits } from './beside.ts'
import { Distrust } from './distrust.ts'
import { FetchTurns } from './fetch-turns.ts'
import { fetchCommits } from './pack-client.ts'
import type { TransferProgress } from './progress.ts'
import { type Passage, UnderWay } from './under-way.ts'
import { within } from './within.ts'

const REJECTIONS: readonly ErrorCode[] = ['PACK_REJECTED', 'PATH_UNSAFE', 'DATASET_WITHHELD']
/** What one commit out of many may be at fault for. */
const OF_ONE_COMMIT: readonly ErrorCode[] = [
  'COMMIT_NOT_FOUND',
  'PACK_REJECTED',
  'PATH_UNSAFE',
  'TOO_LARGE',
  'GIT_FAILED',
]

const BESIDE: BesideLimits = { afterMs: askBesideAfterMs, silentMaxMs: askSilentMaxMs }

export interface FetcherParts {
  readonly self: string
  readonly streams: Pick<Streams, 'open' | 'connectedPeers'>
  readonly isMember: (peer: string) => boolean
  /** Where the dataset's objects go. */
  readonly repository: (dataset: string) => Promise<PackRepository | NewRepository>
  /** Whether a member has said that it holds something of a dataset. */
  readonly holds?: (peer: string, dataset: string) => boolean
  /** Members that are there, connected or not: in a large federation nobody is connected with everybody. */
  readonly live?: () => readonly string[]
  /** Where the dataset's branches are here. */
  readonly tips: (dataset: string) => Iterable<string>
  readonly onProgress: (dataset: string, peer: string, progress: TransferProgress) => void
  readonly log: Logger
}

export interface FetchOptions {
  /** The member to ask first, if any. */
  readonly author?: string
  /** How often this was tried before: whom it begins with changes each time. */
  readonly round?: number
  readonly signal: AbortSignal
  /** Waits for nobody but for one that brings the same. */
  readonly urgent?: boolean
  /** Some of what was asked for just now, to find out which of it is at fault. */
  readonly isRest?: boolean
  /** The caller has just seen that all of it is missing. */
  readonly missing?: boolean
  /** Brings all that the commits need, whatever is here: some of that is not what it should be. */
  readonly whole?: boolean
  /** For what is smaller than a dataset may be. */
  readonly bounds?: Partial<AdmissionBounds>
}

/** Brings commits here from whichever member has them, those that are connected first. */
export class Fetcher {
  readonly #parts: FetcherParts
  readonly #turns = new FetchTurns()
  readonly #underWay = new UnderWay()
  readonly #distrust = new Distrust()

  constructor(parts: FetcherParts) {
    this.#parts = parts
  }

  /**
   * Returns when all of `wants` are here with everything that they need.
   *
   * @throws NodeError PEER_UNREACHABLE when nobody is connected, else what the last member that was asked failed with,
   * or what bytes were refused for; the reason of a signal that aborts.
   */
  async fetch(dataset: string, wants: readonly string[], options: FetchOptions): Promise<void> {
    const { author, urgent = false, signal } = options
    const passage = this.#underWay.begin({ dataset, author, wants })
    try {
      const isFirstCopy = [...this.#parts.tips(dataset)].length === 0
      const waited = await passage.turn({ isFirstCopy, urgent }, signal)
      // Another fetch may have brought them while this one waited.
      const missing = options.missing === true && !waited
      await this.#ask(dataset, wants, { ...options, missing }, passage)
    } finally {
      passage.end()
    }
  }

  async #ask(
    dataset: string,
    wants: readonly string[],
    options: FetchOptions,
    passage: Passage,
  ): Promise<void> {
    const { streams, isMember, self, repository, log } = this.#parts
    const { author, round = 0, signal, urgent = false } = options
    const place = within(await repository(dataset), options.bounds)
    const holds = (peer: string) => this.#parts.holds?.(peer, dataset) ?? true
    const near = streams.connectedPeers().filter((peer) => peer !== self && isMember(peer))
    const connected = [...near, ...this.#elsewhere(near, holds, { author, round })]
    const trusted =
      urgent || options.isRest === true ? connected : connected.filter((peer) => this.#distrust.mayAsk(peer))
    let failure = noneToAsk(connected, dataset, wants)
    const asking = { round, countMax: fetchAttemptsMax, holds, urgent }
    let left: readonly string[] = candidates(author, trusted, asking)
    let missing = options.missing === true
    if (urgent) {
      const ask = async (peer: string, asked: Asked) => {
        const still = options.whole ? wants : await missingOf(place, wants)
        if (still.length === 0) return
        try {
          await this.#fetchFrom(peer, dataset, place, still, passage, { ...options, ...asked })
          this.#distrust.held(peer)
        } catch (error) {
          if (isBad(error)) this.#distrust.rejected(peer)
          throw error
        }
      }
      const onFailure = (error: unknown) => {
        if (!(error instanceof NodeError) || isNoRoom(error)) throw error
        if (tells(error) >= tells(failure)) failure = error
      }
      if (await askBeside(left, ask, { signal, limits: BESIDE, onFailure })) return
      throw failure
    }
    while (left[0] !== undefined) {
      const turn = await this.#turns.take(left, signal)
      const { peer } = turn
      left = left.filter((other) => other !== peer)
      try {
        const still = missing || options.whole ? wants : await missingOf(place, wants)
        missing = false
        if (still.length === 0) return
        await this.#fetchFrom(peer, dataset, place, still, passage, options)
        this.#distrust.held(peer)
        return
      } catch (error) {
        signal.throwIfAborted()
        if (isBad(error)) this.#distrust.rejected(peer)
        // Where there is no room, nobody else's bytes fit either.
        if (!(error instanceof NodeError) || isNoRoom(error)) throw error
        // The same is asked of the next one (dataset-fetch.md D24).
        log.debug({ dataset, peer, error: error.message }, 'a member could not give what was asked')
        if (tells(error) >= tells(failure)) failure = error
      } finally {
        turn.release()
      }
    }
    throw failure
  }

  /** Some that are not connected and say that they hold it, when nobody near does or those were of no help. */
  #elsewhere(
    near: readonly string[],
    holds: (peer: string) => boolean,
    { author, round }: { author: string | undefined; round: number },
  ): readonly string[] {
    if (round === 0 && near.some((peer) => peer === author || holds(peer))) return []
    const { self, isMember, live = () => [] } = this.#parts
    const known = new Set([self, ...near])
    const others = live().filter((peer) => !known.has(peer) && isMember(peer) && holds(peer))
    const first = others.filter((peer) => peer === author)
    return [...first, ...rotated(others.filter((peer) => peer !== author).sort(), round)].slice(
      0,
      fetchDialledMax,
    )
  }

  async #fetchFrom(
    peer: string,
    dataset: string,
    repository: PackRepository | NewRepository,
    wants: readonly string[],
    passage: Passage,
    { signal, whole = false, begun }: FetchOptions & Partial<Asked>,
  ): Promise<void> {
    const haves = whole ? [] : [...new Set(this.#parts.tips(dataset))]
    const request = {
      ...{ dataset, repository, peer, signal, wants: [...new Set(wants)] },
      onProgress: (progress: TransferProgress) => {
        begun?.()
        passage.moved(progress)
        this.#parts.onProgress(dataset, peer, progress)
      },
    }
    try {
      // Nothing of this member has come yet, whatever came from the one before.
      passage.moved({ phase: 'receiving', bytes: 0 })
      await fetchCommits(this.#parts.streams, { ...request, haves })
    } catch (error) {
      const isHoled = isNodeError(error, 'PACK_REJECTED') && error.data.missing === true
      if (!isHoled || haves.length === 0) throw error
      // What we said to have may not be whole: with all of it, what is missing here comes as well.
      await fetchCommits(this.#parts.streams, { ...request, haves: [] })
    }
  }
}

async function missingOf(
  repository: PackRepository | NewRepository,
  wants: readonly string[],
): Promise<readonly string[]> {
  if ('layOut' in repository) return wants
  const here = await Promise.all(wants.map((oid) => repository.isWhole(oid)))
  return wants.filter((_, index) => here[index] === false)
}

function noneToAsk(connected: readonly string[], dataset: string, wants: readonly string[]): NodeError {
  const message =
    connected.length === 0
      ? 'No member is connected'
      : 'Those who are connected have sent what does not hold, and are asked again later'
  return new NodeError('PEER_UNREACHABLE', message, { dataset, wants })
}

/** What was sent does not hold. */
function isBad(error: unknown): boolean {
  return isNodeError(error, 'PACK_REJECTED') || isNodeError(error, 'PATH_UNSAFE')
}

/** What was sent does not hold, or is not given away: asking again soon would only end the same. */
export function isRejection(error: unknown): error is NodeError {
  return error instanceof NodeError && REJECTIONS.includes(error.code)
}

/** Whether fewer commits at once might be had: one that nobody has, or that does not hold, spoils them all. */
export function isOfOneCommit(error: unknown): boolean {
  return error instanceof NodeError && OF_ONE_COMMIT.includes(error.code)
}

/** What a peer's bytes were refused for tells more than that another has none, and this more than that a third is gone. */
function tells(error: NodeError): number {
  if (isRejection(error)) return 2
  return isOfOneCommit(error) ? 1 : 0
}
