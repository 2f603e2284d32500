import type { RunView } from '../api/run-views.ts'
import { shortId } from './output.ts'

/** What a step had beside its dataset, what filtered its output, and where that went: a row each. */
export function dataRows(step: RunView['steps'][number]): string[][] {
  const { name, inputs = [], filter, published = [] } = step
  const rows = inputs.map(({ name: file, kind, source, resolved = source, sha256, commit }) => {
    return [name, 'read', file, `${kind} ${resolved}`, shortId(commit ?? sha256)]
  })
  if (filter !== undefined) {
    const { tool, image, digest, exitCode } = filter
    const exit = exitCode === undefined ? '' : `, exit code ${exitCode}`
    rows.push([name, 'filtered', tool, `${image}${exit}`, shortId(digest.split('sha256:').at(-1))])
  }
  for (const { publisher, address, files, bytes, manifestSha256, removedMs } of published) {
    const gone = removedMs === undefined ? '' : ', removed since'
    const where = `${address} (${files} files, ${bytes} bytes${gone})`
    rows.push([name, 'published', publisher, where, shortId(manifestSha256)])
  }
  return rows
}
