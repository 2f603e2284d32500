import { z } from 'zod'
import { alarmQuietMaxMs, webhooksMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { QUIET_DEFAULT_MS, watchSchema } from './alarms.ts'
import { messageEventSchema } from './notify/message.ts'

const eventsSchema = z.array(messageEventSchema).min(1).default(['spike', 'run.ended'])

const webhookSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  signing: z.enum(['hmac', 'ed25519']).default('hmac'),
  /** Counted up, it makes a new key for this receiver. */
  keyNumber: z.int().min(1).default(1),
  events: eventsSchema,
})

/** The part of the node's settings that is about who is told of what. */
export const notificationSettingsSchema = z.strictObject({
  webhooks: z
    .record(nameSchema, webhookSchema)
    .refine((all) => Object.keys(all).length <= webhooksMax, { error: `at most ${webhooksMax} webhooks` })
    .default({})
    .describe('per name, a URL that is told of spikes and runs, by signed messages'),
  mail: z
    .strictObject({
      host: z.string().default('').describe('mail server; empty: no mail'),
      port: z.int().min(1).max(65_535).default(587).describe('its port'),
      security: z
        .enum(['starttls', 'tls', 'none'])
        .default('starttls')
        .describe('how it is spoken to; none only on this machine'),
      user: z.string().default('').describe('user at the mail server; empty: it asks for none'),
      passwordFile: z.string().default('').describe('file with the password of that user, mode 0600'),
      from: z.string().default('').describe('sender of the mails'),
      to: z.array(z.string().min(3)).max(32).default([]).describe('receivers of the mails'),
      events: eventsSchema.describe('what is mailed: spike, run.started, run.ended'),
    })
    .prefault({}),
  quietMs: z
    .int()
    .min(0)
    .max(alarmQuietMaxMs)
    .default(QUIET_DEFAULT_MS)
    .describe('how long a spike that lasts is not told again'),
  tools: z
    .record(nameSchema, watchSchema)
    .default({})
    .describe('per tool, the detector and the silence that count on this node instead of what the tool says'),
})
export type NotificationSettings = z.output<typeof notificationSettingsSchema>
