import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { toolSchema } from '../execution/catalogue/tool.ts'
import { policySchema } from '../federation/federation-policy.ts'
import { ROLES } from '../federation/keyspace.ts'
import { notificationSchema } from '../monitoring/monitor.ts'
import { endedSchema, federationSchema } from './federation-views.ts'

export { federationSchema, invitationSchema, type MemberView, memberSchema } from './federation-views.ts'

/**
 * What the API says, as schemas: OpenAPI is generated from them, and the client of the command line reads answers
 * through the very same ones.
 */
const timeMs = z.int().describe('milliseconds since 1970')
const peer = z.string().describe('peer id')

export const statusSchema = z
  .object({
    node: z.object({
      name: nameSchema,
      peer,
      addresses: z.array(z.string()),
      connectedPeers: z.int(),
    }),
    federation: federationSchema
      .extend({
        members: z.int(),
        role: z.enum(ROLES).nullable(),
        policy: policySchema.optional(),
        ended: endedSchema.optional().describe('how the membership of this node ended'),
      })
      .nullable(),
  })
  .meta({ id: 'Status', description: 'this node, and its federation where it has one' })

/** An entry of the registry that carries a name: what it is, who wrote it, and whether others claim the name. */
function named<T extends z.ZodType>(id: string, value: T) {
  return z
    .object({
      name: z.string(),
      value,
      author: peer,
      timeMs,
      contested: z.boolean().describe('more than one member claims this name'),
    })
    .meta({ id })
}

export const toolViewSchema = named('Tool', toolSchema)

export const stepViewSchema = z.object({
  name: z.string(),
  tool: z.string(),
  cmd: z.array(z.string()).nullable(),
  env: z.record(z.string(), z.string()).nullable(),
  docker_socket: z.boolean(),
  input_dataset: z.string().nullable(),
  output_dataset: z.string(),
  network: z.string().optional(),
  root: z.string().optional(),
  layout: z.string().optional(),
  inputs: z.array(z.record(z.string(), z.string().optional())).optional(),
  resources: z.record(z.string(), z.number().optional()).optional(),
  timeoutMs: z.int().optional(),
  filter: z
    .object({
      tool: z.string(),
      cmd: z.array(z.string()).nullable(),
      env: z.record(z.string(), z.string()).nullable(),
    })
    .optional(),
  publish: z.array(z.string()).optional(),
  keepMs: z.int().optional(),
})

export const pipelineViewSchema = named(
  'Pipeline',
  z.object({ description: z.string().optional(), steps: z.array(stepViewSchema) }),
)

export const notificationViewSchema = named('Notification', notificationSchema)

export type Status = z.output<typeof statusSchema>
