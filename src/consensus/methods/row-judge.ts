/** Methods `rows` and `weighted` (protocols/methods.md §5, §7): each entry by majority. */
import { AgreementTally } from '../statistics/agreement.ts'
import type { Court } from './court.ts'
import { compareBytes, type Ending } from './entry.ts'
import type { Spoken } from './entry-groups.ts'
import { type EntryJudge, type Judged, withoutMajority } from './judge.ts'
import { isMajority } from './weights.ts'

export class RowJudge implements EntryJudge {
  readonly agreement: AgreementTally
  readonly #court: Court

  constructor(court: Court) {
    this.#court = court
    this.agreement = new AgreementTally({ level: 'nominal', raters: court.peers.length })
  }

  judge(key: Uint8Array, spoken: readonly Spoken[]): Judged {
    const court = this.#court
    const variants = variantsOf(spoken, court)
    this.agreement.add(ratingsOf(variants, court))
    const most = variants.find(({ weight }) => isMajority(weight, court.total))
    if (most === undefined) return withoutMajority(key, spoken, court)
    const others = variants.filter((variant) => variant !== most).flatMap((variant) => variant.spoken)
    return {
      verdict: { kind: 'agreed', ...formOf(most.spoken, court) },
      contested: [],
      differing: others.map(({ version }) => ({ version, name: key })),
    }
  }

  notes(): string[] {
    return []
  }
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
