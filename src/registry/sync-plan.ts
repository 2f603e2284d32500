/**
 * What is left to ask of one peer in one pass of a catch-up. Ranges are compared in depth, so that few wait at any time,
 * and what is found to be lacking is asked for before more is compared. What the peer says is checked here: whatever it
 * answers, a plan ends after a bounded number of questions [S8]. Pure.
 */
import { NodeError } from '../base/errors.ts'
import {
  syncAuthorsExceptedMax,
  syncDepthMax,
  syncEffortMax,
  syncEffortPerRecord,
  syncHaveBytesMax,
  syncRangesComparedMax,
  syncRangesFetchedMax,
  syncRecordsAskedMax,
  syncRefusedPerAuthorMax,
} from '../base/limits.ts'
import {
  type Differing,
  type Fetched,
  follow,
  isFetched,
  isSettled,
  type Range,
  type RangeAnswer,
  remaining,
  type View,
  type Wanted,
  wanted,
} from './ranges.ts'
import type { Question } from './sync-messages.ts'

/** What is said of a record that is held beside its place: hash and version. */
const HELD_BYTES = 40

/** What a record counts whose author the question excepted. */
const EXCEPTED_EFFORT = 4

interface Open extends Differing {
  /** How many splits it came out of. */
  readonly depth: number
}

/** A question with what is needed to follow its answer. */
export type Asked =
  | { readonly question: Question & { kind: 'compare' }; readonly ranges: readonly Open[] }
  | { readonly question: Question & { kind: 'fetch' }; readonly ranges: readonly Open[] }

/** About a record that may not enter. */
export interface RefusedOptions {
  /** Whether the question that brought it named its author among those who are not wanted. */
  readonly excepted?: boolean
  /** Whether its author was a member and is none any more. */
  readonly wasMember?: boolean
}

/** What a catch-up has brought and what it has done in vain. */
export class Effort {
  #left: number
  readonly #refused = new Map<string, number>()
  readonly #except = new Set<string>()

  /** Who holds `records` may have to compare as many, though nothing of them is to be had. */
  constructor(records: number) {
    this.#left = syncEffortMax + records
  }

  /** @throws NodeError INVALID_INPUT when too much was in vain. */
  spend(amount: number): void {
    this.#left -= amount
    if (this.#left < 0) throw new NodeError('INVALID_INPUT', 'The peer offers more than it can show')
  }

  earn(records: number): void {
    this.#left += records * syncEffortPerRecord
  }

  /**
   * [S12] Counts a record of `author` that may not enter. One whose records are refused again and again is not asked about
   * any more, so that nobody uses up with his own records what the others are brought with.
   */
  refused(author: string, { excepted = false, wasMember = false }: RefusedOptions = {}): void {
    const count = (this.#refused.get(author) ?? 0) + 1
    this.#refused.set(author, count)
    const isMuch = count >= syncRefusedPerAuthorMax && this.#except.size < syncAuthorsExceptedMax
    if (isMuch) this.#except.add(author)
    if (excepted) this.spend(EXCEPTED_EFFORT)
    // Of those who were members once, honest servers hold what newcomers do not take: it is for us to say that we do not
    // want it. Who finds no place in `except` any more counts, so that what is offered for nothing stays bounded.
    else if (!wasMember || !this.#canExcept(author)) this.spend(1)
  }

  /** The authors of whom no more records are wanted. */
  get except(): readonly string[] {
    return [...this.#except]
  }

  #canExcept(author: string): boolean {
    return this.#except.size < syncAuthorsExceptedMax || this.#except.has(author)
  }

  /** As when more is known than before. */
  forgive(): void {
    this.#refused.clear()
    this.#except.clear()
  }
}

export interface PlanOptions {
  /** From the last place to the first; of two catch-ups at once, one goes either way. */
  readonly backwards: boolean
}

export class SyncPlan {
  readonly #index: View
  readonly #effort: Effort
  readonly #backwards: boolean
  /** The last one is next. */
  readonly #compare: Open[] = []
  readonly #fetch: Open[] = []

  constructor(index: View, effort: Effort, options: PlanOptions) {
    this.#index = index
    this.#effort = effort
    this.#backwards = options.backwards
  }

  /** Records that the peer says it holds in the ranges that are still open; some of them may be held here too. */
  get pending(): number {
    return recordsIn(this.#compare) + recordsIn(this.#fetch)
  }

  /** Follows the answer to a comparison of `range`. @throws NodeError INVALID_INPUT [S8] */
  compared(range: Range & { readonly depth?: number }, answered: RangeAnswer): void {
    const depth = (range.depth ?? 0) + 1
    const { compare, fetch } = follow(this.#index, range, answered)
    if (compare.length > 0 && depth >= syncDepthMax) {
      throw new NodeError('INVALID_INPUT', 'The peer splits without end')
    }
    this.#push(this.#compare, compare, depth)
    this.#push(this.#fetch, fetch, depth)
  }

  /** Follows the answer to a question for records. @throws NodeError INVALID_INPUT [S8] */
  fetched(ranges: readonly Open[], answered: Fetched): void {
    const { next, envelopes } = answered
    const [begun, ...others] = remaining(ranges, answered)
    if (begun === undefined || next === null) return
    const { depth, count } = ranges[next.range] as Open
    // Of a range that was begun neither the digest nor the number of what is left is known.
    const rest = { ...begun, depth, digest: undefined, count: Math.max(1, count - envelopes.length) }
    this.#put(this.#fetch, [rest, ...ranges.slice(ranges.length - others.length)])
  }

  /** The next question, or undefined when nothing is open. @throws NodeError INVALID_INPUT */
  next(): Asked | undefined {
    return this.#nextFetch() ?? this.#nextCompare()
  }

  #nextFetch(): Asked | undefined {
    const taken: { range: Open; want: Wanted }[] = []
    let [records, have] = [0, 0]
    while (taken.length < syncRangesFetchedMax && records < syncRecordsAskedMax) {
      const range = this.#fetch.pop()
      if (range === undefined) break
      // Meanwhile another peer may have brought it all, or so much that its hashes would fill the question.
      if (isSettled(this.#index, range)) continue
      if (!isFetched(this.#index, range)) {
        this.#compare.push(range)
        continue
      }
      const want = wanted(this.#index, range)
      const bytes = want.have.reduce((sum, { place }) => sum + place.length + HELD_BYTES, 0)
      if (have + bytes > syncHaveBytesMax && taken.length > 0) {
        this.#fetch.push(range)
        break
      }
      this.#effort.spend(1)
      records += range.count
      have += bytes
      taken.push({ range, want })
    }
    if (taken.length === 0) return undefined
    taken.sort((a, b) => inOrder(a.range, b.range))
    const wants = taken.map(({ want }) => want)
    const question = { kind: 'fetch', ranges: wants, except: this.#effort.except } as const
    return { question, ranges: taken.map(({ range }) => range) }
  }

  #nextCompare(): Asked | undefined {
    const ranges: Open[] = []
    while (ranges.length < syncRangesComparedMax) {
      const range = this.#compare.pop()
      if (range === undefined) break
      if (isSettled(this.#index, range)) continue
      this.#effort.spend(1)
      ranges.push(range)
    }
    if (ranges.length === 0) return undefined
    ranges.sort(inOrder)
    const asked = ranges.map(({ from, to }) => ({ from, to, digest: this.#index.digest({ from, to }) }))
    return { question: { kind: 'compare', ranges: asked }, ranges }
  }

  #push(onto: Open[], ranges: readonly Differing[], depth: number): void {
    this.#put(
      onto,
      ranges.map((range) => ({ ...range, depth })),
    )
  }

  /** `ranges` are in order; the one to begin with comes last. */
  #put(onto: Open[], ranges: readonly Open[]): void {
    onto.push(...(this.#backwards ? ranges : ranges.toReversed()))
  }
}

/** [S2] The ranges of a plan never overlap; what is left open of them comes back in any order. */
function inOrder(a: Range, b: Range): number {
  return a.from < b.from ? -1 : 1
}

/** Records that the other side says it holds in `ranges`. */
export function recordsIn(ranges: readonly Differing[]): number {
  return ranges.reduce((sum, { count }) => sum + count, 0)
}
