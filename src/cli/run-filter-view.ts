import type { RunView } from '../api/run-views.ts'
import { shortId } from './output.ts'

type StepView = RunView['steps'][number]

/** What the output of a step went through before it was committed. */
export function filterRows({ name, filter }: StepView): string[][] {
  if (filter === undefined) return []
  const { tool, image, digest, exitCode } = filter
  const exit = exitCode === undefined ? '-' : String(exitCode)
  return [[name, tool, image, exit, shortId(digest.split('sha256:').at(-1))]]
}

/** Why the control metric of a step was judged as it was, and why nobody was told where that is so. */
export function verdictText({ name, report }: StepView): string[] {
  if (report?.why === undefined) return []
  const kept = report.suppressed === undefined ? '' : `; nobody was told: ${report.suppressed}`
  return [`${name}: ${report.verdict} by ${report.detector ?? 'rolling-average'}: ${report.why}${kept}`]
}
