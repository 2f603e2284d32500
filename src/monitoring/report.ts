import type { Snapshot } from './control-files.ts'
import { detectSpike, type Judgement } from './spike.ts'

/** What the control metric of a tool did, kept with the run that made its newest value. */
export interface Report extends Judgement {
  /** The newest control files, oldest first. */
  snapshots: Snapshot[]
  /** What could not be read or published, in sentences. */
  problems: string[]
}

export function reportOn(snapshots: readonly Snapshot[], problems: readonly string[] = []): Report {
  const judgement = detectSpike(snapshots.map(({ value }) => value))
  return { ...judgement, snapshots: [...snapshots], problems: [...problems] }
}

/** The report in one line for logs and people. */
export function describeReport(report: Report): string {
  const { verdict, value, rollingAverage, difference, gainPercent } = report
  if (verdict === 'too-few-snapshots') return `${report.snapshots.length} snapshots, too few to judge`
  const gain = gainPercent === undefined ? '' : ` (${signed(gainPercent, 2)} %)`
  return `${verdict}: ${value} against a rolling average of ${rollingAverage}, ${signed(difference ?? 0)}${gain}`
}

function signed(value: number, digits?: number): string {
  const text = digits === undefined ? String(value) : value.toFixed(digits)
  return value > 0 ? `+${text}` : text
}
