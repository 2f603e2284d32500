import { snapshotsMax } from '../base/limits.ts'
import type { Snapshot } from './control-files.ts'
import { DETECTOR_DEFAULT, type Detector, judge } from './detector.ts'
import type { Judgement } from './detectors/judgement.ts'

/** What the control metric of a tool did, kept with the run that made its newest value. */
export interface Report extends Judgement {
  /** The newest control files, oldest first; a detector may have looked at more. */
  snapshots: Snapshot[]
  /** What could not be read or published, in sentences. */
  problems: string[]
  /** Why nobody was told of this spike, where that is so. */
  suppressed?: string
}

/**
 * @param snapshots oldest first, as many as the detector looks at.
 * @param newestProblem why the newest control file is not among them: an older one is no word on this commit.
 */
export function reportOn(
  snapshots: readonly Snapshot[],
  problems: readonly string[] = [],
  detector: Detector = DETECTOR_DEFAULT,
  newestProblem?: string,
): Report {
  if (newestProblem !== undefined) {
    const why = `the newest control file is not judged: ${newestProblem}`
    const kept = { snapshots: snapshots.slice(-snapshotsMax), problems: [...problems] }
    return { verdict: 'too-few-snapshots', detector: detector.detector, why, ...kept }
  }
  const judgement = judge(
    snapshots.map(({ value }) => value),
    detector,
  )
  return { ...judgement, snapshots: snapshots.slice(-snapshotsMax), problems: [...problems] }
}

/** The report in one line for logs and people. */
export function describeReport(report: Report): string {
  const { verdict, why, detector, snapshots } = report
  if (verdict === 'too-few-snapshots')
    return `nothing to judge in ${snapshots.length} snapshots: ${why ?? ''}`
  return `${verdict} by ${detector}: ${why ?? ''}`
}
