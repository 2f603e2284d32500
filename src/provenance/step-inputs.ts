import type { StagedSource } from '../execution/runs/run.ts'
import type { Entity } from './crate.ts'

/** A further input of a step, as a file or dataset of the crate. */
export function stagedEntity(staged: StagedSource): Entity {
  const { name, kind, source, resolved, sha256, bytes, commit } = staged
  if (commit !== undefined) {
    return {
      '@id': `swh:1:rev:${commit}`,
      '@type': 'Dataset',
      name: `${name} (${source})`,
      identifier: commit,
    }
  }
  const address = resolved ?? source
  const isOnTheWeb = kind === 'url' || kind === 'pid'
  // One address may hold something else tomorrow; what lies nowhere on the web is named by what it holds.
  const [page = ''] = address.split('#')
  const onTheWeb = sha256 === undefined ? address : `${page}#sha256=${sha256}`
  const id = isOnTheWeb ? onTheWeb : `#input/${sha256 ?? encodeURIComponent(source)}`
  return {
    '@id': id,
    '@type': 'File',
    name,
    ...(isOnTheWeb ? { contentUrl: address } : {}),
    ...(kind === 'pid' ? { identifier: source } : {}),
    ...(bytes === undefined ? {} : { contentSize: String(bytes) }),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}
