/** How a method decides on one entry: the shapes that merging and methods share. */
import type { AgreementTally } from '../statistics/agreement.ts'
import type { Court } from './court.ts'
import type { Ending } from './entry.ts'
import type { Spoken } from './entry-groups.ts'
import { isMajority } from './weights.ts'

/** What becomes of one entry. */
export type EntryVerdict =
  | { readonly kind: 'agreed'; readonly written: Uint8Array; readonly ending: Ending }
  /** More than half have the file without it. */
  | { readonly kind: 'gone' }
  /** More than half do not have it, but only since some of them do not have the file: the truth's stays. */
  | { readonly kind: 'absent' }
  /** The truth's stays, where it has one. */
  | { readonly kind: 'contested' }

export interface Judged {
  readonly verdict: EntryVerdict
  /** What is contested within it, or the entry itself. */
  readonly contested: readonly Uint8Array[]
  /** What versions that have the entry hold otherwise than was agreed. */
  readonly differing: readonly { readonly version: number; readonly name: Uint8Array }[]
}

export interface EntryJudge {
  readonly agreement: AgreementTally
  /** Methods that look at all entries before they decide on any are shown each one once before. */
  readonly study?: ((key: Uint8Array, spoken: readonly Spoken[]) => void) | undefined
  /** @throws the signal's reason */
  readonly studied?: ((signal?: AbortSignal) => Promise<void>) | undefined
  /** @param spoken what comparable versions say under one name, each version once, the truth's first. */
  judge(key: Uint8Array, spoken: readonly Spoken[]): Judged
  notes(): string[]
}

const NONE: readonly never[] = []

/** Absence, where it has a majority; contested otherwise. */
export function withoutMajority(key: Uint8Array, spoken: readonly Spoken[], court: Court): Judged {
  const present = presentWeight(spoken, court)
  const { withFile, total, others } = court
  if (isMajority(withFile - present, total))
    return { verdict: { kind: 'gone' }, contested: NONE, differing: NONE }
  if (isMajority(total - others - present, total)) {
    return { verdict: { kind: 'absent' }, contested: NONE, differing: NONE }
  }
  return { verdict: { kind: 'contested' }, contested: [key], differing: NONE }
}

/** The weight of all that have the entry. */
export function presentWeight(spoken: readonly Spoken[], court: Court): number {
  return weightOf(
    spoken.map(({ version }) => version),
    court,
  )
}

export function weightOf(versions: readonly number[], court: Court): number {
  let weight = 0
  for (const version of versions) weight += court.versions[version]?.weight ?? 0
  return weight
}
