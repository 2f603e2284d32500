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
  // What lies nowhere on the web is named by what it holds.
  const id = kind === 'url' || kind === 'pid' ? address : `#input/${sha256 ?? encodeURIComponent(source)}`
  return {
    '@id': id,
    '@type': 'File',
    name,
    ...(kind === 'pid' ? { identifier: source } : {}),
    ...(bytes === undefined ? {} : { contentSize: String(bytes) }),
    ...(sha256 === undefined ? {} : { sha256 }),
  }
}
