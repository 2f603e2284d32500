import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
  descriptionCharactersMax,
  formerIdsMax,
  peerIdCharactersMax,
  replicasWantedMax,
} from '../base/limits.ts'
import { accessSchema } from './access.ts'
import { datasetIdSchema, hexSchema } from './dataset-id.ts'
import { oidSchema } from './exchange/pack-protocol.ts'
import type { Policy } from './policies.ts'
import { truthRulesSchema } from './truth-rule.ts'
import { upstreamSchema } from './upstream/upstream-address.ts'

export { datasetIdSchema } from './dataset-id.ts'

/** Where the records of datasets are, by name. */
export const DATASET_PREFIX = '/dataset/'

const shape = {
  /** See `datasetId`; absent in records from before there were ids. */
  id: datasetIdSchema.optional(),
  /** Random; with it, everybody sees who founded the dataset. */
  seed: hexSchema.optional(),
  /** Peer id of who founded it; the author of the record where it does not say. */
  founder: z.string().max(peerIdCharactersMax).optional(),
  /** When it was founded, ms since the epoch by the founder's clock; what was agreed on before is about another one. */
  foundedMs: z.number().int().nonnegative().optional(),
  /** Ids of the datasets that had this name before and were removed. */
  former: z.array(datasetIdSchema).max(formerIdsMax).optional(),
  description: z.string().max(descriptionCharactersMax),
  /** The commit that is the ground truth until members have agreed on one. */
  initial: oidSchema.optional(),
  /** Name of the member that founded it. */
  createdBy: z.string().max(63),
  /** How many members, beside the one that founded it, are to keep a copy; without a word, everybody may. */
  replicas: z.number().int().min(1).max(replicasWantedMax).optional(),
  /** Who may have it and who votes on it, where that is not every member. */
  access: accessSchema.optional(),
  /** How members' results become its ground truth, where that is not byte for byte. */
  truth: truthRulesSchema.optional(),
  /** A git repository elsewhere that it is pulled from and pushed to. */
  upstream: upstreamSchema.optional(),
}

/** `/dataset/<name>`: that a dataset exists, and what it was founded with. */
export const datasetSchema = z.object({ ...shape, policy: z.enum(['shared', 'compute-only']) })

/** The same for what never leaves this node, and so is kept in its own database. */
export const localDatasetSchema = z.object({ ...shape, policy: z.literal('local-only') })

export type SharedRecord = z.infer<typeof datasetSchema>
export type LocalRecord = z.infer<typeof localDatasetSchema>
export interface DatasetRecord extends Omit<SharedRecord, 'policy'> {
  readonly policy: Policy
}

/** The id of a dataset that `founder` (a peer id) founds under a name, with a seed of its own: nobody else can have it. */
export function datasetId(founder: string, name: string, seed: string): string {
  return createHash('sha256').update(`${founder}\n${name}\n${seed}`).digest('hex').slice(0, 32)
}

/** Whether a name may be an id as well, as it is where records are from before there were ids. */
export function isLegacyName(name: string): boolean {
  return !hexSchema.safeParse(name).success
}

/** What binds heads and copies to one dataset, whatever else had its name before. */
export function idOf(name: string, record: { readonly id?: string | undefined }): string {
  return record.id ?? name
}

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
