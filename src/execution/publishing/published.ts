import { isNodeError } from '../../base/errors.ts'
import type { Published } from '../runs/run.ts'
import type { Publication } from './publications.ts'

/** What a run says of a publication. */
export function publishedOf(publication: Publication): Published {
  const { publisher, kind, address = '', files, bytes, manifestSha256, expiresMs, removedMs } = publication
  return {
    ...{ publisher, kind, address, files, bytes, manifestSha256 },
    ...(expiresMs === undefined ? {} : { expiresMs }),
    ...(removedMs === undefined ? {} : { removedMs }),
  }
}

/** What was published all the same where publishing failed: it is in the world, and the run says so. */
export function publishedBefore(error: unknown): Published[] {
  if (!isNodeError(error, 'PUBLISH_FAILED')) return []
  const { published } = error.data
  return Array.isArray(published) ? published : []
}
