/**
 * What comes from the cluster passes here on its way to the registry, in the order of the cluster. It is judged like
 * gossip (protocols/strong-mode.md §5): the cluster's word proves nothing, the author's signature does.
 */
import { NodeError } from '../base/errors.ts'
import { clusterRubbishToldMax, clusterWaitingBytesMax, clusterWaitingMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { Verdict } from '../registry/verdict.ts'

/** A value of the cluster. */
export interface Arrival {
  readonly place: string
  readonly envelope: Uint8Array
  /** The revision at which it was written there. */
  readonly revision: number
}

/**
 * How the cluster's copy of a place compares with the registry's: `same` needs nothing, `older` may be replaced by
 * ours (it is older or no record at all), `unjudged` may be good once more is known.
 */
export type Standing = 'same' | 'older' | 'unjudged'

/** A place of this node's own, as the cluster keeps it. */
export interface OwnPlace {
  /** 0: the cluster has lost it. */
  readonly revision: number
  /** The registry has held the record: that it is gone there means that it is outlived. */
  readonly held: boolean
  /** The registry holds what the cluster should. */
  readonly lost: boolean
}

export interface ClusterInboxParts {
  readonly registry: Pick<Registry, 'receiveAll' | 'index'>
  /** Peer id of this node. */
  readonly self: string
  readonly log: Logger
}

/** An admission may hang on another that comes later; each pass resolves at least one more link. */
const PASSES_MAX = 4

export class ClusterInbox {
  readonly #parts: ClusterInboxParts
  readonly #own = new Map<string, OwnPlace>()
  readonly #waiting = new Map<string, Arrival>()
  #waitingBytes = 0
  #news = false
  #overflowed = false
  readonly #rubbish = new Set<string>()

  constructor(parts: ClusterInboxParts) {
    this.#parts = parts
  }

  get own(): ReadonlyMap<string, OwnPlace> {
    return this.#own
  }

  /** The cluster is read anew, perhaps with another history: revisions of before say nothing. */
  restart(): void {
    this.#own.clear()
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.#overflowed = false
  }

  /** Something was taken since what waits was judged last. */
  get hasNews(): boolean {
    return this.#news && this.#waiting.size > 0
  }

  /** More waited than is kept: only another reading of the cluster brings the rest. Asking forgets it. */
  takeOverflow(): boolean {
    const overflowed = this.#overflowed
    this.#overflowed = false
    return overflowed
  }

  /**
   * Gives `arrivals` to the registry.
   *
   * @throws NodeError STORE_FAILED: none of this counts as applied.
   */
  async take(arrivals: readonly Arrival[]): Promise<readonly Standing[]> {
    const { registry } = this.#parts
    const fresh = arrivals.filter(({ place, envelope }) => !isSame(registry.index.get(place), envelope))
    const verdicts =
      fresh.length === 0 ? [] : await registry.receiveAll(fresh.map(({ envelope }) => envelope))
    const judged = new Map(fresh.map((arrival, index) => [arrival, verdicts[index] as Verdict]))
    return arrivals.map((arrival) => this.#settle(arrival, judged.get(arrival)))
  }

  /** [U3] A deletion in the cluster takes nothing from the registry; what is this node's own and lives is put back. */
  lose(place: string): void {
    this.#unwait(place)
    if (!this.#isOwn(place)) return
    const lives = this.#parts.registry.index.get(place) !== undefined
    if (lives) this.#own.set(place, { revision: 0, held: true, lost: true })
    else this.#own.delete(place)
  }

  /** A place of this node's own was mended; the watch tells its new revision. */
  mended(place: string): void {
    const own = this.#own.get(place)
    if (own !== undefined) this.#own.set(place, { ...own, lost: false })
  }

  /** Something else has changed that the judgement hangs on. */
  lookAgain(): void {
    this.#news = true
  }

  /** Judges what waits once more. */
  async again(): Promise<void> {
    for (let pass = 0; pass < PASSES_MAX && this.#waiting.size > 0; pass += 1) {
      this.#news = false
      await this.take([...this.#waiting.values()])
      if (!this.#news) return
    }
  }

  #settle(arrival: Arrival, verdict: Verdict | undefined): Standing {
    if (verdict?.action === 'ignore' && verdict.code === 'STORE_FAILED') {
      throw new NodeError('STORE_FAILED', `A record of the cluster was not stored: ${verdict.reason}`)
    }
    const standing = verdict === undefined ? 'same' : standingOf(verdict)
    const { place } = arrival
    if (standing === 'unjudged') this.#wait(arrival)
    else this.#unwait(place)
    if (verdict?.action === 'accept') this.#news = true
    if (verdict?.action === 'reject') this.#tellRubbish(arrival, verdict.code)
    // What waited, and pages, may be told after what the watch has brought meanwhile.
    if (this.#isOwn(place) && arrival.revision >= (this.#own.get(place)?.revision ?? 0)) {
      const held = standing === 'same' || (this.#own.get(place)?.held ?? false)
      const lost = standing === 'older'
      this.#own.set(place, { revision: arrival.revision, held, lost })
    }
    return standing
  }

  #wait(arrival: Arrival): void {
    if ((this.#waiting.get(arrival.place)?.revision ?? 0) > arrival.revision) return
    this.#unwait(arrival.place)
    const bytes = this.#waitingBytes + arrival.envelope.length
    if (this.#waiting.size >= clusterWaitingMax || bytes > clusterWaitingBytesMax) {
      this.#overflowed = true
      return
    }
    this.#waiting.set(arrival.place, arrival)
    this.#waitingBytes = bytes
  }

  #unwait(place: string): void {
    const waiting = this.#waiting.get(place)
    if (waiting === undefined) return
    this.#waiting.delete(place)
    this.#waitingBytes -= waiting.envelope.length
  }

  /** [R3] Said once a place, lest a vandal fills the log. */
  #tellRubbish({ place, revision }: Arrival, code: string): void {
    if (this.#rubbish.has(place) || this.#rubbish.size >= clusterRubbishToldMax) return
    this.#rubbish.add(place)
    const shown = place.slice(0, 200)
    this.#parts.log.warn({ place: shown, revision, code }, 'the cluster holds what is no record here')
  }

  #isOwn(place: string): boolean {
    return place.endsWith(` ${this.#parts.self}`)
  }
}

function standingOf(verdict: Verdict): Standing {
  if (verdict.action === 'accept') return 'same'
  if (verdict.action === 'reject') return 'older'
  if (verdict.code === 'DUPLICATE' || verdict.code === 'EXPIRED') return 'same'
  return verdict.code === 'STALE' || verdict.code === 'EQUIVOCATION' ? 'older' : 'unjudged'
}

function isSame(record: SealedRecord | undefined, envelope: Uint8Array): boolean {
  return record !== undefined && Buffer.compare(record.envelope, envelope) === 0
}
