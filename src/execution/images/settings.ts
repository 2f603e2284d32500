import { z } from 'zod'
import { messageOf } from '../../base/errors.ts'
import { DAY_MS, HOUR_MS, imageRulesMax } from '../../base/limits.ts'
import { parseImageRule } from './image-rules.ts'

const MIB = 1024 ** 2
const GIB = 1024 * MIB

const ruleSchema = z.string().superRefine((text, context) => {
  try {
    parseImageRule(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) })
  }
})

/** `execution.images`: which images run on this node, and how long they stay on its engines. */
export const imagesSettingsSchema = z.strictObject({
  pull: z
    .enum(['missing', 'always', 'never'])
    .default('missing')
    .describe('when the registry is asked: where the image is not here, before each step, or never'),
  allow: z
    .array(ruleSchema)
    .max(imageRulesMax)
    .default([])
    .describe(
      'images that may run, such as registry.example.org/lab/*, lab/**:1.* or *@sha256:…; none named: all',
    ),
  loginsForMembers: z
    .boolean()
    .default(false)
    .describe('whether runs of other members get images that only the passwords of this node open'),
  keepBytes: z
    .int()
    .min(0)
    .default(50 * GIB)
    .describe(
      'images that this node brought and that nothing needs are removed beyond this size, oldest first',
    ),
  keepUnusedMs: z
    .int()
    .min(0)
    .default(90 * DAY_MS)
    .describe('and those that were not used for so long, whatever their size'),
  recentMs: z
    .int()
    .min(0)
    .default(7 * DAY_MS)
    .describe('an image that a run used in this time is needed'),
})
export type ImagesSettings = z.output<typeof imagesSettingsSchema>

/** `execution.builds`: images that this node's operator builds here. */
export const buildsSettingsSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe('whether whoever holds the token may build images on this node'),
  timeoutMs: z.int().min(1_000).default(HOUR_MS).describe('longest time of one build'),
  memoryBytes: z
    .int()
    .min(6 * MIB)
    .default(2 * GIB)
    .describe('memory of one step of a build, without swap'),
  cpus: z.number().min(0.01).max(1_024).default(1).describe('processors of one step of a build'),
  network: z
    .enum(['none', 'bridge'])
    .default('none')
    .describe(
      'what RUN reaches, and whether ADD may fetch: nothing, or everything that this machine reaches',
    ),
  contextBytes: z
    .int()
    .min(1)
    .default(1 * GIB)
    .describe('size of the files that a build is made of'),
  contextEntries: z.int().min(1).default(50_000).describe('number of the files that a build is made of'),
})
export type BuildsSettings = z.output<typeof buildsSettingsSchema>
