/** What the API says of the registry and of those who share it, as schemas; see views.ts. */
import { z } from 'zod'
import { ROLES } from '../federation/keyspace.ts'

const timeMs = z.int().describe('milliseconds since 1970')
const peer = z.string().describe('peer id')
const revision = z.int().describe("this node's own counter of changes")
const digest = z.string().describe('SHA-256 over all records, hex')

/** A value as it can be told in JSON. */
const told = {
  value: z.unknown().optional().describe('as `encoding` says; left out where only keys were asked for'),
  encoding: z
    .enum(['json', 'text', 'base64'])
    .optional()
    .describe('json: what the bytes hold; text, base64: the bytes themselves'),
}

const shownKey = {
  key: z.string(),
  keyBase64: z.string().optional().describe('the bytes of a key that is no text'),
}

export const entrySchema = z
  .object({
    ...shownKey,
    kind: z.enum(['shared', 'local']).describe('held by every member, or by this node alone'),
    ...told,
    revision: revision.describe('of this version'),
    createdRevision: revision.describe('at which the key came to be there'),
    writes: z.int().describe('versions since then, as this node counted them'),
    lease: z
      .object({
        id: z.string().describe('hexadecimal, as etcdctl writes it'),
        ttlSeconds: z.int().optional(),
      })
      .optional(),
    author: peer.optional(),
    authorName: z.string().optional(),
    version: z.int().optional().describe("the record's own counter, which all members share"),
    timeMs: timeMs.optional().describe("by the author's clock, milliseconds since 1970"),
    expiresMs: timeMs.optional(),
    contested: z.boolean().describe('more than one member claims this key'),
  })
  .meta({ id: 'Entry', description: 'one key; of a past version that was replaced, the author is not known' })

export const entriesSchema = z
  .object({
    revision: revision.describe('as of which this was read'),
    total: z.int().describe('keys below the prefix; more than are told where there is a limit'),
    entries: z.array(entrySchema),
  })
  .meta({ id: 'Entries' })

export const claimSchema = z.object({
  author: peer,
  authorName: z.string().optional(),
  version: z.int(),
  timeMs,
  sinceMs: timeMs.describe('when its author first claimed the key'),
  expiresMs: timeMs.optional(),
  shown: z.boolean(),
  ...told,
})

export const entryDetailSchema = entrySchema
  .extend({
    claims: z.array(claimSchema).describe("every member's claim to a shared key, the shown one first"),
  })
  .meta({ id: 'EntryDetail' })

export const versionSchema = z.object({
  revision,
  type: z.enum(['put', 'delete']),
  timeMs: timeMs.optional().describe('when this node took it, where that is known: since it last started'),
  writes: z.int().optional(),
  ...told,
})

export const historySchema = z
  .object({
    ...shownKey,
    keptSince: revision.describe('versions that were replaced before this revision are gone'),
    revision: revision.describe('as of which this was read'),
    total: z.int(),
    versions: z.array(versionSchema).describe('oldest first; the newest of them where there is a limit'),
  })
  .meta({ id: 'KeyHistory' })

export const changeSchema = z.object({
  ...shownKey,
  type: z.enum(['put', 'delete']),
  ...told,
  valueBytes: z.int().optional().describe('in place of a value that is too large to be told on'),
  writes: z.int().optional(),
  author: peer.optional(),
  authorName: z.string().optional(),
  contested: z.boolean().optional(),
})

/** The events of a watch, by name. */
export const watchOpenSchema = z.object({ revision, keptSince: revision, from: revision })
export const watchChangesSchema = z.object({ revision, changes: z.array(changeSchema) })
export const watchCompactedSchema = z.object({ revision, keptSince: revision })

export const digestSchema = z
  .object({
    digest: digest.describe('nodes with equal digests hold the same records'),
    prefix: z.string(),
    revision,
    records: z.int().describe('tombstones and hidden claims included'),
    bytes: z.int().describe('of their sealed envelopes'),
    keptSince: revision,
  })
  .meta({ id: 'Digest' })

export const deletedSchema = z
  .object({ deleted: z.int(), revision: revision.describe('at which they went') })
  .meta({ id: 'Deleted' })

export const compactedSchema = z
  .object({
    keptSince: revision,
    revision,
    changed: z.boolean().describe('false where there was nothing to forget'),
  })
  .meta({ id: 'Compacted' })

const catchUpSchema = z.object({
  startedMs: timeMs,
  endedMs: timeMs.optional(),
  accepted: z.int(),
  refused: z.int(),
  pending: z.int().describe('records that the peer holds in the ranges that are still open'),
  done: z.boolean(),
  failure: z.string().optional(),
})

export const peerViewSchema = z
  .object({
    peer,
    name: z.string().optional().describe('of a member; a stranger has none'),
    role: z.enum(ROLES).optional(),
    connected: z.boolean(),
    connectedSinceMs: timeMs.optional(),
    lastSeenMs: timeMs.optional().describe('when it last said that it is there'),
    addresses: z.array(z.string()),
    version: z.string().optional(),
    catchUp: catchUpSchema.optional().describe('what this node pulled from it last, or pulls now'),
    registry: z.object({
      state: z.enum(['same', 'differs', 'unknown']).describe('beside the registry of this node'),
      digest: digest.optional(),
      seenMs: timeMs.optional().describe('when the peer said so'),
      sinceMs: timeMs.optional().describe('since when it differs'),
    }),
  })
  .meta({ id: 'Peer' })

export const peersSchema = z
  .object({
    digest,
    revision,
    records: z.int(),
    same: z.int().describe('members that hold what this node holds'),
    differing: z.int(),
    unknown: z.int().describe('members whose registry was not compared since this node started'),
    cluster: z
      .object({
        endpoints: z.array(z.string()).readonly(),
        connected: z.boolean(),
        revision: z.int().describe("the cluster's own, up to which this node follows"),
        sinceMs: timeMs,
        lastError: z.string().optional(),
      })
      .nullable()
      .describe('the etcd cluster that keeps the records, in strong mode'),
    peers: z.array(peerViewSchema).describe('members by name, then strangers that are connected'),
  })
  .meta({ id: 'Peers' })

export type EntryView = z.output<typeof entrySchema>
export type EntryDetail = z.output<typeof entryDetailSchema>
export type ClaimView = z.output<typeof claimSchema>
export type ChangeView = z.output<typeof changeSchema>
export type HistoryView = z.output<typeof historySchema>
export type VersionView = z.output<typeof versionSchema>
export type PeerView = z.output<typeof peerViewSchema>
export type PeersView = z.output<typeof peersSchema>
