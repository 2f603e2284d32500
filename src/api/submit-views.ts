import { z } from 'zod'
import { requestKeyCharactersMax, timerMaxMs } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { RunPreview } from '../execution/queue/preview.ts'
import { grantedSchema } from './run-views.ts'

/** The last time that a date can stand for (ECMA-262, 21.4.1.1). */
const dateMsMax = 8_640_000_000_000_000

/** What whoever submits a run may say of it. */
export const submissionSchema = z.strictObject({
  pipeline: nameSchema,
  slot: z
    .int()
    .min(0)
    .max(dateMsMax)
    .optional()
    .describe('the round that the results belong to, ms; default: now'),
  priority: z.int().min(-100).max(100).optional().describe('higher goes first; default: 0'),
  waitMsMax: z
    .int()
    .min(1_000)
    .max(timerMaxMs)
    .optional()
    .describe('longest wait in the queue; default: the setting execution.queue.waitMsMax'),
  timeoutMs: z.int().min(1_000).max(timerMaxMs).optional().describe('longest time of the run'),
})

export type Submission = z.output<typeof submissionSchema>

/**
 * draft-ietf-httpapi-idempotency-key-header §2.1: a string in quotes (RFC 8941). Clients that leave the quotes out are
 * understood too.
 */
export const idempotencyKeySchema = z
  .string()
  .transform((text) => /^"(?<key>.*)"$/.exec(text)?.groups?.key ?? text)
  .pipe(
    z
      .string()
      .max(requestKeyCharactersMax)
      .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'expected visible characters, such as a UUID'),
  )

const imageSchema = z.object({
  reference: z.string(),
  state: z.enum(['there', 'to-be-pulled', 'unknown']),
  digest: z.string().optional().describe('of the image that is there'),
  pinned: z.string().optional().describe('the digest that alone may run'),
  allowed: z.enum(['yes', 'no', 'by-digest']).describe('what execution.images.allow says'),
})

export const runPreviewSchema = z
  .object({
    pipeline: z.string(),
    wouldRun: z.boolean().describe('whether it would be taken, as far as can be known now'),
    problems: z.array(z.object({ step: z.string().optional(), code: z.string(), message: z.string() })),
    slot: z.int(),
    owner: z.string(),
    priority: z.int(),
    waitUntilMs: z.int().optional(),
    timeoutMs: z.int().optional(),
    queue: z.object({
      position: z.int(),
      engine: z.string().optional().describe('where it would start at once'),
      why: z.string().optional().describe('why it would wait'),
    }),
    steps: z.array(
      z.object({
        name: z.string(),
        tool: z.string(),
        image: imageSchema.optional(),
        input: z.object({ dataset: z.string(), commit: z.string().optional(), from: z.string() }).optional(),
        inputs: z.array(z.string()),
        outputDataset: z.string(),
        outputBranch: z.string(),
        granted: grantedSchema.omit({ user: true }),
        filter: z.string().optional(),
        publish: z.array(z.string()),
      }),
    ),
  })
  .meta({ id: 'RunPreview', description: 'what would become of a run that was not submitted' })

export type RunPreviewView = z.output<typeof runPreviewSchema>

export function runPreviewView({ run, ...preview }: RunPreview): RunPreviewView {
  const { pipeline, slot, owner = 'node', priority = 0, waitUntilMs, timeoutMs } = run
  return runPreviewSchema.parse({
    ...{ pipeline, slot, owner, priority, waitUntilMs, timeoutMs },
    ...preview,
  })
}

export const queuedRunSchema = z
  .object({
    position: z.int(),
    id: z.string(),
    pipeline: z.string(),
    owner: z.string(),
    priority: z.int(),
    why: z.string().describe('why it waits'),
    createdMs: z.int(),
    notBeforeMs: z.int().optional(),
    waitUntilMs: z.int().optional(),
  })
  .meta({ id: 'QueuedRun' })
