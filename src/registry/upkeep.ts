/**
 * What the registry does by itself: expired records and old tombstones are forgotten, contested names are arranged anew
 * when the members change, and old versions of keys are compacted.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { compactionIntervalMs, sweepIntervalMs, sweptRecordsMax } from '../base/limits.ts'
import { discardedKeysMax } from '../base/limits-membership.ts'
import type { Logger } from '../base/logger.ts'
import { compactionTarget, type Mark } from './compaction.ts'
import type { Draft } from './draft.ts'
import type { History } from './history.ts'
import type { Policy } from './judge.ts'
import { rangeBelow } from './key-range.ts'
import type { SealedRecord } from './record.ts'
import type { State } from './state.ts'
import { outliving } from './sweep.ts'
import type { Writer } from './writer.ts'

/** Operators' words on who is a member (protocols/keyspace.md). */
const ADMISSIONS = '/members/'

export interface UpkeepParts {
  readonly state: State
  readonly history: History
  readonly writer: Pick<Writer, 'run' | 'compact'>
  readonly policy: Pick<Policy, 'arrange' | 'kindOf'>
  readonly clock: Clock
  readonly log: Logger
  readonly historyMs: number
}

export class Upkeep implements Startable {
  readonly #parts: UpkeepParts
  #timers: NodeJS.Timeout[] = []
  #marks: Mark[] = []
  #sweeping = false
  #rearranging = false
  #rearrangeAgain = false

  constructor(parts: UpkeepParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#timers.length > 0) return
    this.#timers = [
      setInterval(() => this.#sweepSoon(), sweepIntervalMs),
      setInterval(() => void this.#compactOld(), compactionIntervalMs),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer)
  }

  /**
   * Shows what the store gave back: who was admitted decides between claims, and may have changed since. What was to be
   * forgotten meanwhile is forgotten before anybody can ask for it: the others have forgotten the tombstones already.
   */
  async settle(): Promise<void> {
    // Admissions first: who is a member, and as what, decides between the claims to all other names.
    await this.#settleKeys((key) => key.startsWith(ADMISSIONS))
    await this.#settleKeys((key) => !key.startsWith(ADMISSIONS))
  }

  async #settleKeys(chosen: (key: string) => boolean): Promise<void> {
    const { state, history, policy, writer, clock } = this.#parts
    const nowMs = clock.now()
    await writer.run((batch) =>
      batch.attempt((draft) => {
        for (const key of state.keys()) {
          if (chosen(key)) draft.settle(key, outliving(arranged(state.claims(key), policy), nowMs))
        }
        for (const { key } of history.range(rangeBelow('/'))) {
          if (!chosen(key) || policy.kindOf(key) !== 'shared') continue
          if (state.claims(key).length === 0) draft.remove(key)
        }
      }),
    )
  }

  rearrange(): void {
    const { state, policy, writer, log } = this.#parts
    if (this.#rearranging) return
    this.#rearranging = true
    const arrange = (draft: Draft, key: string) => draft.replace(key, arranged(draft.claims(key), policy))
    writer
      .run(async (batch) => {
        this.#rearranging = false
        for (const key of state.contested()) await batch.attempt((draft) => arrange(draft, key))
      })
      .catch((error: unknown) => {
        log.error({ error: messageOf(error) }, 'contested names were not arranged anew; it is tried again')
        // The next sweep does, however busy the node is now.
        this.#rearranging = false
        this.#rearrangeAgain = true
      })
  }

  /** Drops what `goes` says of the records that are held; a few keys at a time, so that others write in between. */
  async discard(goes: (record: SealedRecord) => boolean): Promise<void> {
    const { state, policy, writer } = this.#parts
    const keys = [...state.keys()].filter((key) => state.claims(key).some(goes))
    for (let at = 0; at < keys.length; at += discardedKeysMax) {
      await writer.run(async (batch) => {
        for (const key of keys.slice(at, at + discardedKeysMax)) {
          await batch.attempt((draft) => {
            const left = draft.claims(key).filter((claim) => !goes(claim))
            if (left.length < draft.claims(key).length) draft.replace(key, policy.arrange(left))
          })
        }
      })
    }
  }

  #sweepSoon(): void {
    if (this.#rearrangeAgain) {
      this.#rearrangeAgain = false
      this.rearrange()
    }
    if (this.#sweeping) return
    this.#sweeping = true
    this.#sweepAll()
      .catch((error: unknown) => {
        const told = { error: messageOf(error) }
        this.#parts.log.warn(told, 'expired records stay until the store can be written')
      })
      .finally(() => {
        this.#sweeping = false
      })
  }

  /** One write after another, so that none grows with what has gathered. */
  async #sweepAll(): Promise<void> {
    while (this.#timers.length > 0 && (await this.#sweep()) === sweptRecordsMax);
  }

  /** @returns how many deadlines were seen to. */
  async #sweep(): Promise<number> {
    const { state, history, policy, clock, writer } = this.#parts
    const nowMs = clock.now()
    const come = state.due(nowMs, sweptRecordsMax)
    // What hangs on a lease goes with all the rest of it, at one revision (leases.ts).
    const due = come.filter(({ key }) => (history.get(key)?.lease ?? 0n) === 0n)
    if (due.length === 0) return 0
    await writer.run(async (batch) => {
      for (const key of new Set(due.map((deadline) => deadline.key))) {
        await batch.attempt((draft) => {
          const before = draft.claims(key)
          const left = outliving(before, nowMs)
          if (left.length < before.length) draft.replace(key, policy.arrange(left))
        })
      }
    })
    state.passed(due)
    return due.length
  }

  async #compactOld(): Promise<void> {
    const { history, writer, clock, historyMs, log } = this.#parts
    const nowMs = clock.now()
    const target = compactionTarget(history, this.#marks, historyMs, nowMs)
    this.#marks = this.#marks.filter(({ revision }) => revision > (target ?? 0))
    if (this.#marks.at(-1)?.revision !== history.revision)
      this.#marks.push({ atMs: nowMs, revision: history.revision })
    if (target === undefined) return
    try {
      await writer.compact(target)
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'old versions of keys stay until the store can be written')
    }
  }
}

/** The very same claims when their order is right already, so that nothing is written for nothing. */
function arranged(
  claims: readonly SealedRecord[],
  { arrange }: Pick<Policy, 'arrange'>,
): readonly SealedRecord[] {
  if (claims.length < 2) return claims
  const now = arrange(claims)
  return now.every((claim, index) => claim === claims[index]) ? claims : now
}
