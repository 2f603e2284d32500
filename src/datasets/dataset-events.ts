import type { ErrorCode } from '../base/errors.ts'
import type { Policy } from './policies.ts'

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
      /** How far a transfer has come; at most two a second, and none of one that is over sooner. */
      readonly type: 'progress'
      readonly dataset: string
      /** Name of the member that sends. */
      readonly member: string
      /** `checking` begins when all bytes are here. */
      readonly phase: 'receiving' | 'checking'
      /** Received so far. */
      readonly bytes: number
      /** Objects that are announced. */
      readonly objectsTotal?: number
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
      /** A head that is not followed: about another dataset of this name, or older than one that was here. */
      readonly type: 'head-ignored'
      readonly dataset: string
      readonly member: string
      readonly reason: 'other-dataset' | 'replayed'
      readonly sequence: number
    }
  | {
      /** A member has rewritten one of its branches, and says why. */
      readonly type: 'reset'
      readonly dataset: string
      readonly member: string
      readonly branch: string
      readonly from: string
      readonly to: string
      /** How often the branch was reset so far. */
      readonly count: number
      readonly reason: string
    }
  | {
      /** A member has signed two heads in one place; both are kept as proof. */
      readonly type: 'equivocation'
      readonly dataset: string
      readonly member: string
      readonly sequence: number
      /** SHA-256 of each; the first is the one that is followed. */
      readonly hashes: readonly [string, string]
    }
  | {
      /** A dataset came to be known here, or is another one than before under this name. */
      readonly type: 'founded'
      readonly dataset: string
      readonly id: string
      readonly policy: Policy
    }
  | {
      /** A dataset is no more; copies stay until they are removed. */
      readonly type: 'removed'
      readonly dataset: string
    }
  | {
      /** This node copies a dataset from now on, or no longer. */
      readonly type: 'followed'
      readonly dataset: string
      readonly followed: boolean
      readonly why: string
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
