import { z } from 'zod'
import { HOUR_MS } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { buildsSettingsSchema, imagesSettingsSchema } from './images/settings.ts'
import { inputsSettingsSchema } from './inputs/settings.ts'
import { publishersSchema } from './publishing/settings.ts'
import { queueSettingsSchema } from './queue/settings.ts'
import { remoteSettings } from './remote/settings.ts'
import { retrySettings } from './runs/settings.ts'
import { boxSettings } from './steps/settings.ts'

const environmentVariable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of a variable')
const GIB = 1024 ** 3
const MEMORY_BYTES_MIN = 6 * 1024 ** 2

/** The part of the node's settings that is about running containers. */
export const executionSettingsSchema = z.strictObject({
  stepTimeoutMs: z.int().min(1_000).default(HOUR_MS).describe('longest time of one step'),
  memoryBytes: z.int().min(MEMORY_BYTES_MIN).default(GIB).describe('memory of one step'),
  cpus: z.number().min(0.01).max(1_024).default(1).describe('processors of one step'),
  pids: z.int().min(1).default(256).describe('processes of one step'),
  outputBytes: z
    .int()
    .min(1)
    .default(10 * GIB)
    .describe('size of the output of one step'),
  concurrency: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe('runs at once; more than one may disturb what they measure'),
  repeatLost: z.boolean().default(true).describe('repeat once, at start, a run that a crash cut'),
  ...retrySettings,
  ...boxSettings,
  queue: queueSettingsSchema,
  ...remoteSettings,
  inputs: inputsSettingsSchema.prefault({}),
  publishers: publishersSchema,
  environment: z
    .record(nameSchema, z.record(environmentVariable, z.string()))
    .default({})
    .describe('per tool, variables that override those of the pipeline on this node'),
  dockerSocketGranted: z
    .boolean()
    .default(false)
    .describe('whether steps that ask for the Docker socket get it: they then own this machine'),
  images: imagesSettingsSchema.prefault({}).describe('images that run here'),
  builds: buildsSettingsSchema.prefault({}).describe('images that are built here'),
})
export type ExecutionSettings = z.output<typeof executionSettingsSchema>
