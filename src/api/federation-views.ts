import { z } from 'zod'
import { contactLengthMax, descriptionLengthMax, foundersMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { contactsSchema, JOINING, policySchema } from '../federation/federation-policy.ts'
import type { Genesis } from '../federation/genesis.ts'
import { ROLES } from '../federation/keyspace.ts'
import { PETITION_STATES } from '../federation/petition.ts'

/** What the API says of federations: who belongs to them, who wants to, and by which rules. */
const timeMs = z.int().describe('milliseconds since 1970')
const peer = z.string().describe('peer id')
const person = z.object({ peer, name: z.string() })

export const memberSchema = z
  .object({
    peer,
    name: nameSchema,
    role: z.enum(ROLES),
    since: timeMs,
    until: timeMs.optional().describe('when the membership ends by itself'),
    connected: z.boolean().describe('whether this node has a connection to it now'),
    self: z.boolean(),
  })
  .meta({ id: 'Member' })

export const formerMemberSchema = z
  .object({ peer, name: z.string(), role: z.enum(ROLES), reason: z.string(), endedMs: timeMs })
  .meta({ id: 'FormerMember' })

export const federationSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    createdMs: timeMs,
    founder: person,
    founders: z.array(person).default([]),
    private: z.boolean().default(false).describe('strangers see nothing: the network asks for a key'),
  })
  .meta({ id: 'Federation' })

export const newFederationSchema = z.strictObject({
  name: nameSchema,
  description: z.string().max(descriptionLengthMax).default(''),
  contacts: contactsSchema.default([]).describe('mail addresses or pages of people who answer questions'),
  founders: z
    .array(z.strictObject({ peer: z.string().min(1).max(100), name: nameSchema }))
    .max(foundersMax - 1)
    .default([])
    .describe('further operators from the beginning'),
  join: z.enum(JOINING).default('invitation'),
  newcomers: z
    .enum(ROLES)
    .optional()
    .describe(
      'what somebody who comes in by asking may do; without a word a member, or an observer where join is open',
    ),
  operatorsNeeded: z
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('operators who must endorse a change of policy'),
  private: z.boolean().default(false),
})

export const endedSchema = z.object({ reason: z.string(), endedMs: timeMs })

export const invitationSchema = z
  .object({
    id: z.string(),
    token: z.string(),
    expiresMs: timeMs,
    role: z.enum(ROLES),
    until: timeMs.optional(),
    note: z.string(),
    warning: z.string().optional().describe('why the invitation may not be of use everywhere'),
  })
  .meta({ id: 'Invitation' })

export const issuedSchema = invitationSchema
  .omit({ token: true, warning: true })
  .extend({ usedBy: z.string().optional().describe('peer id, or the name of a member') })
  .meta({ id: 'IssuedInvitation' })

export const requestSchema = z
  .object({
    peer,
    name: z.string(),
    message: z.string(),
    contact: z.string(),
    askedMs: timeMs,
    denied: z.object({ reason: z.string(), atMs: timeMs }).optional(),
    by: z.string().describe('the member that was asked, or the operator who denied it'),
    disputedBy: z.array(z.string()).describe('members that keep other words of the same peer'),
    formerly: z.string().optional().describe('why an earlier membership of the peer ended'),
  })
  .meta({ id: 'MembershipRequest' })

export const petitionSchema = z
  .object({
    state: z
      .enum(['none', ...PETITION_STATES, 'approved', 'ended'])
      .describe(
        'asking: nobody has answered yet; refused: the federation takes no such requests; ended: this node was a member',
      ),
    role: z.enum(ROLES).optional().describe('as what this node was admitted'),
    endedMs: timeMs.optional(),
    federation: z.string().optional(),
    federationName: z.string().optional(),
    reason: z.string().optional().describe('why it is over, or why the last try failed'),
    contacts: z.array(z.string()).describe('whom to write to'),
    sinceMs: timeMs.optional(),
    askedMs: timeMs.optional().describe('when it was asked last'),
  })
  .meta({ id: 'OwnRequest' })

export const wishSchema = z.strictObject({
  federation: z.string().min(1).max(100).optional(),
  addresses: z.array(z.string().min(1).max(500)).max(32).optional(),
  message: z.string().max(1_000).default(''),
  contact: z.string().max(contactLengthMax).default(''),
})

export const policyViewSchema = z
  .object({
    sequence: z.int().describe('how often it was changed'),
    policy: policySchema,
    needed: z.int().describe('operators who must endorse the next change'),
    private: z.boolean(),
    proposals: z.array(
      z.object({
        id: z.string().describe('by which it is endorsed'),
        policy: policySchema,
        endorsedBy: z.array(z.string()),
      }),
    ),
  })
  .meta({ id: 'FederationPolicy' })

export type FederationView = z.output<typeof federationSchema>
export type MemberView = z.output<typeof memberSchema>

export function federationView(genesis: Genesis): FederationView {
  const { federation: id, name, description, createdMs, founder, founders } = genesis
  return { id, name, description, createdMs, founder, founders: [...founders], private: genesis.private }
}
