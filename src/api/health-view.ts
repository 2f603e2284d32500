import { z } from 'zod'

export const healthSchema = z.object({
  status: z.literal('ok'),
  proof: z
    .string()
    .optional()
    .describe(
      "to a challenge: that whoever answers knows the owner's token, so that clients on this machine can tell the node from who took its port (HMAC-SHA-256)",
    ),
})
