import { z } from 'zod'
import { nameSchema } from '../base/names.ts'

/** Ids and seeds of datasets: 16 bytes. */
export const hexSchema = z.string().regex(/^[0-9a-f]{32}$/)

/** What tells two datasets of one name apart; the name itself, where a record is from before there were ids. */
export const datasetIdSchema = z.union([hexSchema, nameSchema])
