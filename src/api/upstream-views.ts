import { z } from 'zod'
import { upstreamIntervalMaxMs, upstreamIntervalMinMs } from '../base/limits.ts'

/** What the API says of upstreams; see views.ts. */
const timeMs = z.int().describe('milliseconds since 1970')
const oid = z
  .string()
  .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
  .describe('id of a git object')
const url = z.string().describe('ssh://user@host[:port]/path, user@host:path or https://host[:port]/path')

const outcomeSchema = z
  .object({ timeMs, commit: oid.optional(), code: z.string().optional(), reason: z.string().optional() })
  .meta({
    id: 'UpstreamOutcome',
    description: 'how the last call ended: with a commit, or with a code and a reason',
  })

export const upstreamSchema = z
  .object({
    url,
    branch: z.string(),
    protocol: z.string(),
    host: z.string().describe('host, or [host]:port'),
    addresses: z
      .array(z.string())
      .readonly()
      .optional()
      .describe('what the name of the host stands for now, where that was asked for'),
    namedBy: z.string().describe('the member whose record names it'),
    agreed: z.boolean().describe("whether this node's owner has agreed to calls to just this one"),
    agreedTo: z
      .object({ url, branch: z.string() })
      .optional()
      .describe('what was agreed to before the record changed'),
    pullsTo: z.string().describe('the branch of this node that pulls go to'),
    commit: oid.optional().describe('where that branch is'),
    follow: z
      .object({
        everyMs: z.int(),
        push: z.boolean(),
        nextMs: timeMs,
        failures: z.int().describe('failures in a row'),
        stopped: z.string().optional().describe('why no call is made at present'),
      })
      .optional(),
    pulled: outcomeSchema.optional(),
    pushed: outcomeSchema.optional(),
  })
  .meta({
    id: 'Upstream',
    description: 'the git repository elsewhere that a dataset is pulled from and pushed to',
  })

export const upstreamNameSchema = z.strictObject({ url, branch: z.string().default('main') })

/** Naming the address is how an owner agrees to it. */
const agreeing = { url: url.optional().describe('agrees to calls to just this address') }

export const upstreamPullSchema = z.strictObject(agreeing)
export const upstreamPushSchema = z.strictObject({
  ...agreeing,
  branches: z.boolean().default(false).describe("also this node's own branches, as they are named"),
})
export const upstreamFollowSchema = z.strictObject({
  ...agreeing,
  everyMs: z
    .int()
    .min(upstreamIntervalMinMs, `at least ${upstreamIntervalMinMs / 1_000} s have to lie between two pulls`)
    .max(
      upstreamIntervalMaxMs,
      `at most ${upstreamIntervalMaxMs / 86_400_000} days may lie between two pulls`,
    ),
  push: z.boolean().default(false).describe('push after each pull'),
})
export const upstreamTrustSchema = z.strictObject({
  fingerprint: z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'a fingerprint looks like SHA256:… with 43 characters')
    .optional()
    .describe('the key to trust; without it nothing is changed, and the keys are told'),
})

export const pulledSchema = z
  .object({
    url,
    branch: z.string(),
    commit: oid,
    changed: z.boolean(),
    initial: z.boolean().describe('whether the dataset begins with it'),
  })
  .meta({ id: 'UpstreamPull' })

export const pushedSchema = z
  .object({
    url,
    branches: z
      .array(
        z.object({
          branch: z.string(),
          commit: oid,
          outcome: z.enum(['created', 'moved', 'up-to-date', 'refused']),
          reason: z.string().optional(),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'UpstreamPush' })

export const hostKeysSchema = z
  .array(
    z
      .object({
        type: z.string(),
        key: z.string(),
        fingerprint: z.string(),
        trusted: z.enum(['yes', 'no', 'other']).describe('other: this node trusts another key of this kind'),
      })
      .meta({ id: 'HostKey' }),
  )
  .describe('what the host shows, best first')

export const publicKeySchema = z.object({ publicKey: z.string().describe('a line of authorized_keys') })

export type UpstreamView = z.output<typeof upstreamSchema>
export type UpstreamOutcomeView = z.output<typeof outcomeSchema>
