/**
 * The times that a rule names. A slot is an instant, in ms since the epoch, and the same for all members: it depends on
 * the rule and its time zone, never on the zone or the clock of whoever asks. Croner reads the rule, and keeps to the
 * Open Cron Pattern Specification where the clocks change: a time of day that does not exist moves to the first instant
 * after the gap, one that comes twice is the first of the two, and rules with a `*` follow the clock on the wall through
 * both. Nothing here waits.
 */
import { createHash } from 'node:crypto'
import { Cron } from 'croner'
import { rulesKeptMax } from '../../base/limits.ts'

/** Members in different places must come to the same slots, so a rule without a time zone is not meant locally. */
export const TIMEZONE_DEFAULT = 'UTC'

export interface Rule {
  readonly cron: string
  /** An IANA name. */
  readonly timezone?: string | undefined
}

/** The first slot after `afterMs`; undefined when none is left. */
export function nextSlot(rule: Rule, afterMs: number): number | undefined {
  return cronOf(rule).nextRun(new Date(afterMs))?.getTime()
}

/** The next `count` slots after `afterMs`. */
export function nextSlots(rule: Rule, afterMs: number, count: number): number[] {
  return cronOf(rule)
    .nextRuns(count, new Date(afterMs))
    .map((date) => date.getTime())
}

/** The last slot up to and including `nowMs`. */
export function lastSlot(rule: Rule, nowMs: number): number | undefined {
  // Croner looks before its reference, so the slot that is just now is found from a millisecond later.
  return cronOf(rule)
    .previousRuns(1, new Date(nowMs + 1))[0]
    ?.getTime()
}

/**
 * How long after its time a slot is begun: a number below `jitterMs` that follows from the slot and `who` alone, so that
 * a restart does not draw again. It stays within the gap to the next slot, so that slots keep their order.
 */
export function jitterOf(
  rule: Rule & { readonly pipeline: string; readonly jitterMs?: number | undefined },
  slot: number,
  who: string,
): number {
  const { pipeline, jitterMs = 0 } = rule
  if (jitterMs === 0) return 0
  const gapMs = (nextSlot(rule, slot) ?? Number.POSITIVE_INFINITY) - slot
  const spreadMs = Math.min(jitterMs, gapMs)
  const draw = createHash('sha256').update(`jitter\n${pipeline}\n${slot}\n${who}`).digest().readUInt32BE(0)
  return Math.floor((draw / 2 ** 32) * spreadMs)
}

const rules = new Map<string, Cron>()

/** @throws Error when the rule or the time zone is none. */
function cronOf({ cron, timezone = TIMEZONE_DEFAULT }: Rule): Cron {
  const name = `${timezone}\n${cron}`
  const known = rules.get(name)
  if (known !== undefined) return known
  const read = new Cron(cron, { paused: true, timezone })
  // An unknown time zone shows itself at the first question only.
  read.nextRun()
  const [oldest] = rules.keys()
  if (rules.size >= rulesKeptMax && oldest !== undefined) rules.delete(oldest)
  rules.set(name, read)
  return read
}
