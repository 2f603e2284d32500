/** Methods `rows` and `weighted` (protocols/methods.md §5, §7): each entry by majority. */
import type { AgreementTally } from '../statistics/agreement.ts'
import type { Court } from './court.ts'
import { compareBytes, type Ending } from './entry.ts'
import type { Spoken } from './entry-groups.ts'
import { isMajority } from './weights.ts'

/** What becomes of one entry. */
export type EntryVerdict =
  | { readonly kind: 'agreed'; readonly written: Uint8Array; readonly ending: Ending }
  /** More than half have the file without it. */
  | { readonly kind: 'gone' }
  /** More than half do not have it, but only since some of them do not have the file: the truth's stays. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'contested' }

export interface Judged {
  readonly verdict: EntryVerdict
  /** Which of the spoken say what was agreed. */
  readonly agreeing: readonly Spoken[]
}

/** How much of the weight has an entry, lacks it, and lacks it though it has the file. */
export interface Presence {
  readonly present: number
  readonly absent: number
  readonly without: number
}

export function presenceOf(spoken: readonly Spoken[], court: Court): Presence {
  let present = 0
  for (const { version } of spoken) present += court.versions[version]?.weight ?? 0
  let withFile = 0
  let others = 0
  for (const { weight, comparable } of court.versions) {
    if (comparable) withFile += weight
    else others += weight
  }
  return { present, absent: court.total - present - others, without: withFile - present }
}

/** Absence, where it has a majority. */
export function absenceOf({ absent, without }: Presence, { total }: Court): EntryVerdict | undefined {
  if (isMajority(without, total)) return { kind: 'gone' }
  return isMajority(absent, total) ? { kind: 'absent' } : undefined
}

/** @param spoken what comparable versions say under one name, each version once. */
export function judgeRow(spoken: readonly Spoken[], court: Court, agreement: AgreementTally): Judged {
  const variants = variantsOf(spoken, court)
  agreement.add(ratingsOf(variants, court))
  const most = variants.find(({ weight }) => isMajority(weight, court.total))
  if (most !== undefined)
    return { verdict: { kind: 'agreed', ...formOf(most.spoken, court) }, agreeing: most.spoken }
  const absence = absenceOf(presenceOf(spoken, court), court)
  return { verdict: absence ?? { kind: 'contested' }, agreeing: [] }
}

interface Variant {
  readonly value: Uint8Array
  readonly spoken: Spoken[]
  weight: number
}

function variantsOf(spoken: readonly Spoken[], { versions }: Court): Variant[] {
  const variants: Variant[] = []
  for (const one of spoken) {
    const weight = versions[one.version]?.weight ?? 0
    const same = variants.find(({ value }) => compareBytes(value, one.value) === 0)
    if (same === undefined) variants.push({ value: one.value, spoken: [one], weight })
    else {
      same.spoken.push(one)
      same.weight += weight
    }
  }
  return variants
}

/** How it is written by the most of those who agree; of equally many the truth's form, else the first by its bytes. */
export function formOf(
  agreeing: readonly Spoken[],
  { versions }: Court,
): { written: Uint8Array; ending: Ending } {
  const forms: { one: Spoken; weight: number; isTruth: boolean }[] = []
  for (const one of agreeing) {
    const version = versions[one.version]
    const form = forms.find((other) => compareForms(other.one, one) === 0)
    const weight = version?.weight ?? 0
    const isTruth = version?.isTruth === true
    if (form === undefined) forms.push({ one, weight, isTruth })
    else {
      form.weight += weight
      form.isTruth ||= isTruth
    }
  }
  if (forms.length > 1) {
    forms.sort(
      (a, b) => b.weight - a.weight || Number(b.isTruth) - Number(a.isTruth) || compareForms(a.one, b.one),
    )
  }
  const { written, ending } = (forms[0] as { one: Spoken }).one
  return { written, ending }
}

/** A line feed stands before a carriage return, in bytes and here. */
function compareForms(a: Spoken, b: Spoken): number {
  return compareBytes(a.written, b.written) || a.ending - b.ending
}

const text = new TextDecoder('latin1')

/** What each ballot says: a text, 0 where its file lacks the entry, nothing where it has no such file. */
function ratingsOf(
  variants: readonly Variant[],
  { peers, versions }: Court,
): (string | number | undefined)[] {
  const ratings: (string | number | undefined)[] = new Array(peers.length).fill(undefined)
  for (const { comparable, ballots } of versions) if (comparable) for (const i of ballots) ratings[i] = 0
  for (const { value, spoken } of variants) {
    const said = text.decode(value)
    for (const { version } of spoken) for (const i of versions[version]?.ballots ?? []) ratings[i] = said
  }
  return ratings
}
