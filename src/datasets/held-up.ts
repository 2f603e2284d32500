/** Why what was announced is not here: what its last fetch failed with, or that it was refused. */
import { type ErrorCode, messageOf, NodeError } from '../base/errors.ts'
import type { Item } from '../registry/collection.ts'
import type { Job } from './follow-job.ts'
import type { HeadRecord } from './heads.ts'

/** A head that could not be fetched so far. */
export interface FetchFailureView {
  /** Name of the member whose head it is. */
  readonly member: string
  /** What the last attempt failed with. */
  readonly code: ErrorCode
  readonly reason: string
  /** How many attempts have failed in a row. */
  readonly attempts: number
  /** When the next one is due, ms since the epoch; past while it runs. */
  readonly nextAttemptMs: number
}

/** `rollback`: it goes back; `divergence`: it leaves its own history; `not-owner`: the branch is another member's. */
export type Refused = 'rollback' | 'divergence' | 'not-owner'

/** A branch that is announced and not followed. */
export interface RefusalView {
  /** Name of the member that announces it. */
  readonly member: string
  readonly branch: string
  readonly announced: string
  readonly reason: Refused
}

export interface HeldUp {
  readonly failures: readonly FetchFailureView[]
  readonly refusals: readonly RefusalView[]
}

/** Which revision of a head was refused. */
export interface Refusal {
  readonly revision: number
  readonly reason: Refused
}

/** @param p what is known of each author's head, and of each of its branches. */
export function heldUpOf(
  heads: readonly Item<HeadRecord>[],
  p: {
    readonly job: (author: string) => Pick<Job, 'failure' | 'failures' | 'dueMs'> | undefined
    readonly refused: (author: string, branch: string) => Refusal | undefined
    readonly nameOf: (author: string) => string
  },
): HeldUp {
  const failures: FetchFailureView[] = []
  const refusals: RefusalView[] = []
  for (const { value, entry } of heads) {
    const { author, revision } = entry
    const member = p.nameOf(author)
    const job = p.job(author)
    if (job !== undefined && job.failures > 0) {
      const { failure, failures: attempts, dueMs: nextAttemptMs } = job
      const code = failure instanceof NodeError ? failure.code : 'INTERNAL'
      failures.push({ member, code, reason: messageOf(failure), attempts, nextAttemptMs })
    }
    for (const [branch, announced] of Object.entries(value.branches)) {
      const refused = p.refused(author, branch)
      if (refused?.revision === revision) refusals.push({ member, branch, announced, reason: refused.reason })
    }
  }
  return { failures, refusals }
}
