/**
 * One catch-up with one peer over one stream. The next questions are under way while the last answer is judged, a
 * bounded number of each, so that the line, the thread pool that checks signatures and the disk work at the same time.
 */
import { NodeError } from '../base/errors.ts'
import {
  syncAnswerTimeoutMs,
  syncBatchesJudgedMax,
  syncQuestionsAheadMax,
  syncRelayedMax,
} from '../base/limits.ts'
import { withDeadline } from '../base/wait.ts'
import { sealerOf } from '../identity/envelope.ts'
import type { Frames } from '../network/frames.ts'
import { EVERYTHING, type Range, type RangeAnswer } from './ranges.ts'
import type { Registry } from './registry.ts'
import { decodeCompared, decodeFetched, encodeQuestion, type Question } from './sync-messages.ts'
import { type Asked, Effort, type PlanOptions, recordsIn, SyncPlan } from './sync-plan.ts'
import type { Refusal, Verdict } from './verdict.ts'

/** [S3] Admissions come first: without them the records of new members would be ignored as unknown. */
const MEMBERS: Range = { from: '/members/', to: '/members0' }
const ROOTS = [MEMBERS, EVERYTHING]

/** [S5] An admission may hang on another that sorts after it; each pass resolves at least one more link. */
const PASSES_MAX = 4

/** What a record that provably does not hold counts, where one that only brings nothing counts one. */
const FORGERY_EFFORT = 100

/** Refusals that no further knowledge changes: the record is held, or one that wins over it. */
const SETTLED: ReadonlySet<string> = new Set(['DUPLICATE', 'STALE', 'EQUIVOCATION'])

export interface PullParts {
  readonly frames: Frames
  readonly registry: Pick<Registry, 'federation' | 'index' | 'receiveAll'>
  /** Gossips a record that came by catch-up; see [S7]. */
  readonly relay: (envelope: Uint8Array) => void
  /** Hears of the peer's digest of the whole registry as soon as it is told. */
  readonly onDigest: (digest: string, same: boolean) => void
  /** How long an answer may take; ms. */
  readonly answerTimeoutMs?: number
}

export class SyncPull {
  readonly #parts: PullParts
  readonly #effort: Effort
  readonly #judging = new Set<Promise<void>>()
  /** Questions under way, in the order of their answers. */
  readonly #asked: Asked[] = []
  #plan: SyncPlan | undefined
  #unjudged = 0
  #failure: unknown
  #accepted = 0
  #refused = 0

  constructor(parts: PullParts) {
    this.#parts = parts
    this.#effort = new Effort(parts.registry.index.size)
  }

  get accepted(): number {
    return this.#accepted
  }

  /** Records of the last pass that were not taken, though neither known nor outdated. */
  get refused(): number {
    return this.#refused
  }

  /** Records that the peer holds in the ranges that are still to be looked at. */
  get pending(): number {
    const asked = this.#asked.reduce((sum, { ranges }) => sum + recordsIn(ranges), 0)
    return (this.#plan?.pending ?? 0) + asked + this.#unjudged
  }

  /** True when there is nothing to bring; a single question tells. @throws NodeError as `run` */
  async isSame(): Promise<boolean> {
    const [everything] = await this.#compareRoots(EVERYTHING)
    return everything?.kind === 'same'
  }

  /**
   * Brings all that the peer has and we lack; `goOn` is asked between two answers whether there is time for more.
   *
   * @returns whether all was brought. @throws NodeError STREAM_CLOSED, TIMED_OUT, INVALID_INPUT, STORE_FAILED
   */
  async run(goOn: () => boolean, options: PlanOptions): Promise<boolean> {
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const before = this.#accepted
      this.#refused = 0
      this.#effort.forgive()
      const answers = await this.#compareRoots(...ROOTS)
      if (answers.at(-1)?.kind === 'same') return true
      for (const [at, answered] of answers.entries()) {
        this.#plan = new SyncPlan(this.#parts.registry.index, this.#effort, options)
        this.#plan.compared(ROOTS[at] as Range, answered)
        if (!(await this.#bring(this.#plan, goOn))) return false
      }
      // Whatever was refused may be good now that more is known; when nothing new came, it stays refused.
      if (this.#refused === 0 || this.#accepted === before) break
    }
    return true
  }

  /** In a question for each, since they overlap [S2]; all are under way before the first answer is waited for. */
  async #compareRoots(...roots: readonly Range[]): Promise<readonly RangeAnswer[]> {
    const { index } = this.#parts.registry
    const asked = roots.map((range) => ({ ...range, digest: index.digest(range) }))
    for (const range of asked) await this.#send({ kind: 'compare', ranges: [range] })
    const answers: RangeAnswer[] = []
    for (const { from, digest: ours } of asked) {
      const [answered] = decodeCompared(await this.#answer(), 1) as [RangeAnswer]
      answers.push(answered)
      const theirs = answered.kind === 'same' ? ours : answered.digest
      if (from === EVERYTHING.from) this.#parts.onDigest(theirs, theirs === ours)
    }
    return answers
  }

  /** Asks until nothing is open, or `goOn` says no; all that came is judged before it returns. */
  async #bring(plan: SyncPlan, goOn: () => boolean): Promise<boolean> {
    let moreTime = true
    for (;;) {
      moreTime &&= goOn()
      while (moreTime && this.#asked.length < syncQuestionsAheadMax) {
        const next = plan.next()
        if (next === undefined) break
        this.#asked.push(next)
        // Not waited for: a peer that writes a long answer reads our question only after it.
        this.#send(next.question).catch((error: unknown) => this.#fail(error))
      }
      const [first] = this.#asked
      if (first === undefined) break
      const bytes = await this.#answer()
      this.#asked.shift()
      await this.#take(plan, first, bytes)
    }
    await Promise.all(this.#judging)
    this.#check()
    return moreTime
  }

  async #take(plan: SyncPlan, asked: Asked, bytes: Uint8Array): Promise<void> {
    if (asked.question.kind === 'compare') {
      const answers = decodeCompared(bytes, asked.ranges.length)
      for (const [index, answered] of answers.entries()) {
        const range = asked.ranges[index]
        if (range !== undefined) plan.compared(range, answered)
      }
      return
    }
    const fetched = decodeFetched(bytes)
    plan.fetched(asked.ranges, fetched)
    this.#unjudged += fetched.envelopes.length
    while (this.#judging.size >= syncBatchesJudgedMax) await Promise.race(this.#judging)
    const judged = this.#judge(fetched.envelopes, asked.question.except)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#judging.delete(judged))
    this.#judging.add(judged)
  }

  /** [S4] As if gossip had brought them. `except` are the authors that the question did not want. */
  async #judge(envelopes: readonly Uint8Array[], except: readonly string[]): Promise<void> {
    const { registry, relay } = this.#parts
    const verdicts = await registry.receiveAll(envelopes)
    this.#unjudged -= envelopes.length
    for (const [at, verdict] of verdicts.entries()) {
      if (verdict.action === 'accept') {
        this.#accepted += 1
        this.#effort.earn(1)
        // [S7] Others may be connected to us alone, and would else wait for their next catch-up.
        if (this.#accepted <= syncRelayedMax) relay(verdict.record.envelope)
        continue
      }
      if (!SETTLED.has(verdict.code)) this.#refused += 1
      this.#charge(verdict, () => sealerOf(envelopes[at] as Uint8Array), except)
    }
    // [S14] What our disk does not take is no fault of the peer's; the next catch-up tries again.
    const unstored = verdicts.find(isUnstored)
    if (unstored !== undefined) throw new NodeError('STORE_FAILED', unstored.reason)
  }

  /** [S8] What is provably bad comes of the peer, what is refused otherwise of its author, and some of it of ourselves. */
  #charge(refusal: Refusal, author: () => string, except: readonly string[]): void {
    const { code } = refusal
    if (code === 'STORE_FAILED') return
    if (refusal.action === 'reject') {
      this.#effort.spend(FORGERY_EFFORT)
    } else if (SETTLED.has(code) || code === 'FUTURE') {
      // [S14] With FUTURE it may be our clock that is wrong: the author's other records are still wanted.
      this.#effort.spend(1)
    } else {
      const by = author()
      const wasMember = (code === 'UNKNOWN_AUTHOR' || code === 'NOT_ALLOWED') && this.#wasMember(by)
      this.#effort.refused(by, { excepted: except.includes(by), wasMember })
    }
  }

  /** Whether somebody admitted that peer once: there is a record at its key, even if it is a tombstone. */
  #wasMember(peer: string): boolean {
    const key = `${MEMBERS.from}${peer}`
    // What sorts from the key and a space to the key and the next character are the places of that key.
    return this.#parts.registry.index.first({ from: `${key} `, to: `${key}!` }, 1).length > 0
  }

  async #send(question: Question): Promise<void> {
    const { frames, registry } = this.#parts
    await frames.write(encodeQuestion(registry.federation, question))
  }

  async #answer(): Promise<Uint8Array> {
    this.#check()
    const { frames, answerTimeoutMs = syncAnswerTimeoutMs } = this.#parts
    const frame = await withDeadline(frames.read(), answerTimeoutMs, 'An answer')
    this.#check()
    if (frame === undefined) throw new NodeError('STREAM_CLOSED', 'The peer ended the catch-up')
    return frame
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

function isUnstored(verdict: Verdict): verdict is Refusal {
  return verdict.action === 'ignore' && verdict.code === 'STORE_FAILED'
}
