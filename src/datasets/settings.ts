import { z } from 'zod'

/** The part of the node's settings that is about datasets. */
export const datasetsSettingsSchema = z.strictObject({
  follow: z
    .enum(['all', 'chosen', 'none'])
    .default('all')
    .describe('which datasets of the federation this node copies; chosen: those named with "dataset follow"'),
})
export type DatasetsSettings = z.output<typeof datasetsSettingsSchema>
