import { z } from 'zod'
import { buildSchema } from '../execution/images/build.ts'
import type { ImageVerdict } from '../execution/images/image-needs.ts'
import { serviceDescriptionSchema } from '../execution/images/service.ts'

const timeMs = z.int().describe('milliseconds since 1970')

/** An image that this node pulled or built, and whether it stays. */
export const imageSchema = z
  .object({
    engine: z.string(),
    id: z.string(),
    how: z.enum(['pulled', 'built']),
    references: z.array(z.string()).describe('what this node called it'),
    tags: z.array(z.string()).describe('what it is called now'),
    bytes: z.int().describe('with layers that it shares with other images'),
    broughtMs: timeMs,
    usedMs: timeMs,
    needed: z.string().optional().describe('why it is needed'),
    goes: z.string().optional().describe('why it goes with the next collection'),
  })
  .meta({ id: 'Image' })
export type ImageView = z.output<typeof imageSchema>

export const imageSweepSchema = z
  .object({
    removed: z.array(imageSchema).describe('what went, or with dryRun would go'),
    bytes: z.int(),
    unreachable: z.array(z.object({ engine: z.string(), problem: z.string() })),
    dryRun: z.boolean(),
  })
  .meta({ id: 'ImageSweep' })

export const loginSchema = z
  .object({ registry: z.string(), user: z.string(), sinceMs: timeMs })
  .meta({ id: 'RegistryLogin', description: 'the password is told to nobody' })

export const inspectedImageSchema = z
  .object({
    reference: z.string(),
    digest: z.string(),
    id: z.string(),
    user: z.string(),
    bytes: z.int(),
    fixed: z.string().describe('a reference that means this very image for ever'),
    service: serviceDescriptionSchema.optional(),
    problems: z.array(z.string()).optional().describe('why its labels describe no service'),
  })
  .meta({ id: 'InspectedImage' })

export const buildViewSchema = buildSchema.meta({ id: 'Build' })
export type BuildView = z.output<typeof buildViewSchema>

export function imageView({ image, tags, needed, goes }: ImageVerdict): ImageView {
  return {
    ...image,
    references: [...image.references],
    tags: [...tags],
    ...(needed === undefined ? {} : { needed }),
    ...(goes === undefined ? {} : { goes }),
  }
}
