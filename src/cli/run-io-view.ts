import type { RunView } from '../api/run-views.ts'
import { bytesText, type Output, shortId, timeText } from './output.ts'

/** What the steps of a run read beside their datasets, and where their outputs were published: a table each, if any. */
export function renderInputsAndPublished(out: Output, { steps }: Pick<RunView, 'steps'>): string[] {
  const inputs = steps.flatMap((step) => {
    return (step.inputs ?? []).map(({ name, source, resolved, sha256, bytes, commit }) => {
      const from = resolved === undefined || resolved === source ? source : `${source} at ${resolved}`
      const size = bytes === undefined ? '-' : bytesText(bytes)
      return [step.name, name, from, size, shortId(sha256 ?? commit)]
    })
  })
  const published = steps.flatMap((step) => {
    return (step.published ?? []).map(({ publisher, address, files, bytes, expiresMs, removedMs }) => {
      const until = removedMs === undefined ? timeText(expiresMs) : `removed ${timeText(removedMs)}`
      return [step.name, publisher, address, String(files), bytesText(bytes), until]
    })
  })
  return [
    ...(inputs.length === 0 ? [] : [out.table(['step', 'input', 'from', 'size', 'hash'], inputs)]),
    ...(published.length === 0
      ? []
      : [out.table(['step', 'publisher', 'address', 'files', 'size', 'until'], published)]),
  ]
}
