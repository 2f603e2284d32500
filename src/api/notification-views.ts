import { z } from 'zod'

const timeMs = z.int().describe('milliseconds since 1970')

export const receiverSchema = z
  .object({ name: z.string(), kind: z.string(), events: z.array(z.string()), to: z.string() })
  .meta({ id: 'Receiver', description: 'somebody outside who is told of spikes and runs' })

export const webhookKeySchema = z
  .object({ signing: z.enum(['hmac', 'ed25519']), text: z.string() })
  .meta({ id: 'WebhookKey' })

export const deliverySchema = z
  .object({
    id: z.string(),
    receiver: z.string(),
    message: z.object({ id: z.string(), event: z.string(), timeMs, subject: z.string() }),
    state: z.enum(['waiting', 'delivered', 'given-up']),
    attempts: z.array(z.object({ timeMs, reason: z.string().optional() })),
    createdMs: timeMs,
    nextMs: timeMs.optional(),
  })
  .meta({ id: 'Delivery' })
