/**
 * What is written in an audit (protocols/audit.md §3): JSON values under their keys. An answer names the opening by the
 * SHA-256 of the value's bytes as they were signed. Pure.
 */
import { z } from 'zod'
import {
  auditMembersMax,
  auditOpeningSkewMs,
  auditWindowMaxMs,
  auditWindowMinMs,
} from '../../base/limits-audit.ts'
import { nameSchema } from '../../base/names.ts'
import { isReservedStep } from '../../datasets/branches.ts'
import { datasetIdSchema } from '../../datasets/dataset-record.ts'
import { isBranch } from '../../datasets/git/git-directory.ts'
import type { Entry } from '../../registry/watchers.ts'
import { parseValue, type Signed } from '../records.ts'
import type { AuditId } from './audit-id.ts'

const oid = z.string().regex(/^[0-9a-f]{40}$/)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const peer = z.string().regex(/^[A-Za-z0-9]{1,100}$/)
const time = z.number().int().nonnegative()

export const auditOpeningSchema = z.object({
  /** Id of the dataset. */
  dataset: datasetIdSchema,
  /** The heads of this step's branches are compared; without it, each member's newest. */
  step: nameSchema.optional(),
  openedMs: time,
  /** Answers are on time until then. */
  untilMs: time,
  /** Peer ids of those who are asked, sorted: the members that could have heads and read the dataset. */
  electorate: z
    .array(peer)
    .min(1)
    .max(auditMembersMax)
    .refine((peers) => peers.every((p, i) => i === 0 || (peers[i - 1] as string) < p), 'is not sorted'),
})
export type AuditOpening = z.infer<typeof auditOpeningSchema>

export const auditAnswerSchema = z.object({
  /** Hash of the opening's value. */
  opening: sha256,
  /** What the member holds; null when it has nothing to compare. */
  head: z
    .object({ branch: z.string().refine(isBranch, 'no name of a branch'), commit: oid, tree: oid })
    .nullable(),
})
export type AuditAnswer = z.infer<typeof auditAnswerSchema>
export type AuditHead = NonNullable<AuditAnswer['head']>

/** An opening as its author signed it, in order as far as itself says. */
export interface SeenOpening extends Signed<AuditOpening> {
  readonly id: AuditId
}

/** A member's answer as it was signed. */
export interface SeenAnswer {
  readonly peer: string
  /** When the member says that it answered, ms. */
  readonly timeMs: number
  readonly version: number
  readonly answer: AuditAnswer
}

/** [A2] The opening that a record is, or undefined where it is none that anybody has to heed. */
export function readOpening(id: AuditId, entry: Entry): SeenOpening | undefined {
  const read = parseValue(auditOpeningSchema, entry.value)
  if (read === undefined || entry.author !== id.opener) return undefined
  const { openedMs, untilMs, step } = read.value
  const windowMs = untilMs - openedMs
  if (openedMs !== id.openedMs || windowMs < auditWindowMinMs || windowMs > auditWindowMaxMs) return undefined
  if (Math.abs(entry.timeMs - openedMs) > auditOpeningSkewMs) return undefined
  // What members had made at a host is not the host's own word.
  if (step !== undefined && isReservedStep(step)) return undefined
  return { ...read, id }
}

/** [A5] The answer that a record is, or undefined. */
export function readAnswer(entry: Entry): SeenAnswer | undefined {
  const read = parseValue(auditAnswerSchema, entry.value)
  if (read === undefined) return undefined
  return { peer: entry.author, timeMs: entry.timeMs, version: entry.version, answer: read.value }
}
