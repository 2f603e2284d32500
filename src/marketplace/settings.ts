import { z } from 'zod'

/** What this node does for others' marketplaces. */
export const marketplaceSettingsSchema = z.strictObject({
  hub: z
    .enum(['token', 'open', 'off'])
    .default('token')
    .describe(
      "the predecessor's marketplace files below /hub/api: with the token, open to whoever reaches the API, or off",
    ),
  hubStrangers: z
    .enum(['federations', 'all'])
    .default('federations')
    .describe(
      'what of strangers stands in these files, whose readers cannot say whom they mean: their federations, or also the tools and pipelines that are known for a day and contested by nobody',
    ),
})
