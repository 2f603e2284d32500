import type { ErrorCode } from '../base/errors.ts'

/** What happens to this node's datasets, for the API's event stream and for people. */
export type DatasetEvent =
  | {
      /** A member has announced where its branches are. */
      readonly type: 'head'
      readonly dataset: string
      /** Name of the member. */
      readonly member: string
      readonly branches: Readonly<Record<string, string>>
    }
  | {
      /** A branch of a member is here now. */
      readonly type: 'replicated'
      readonly dataset: string
      readonly member: string
      readonly branch: string
      readonly commit: string
    }
  | {
      /** It is tried again after `nextAttemptMs`. */
      readonly type: 'fetch-failed'
      readonly dataset: string
      readonly member: string
      readonly code: ErrorCode
      readonly reason: string
      readonly nextAttemptMs: number
    }
  | {
      /** A head that goes back, leaves its own history, or names a branch of another member. */
      readonly type: 'rollback-refused'
      readonly dataset: string
      readonly member: string
      readonly branch: string
      readonly announced: string
      readonly held: string | undefined
      readonly reason: 'rollback' | 'divergence' | 'not-owner'
    }
  | {
      /** The agreed state has moved. */
      readonly type: 'truth'
      readonly dataset: string
      readonly commit: string
    }
  | {
      /** What nothing leads to was removed, and the rest packed. */
      readonly type: 'garbage-collected'
      readonly dataset: string
      readonly bytesBefore: number
      readonly bytesAfter: number
      readonly durationMs: number
    }
  | {
      /** Nothing more comes into a dataset; told once, until there was room again. */
      readonly type: 'quota-exceeded'
      readonly dataset: string
      /** The bound of one dataset (setting datasets.quotaBytes), or of all (datasets.totalBytes). */
      readonly bound: 'quota' | 'total'
      readonly bytes: number
      readonly bytesMax: number
    }
  | {
      /** Nothing more comes into any dataset; told once, until there was room again. */
      readonly type: 'disk-low'
      /** Which was the first to have none. */
      readonly dataset: string
      readonly freeBytes: number
      readonly freeBytesMin: number
    }
  | {
      /** What came of a call to the upstream: where it stands now, or why nothing moved. */
      readonly type: 'upstream'
      readonly dataset: string
      readonly direction: 'pull' | 'push'
      readonly commit?: string
      readonly code?: ErrorCode
      readonly reason?: string
    }
