import { z } from 'zod'
import { descriptionCharactersMax } from '../base/limits.ts'
import { oidSchema } from './exchange/pack-protocol.ts'

/** Where the records of datasets are, by name. */
export const DATASET_PREFIX = '/dataset/'

/** `/dataset/<name>`: that a dataset exists, and what it was founded with. */
export const datasetSchema = z.object({
  description: z.string().max(descriptionCharactersMax),
  /** `shared`: every member copies it. */
  policy: z.literal('shared'),
  /** The commit that is the ground truth until members have agreed on one. */
  initial: oidSchema.optional(),
  /** Name of the member that founded it. */
  createdBy: z.string().max(63),
})
export type DatasetRecord = z.infer<typeof datasetSchema>

/**
 * What this node's truth branch should move to for want of an agreed state, or undefined when it is right. Two members
 * may found one name at once; the branch may then stand at the beginning that was not chosen, and nowhere else. Pure.
 *
 * @param initials what all claims to the name were founded with, the chosen one first.
 */
export function initialTruth(
  truth: string | undefined,
  initials: readonly (string | undefined)[],
): string | undefined {
  const [chosen, ...others] = initials
  if (chosen === undefined || truth === chosen) return undefined
  return truth === undefined || others.includes(truth) ? chosen : undefined
}
