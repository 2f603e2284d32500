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
