import { z } from 'zod'
import {
  HOUR_MS,
  offerLabelCharactersMax,
  offerLabelsMax,
  offerPriceCharactersMax,
  SECOND_MS,
  timerMaxMs,
} from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'

const GIB = 1024 ** 3

/** What runs of other members may take here; each of a role's limits is one for everybody in it. */
const roleLimits = z.strictObject({
  cpus: z.number().min(0.01).max(1_024).default(1).describe('most processors of one of its steps'),
  memoryBytes: z.int().min(1).default(GIB).describe('most memory of one of its steps'),
  diskBytes: z.int().min(1).default(GIB).describe('most bytes of output of one of its steps'),
  pids: z.int().min(1).default(256).describe('most processes of one of its steps'),
  gpus: z.int().min(0).max(64).default(0).describe('most devices of one of its steps'),
  stepTimeoutMs: z.int().min(1_000).max(timerMaxMs).default(HOUR_MS).describe('longest time of one step'),
  runTimeoutMs: z
    .int()
    .min(1_000)
    .max(timerMaxMs)
    .default(4 * HOUR_MS)
    .describe('longest time of one run'),
  runsMax: z.int().min(1).max(64).default(1).describe('runs of one member at work at once'),
  queuedMax: z.int().min(0).max(1_000).default(10).describe('runs of one member that may wait'),
})
export type RoleLimits = z.output<typeof roleLimits>

const hookSettings = z
  .strictObject({
    url: z
      .union([z.literal(''), z.url({ protocol: /^https?$/ })])
      .default('')
      .describe('asked with POST whether a run of another member may come; empty: nobody is asked'),
    command: z
      .array(z.string().min(1))
      .default([])
      .describe('the same as a program with its arguments, asked on its standard input'),
    timeoutMs: z
      .int()
      .min(10)
      .max(30 * SECOND_MS)
      .default(5 * SECOND_MS)
      .describe('it answers within this'),
    failMode: z
      .enum(['deny', 'allow'])
      .default('deny')
      .describe('what counts where it does not answer: no, or yes within the limits of the role'),
  })
  .refine(({ url, command }) => url === '' || command.length === 0, 'either a url or a command')

/** The part of execution's settings that is about runs of other members. */
export const remoteSettingsSchema = z.strictObject({
  accept: z
    .enum(['none', 'operators', 'members'])
    .default('none')
    .describe('whose runs this node takes, beside its own'),
  limits: z.strictObject({ operator: roleLimits.prefault({}), member: roleLimits.prefault({}) }).prefault({}),
  fetchUrls: z
    .boolean()
    .default(false)
    .describe('whether steps of other members may have this node fetch addresses as their inputs'),
  hook: hookSettings.prefault({}),
})
export type RemoteSettings = z.output<typeof remoteSettingsSchema>

const label = z.string().trim().min(1).max(offerLabelCharactersMax)

/** What this node says of itself where it takes others' runs. */
export const offerSettingsSchema = z.strictObject({
  name: nameSchema.default('default').describe('what the environment of this node is called'),
  priceText: z
    .string()
    .trim()
    .max(offerPriceCharactersMax)
    .default('')
    .describe('what a run costs, in words for people'),
  labels: z
    .record(nameSchema, label)
    .refine((labels) => Object.keys(labels).length <= offerLabelsMax, `at most ${offerLabelsMax} labels`)
    .default({})
    .describe('words by which this node is found, such as site: zurich'),
})
export type OfferSettings = z.output<typeof offerSettingsSchema>

export const remoteSettings = {
  remote: remoteSettingsSchema.prefault({}),
  offer: offerSettingsSchema.prefault({}),
}
