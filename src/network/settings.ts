import { z } from 'zod'

/** The part of the node's settings that is about connections: how this node is reached, and how it finds others. */
export const networkSettingsSchema = z.strictObject({
  relay: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('relay for members that cannot be reached themselves; auto: an operator that can be reached'),
  relayed: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'keep places on relays so as to be reached through them; auto: listening beyond loopback, nothing announced',
    ),
  upnp: z
    .boolean()
    .default(true)
    .describe('ask the router to forward the port, when listening beyond loopback with nothing announced'),
  dht: z
    .boolean()
    .default(true)
    .describe('find federations and members in the distributed table of all nodes, and keep a part of it'),
})

export type NetworkSettings = z.output<typeof networkSettingsSchema>
