import { z } from 'zod'
import { HOUR_MS, MINUTE_MS } from '../../base/limits.ts'
import { isAllowedEntry } from '../../base/public-address.ts'

const allowedEntry = z
  .string()
  .trim()
  .refine(isAllowedEntry, 'an address, a range such as 10.1.0.0/16, or the name of a host')

/** Where steps may have their inputs from. */
export const inputsSettingsSchema = z.strictObject({
  allowedAddresses: z
    .array(allowedEntry)
    .default([])
    .describe(
      'addresses, ranges and host names that inputs may come from although they are private to this network',
    ),
  timeoutMs: z.int().min(1_000).default(HOUR_MS).describe('longest time that fetching one input may take'),
  idleTimeoutMs: z
    .int()
    .min(100)
    .default(MINUTE_MS)
    .describe('how long the server of an input may send nothing'),
  handleProxy: z
    .url({ protocol: /^https?$/ })
    .default('https://hdl.handle.net/api/handles')
    .describe('service that resolves DOIs and handles, asked as <this>/<identifier>'),
  caFile: z
    .string()
    .default('')
    .describe("certificates (PEM) that servers of inputs are checked with beside the system's"),
})
export type InputsSettings = z.output<typeof inputsSettingsSchema>
