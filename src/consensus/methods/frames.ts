/** What stands around the entries is agreed on before them: nothing can be compared below two different headers. */
import { compareBytes, type Frame } from './entry.ts'
import { isMajority } from './weights.ts'

/** One version of the file, whoever has it. */
export interface FramedVersion {
  /** Undefined where it cannot be read. */
  readonly frame: Frame | undefined
  /** Of all ballots that have it, in whole millionths; 0 where only the truth has it. */
  readonly weight: number
  readonly isTruth: boolean
}

/**
 * The shape that more than half of all ballots have, in the form (the bytes around the entries) of the most of these;
 * of forms that are equally frequent the truth's, else the first by its bytes.
 */
export function agreeOnFrame(versions: readonly FramedVersion[], total: number): Frame | undefined {
  const weights = new Map<string, number>()
  for (const { frame, weight } of versions) {
    if (frame !== undefined) weights.set(frame.shape, (weights.get(frame.shape) ?? 0) + weight)
  }
  const shape = [...weights].find(([, weight]) => isMajority(weight, total))?.[0]
  const forms: { frame: Frame; weight: number; isTruth: boolean }[] = []
  for (const { frame, weight, isTruth } of versions) {
    if (frame === undefined || frame.shape !== shape) continue
    const form = forms.find((other) => compareForms(other.frame, frame) === 0)
    if (form === undefined) forms.push({ frame, weight, isTruth })
    else {
      form.weight += weight
      form.isTruth ||= isTruth
    }
  }
  forms.sort(
    (a, b) => b.weight - a.weight || Number(b.isTruth) - Number(a.isTruth) || compareForms(a.frame, b.frame),
  )
  return forms[0]?.frame
}

function compareForms(a: Frame, b: Frame): number {
  return (
    compareBytes(a.before, b.before) ||
    compareBytes(a.between, b.between) ||
    compareBytes(a.after, b.after) ||
    Number(a.unterminated) - Number(b.unterminated)
  )
}
