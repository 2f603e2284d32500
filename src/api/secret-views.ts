import { z } from 'zod'
import { nameSchema } from '../base/names.ts'

/** By which a secret is named; never its value. */
export const secretNameFields = {
  variable: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of a variable')
    .max(200),
  pipeline: nameSchema.optional().describe('for that pipeline alone'),
  step: nameSchema.optional().describe('for that step of the pipeline alone'),
}

const storedName = { variable: z.string(), pipeline: z.string().optional(), step: z.string().optional() }

export const secretNameSchema = z.object(storedName).meta({ id: 'SecretName' })

export const secretSchema = z
  .object({ ...storedName, timeMs: z.int().describe('when it was set, milliseconds since 1970') })
  .meta({ id: 'Secret', description: 'a secret of this node, by name' })

export const sealedFileSchema = z
  .object({ path: z.string(), sealed: z.array(secretNameSchema) })
  .meta({ id: 'SealedFile' })
