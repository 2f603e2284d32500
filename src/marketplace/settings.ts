import { z } from 'zod'

/** What this node does for others' marketplaces. */
export const marketplaceSettingsSchema = z.strictObject({
  hub: z
    .enum(['token', 'open', 'off'])
    .default('token')
    .describe(
      "the predecessor's marketplace files below /hub/api: with the token, open to whoever reaches the API, or off",
    ),
})
