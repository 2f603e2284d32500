import { z } from 'zod'
import { barredRangesMax, enginesMax, nameserversMax } from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'

/** Docker's own port for TLS. */
const TLS_PORT = 2376
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/

const capacitySchema = z.strictObject({
  cpus: z.number().min(0).default(0).describe('processors that runs may take; 0: all of the machine'),
  memoryBytes: z.int().min(0).default(0).describe('memory that runs may take; 0: all of the machine'),
  diskBytes: z
    .int()
    .min(0)
    .default(0)
    .describe("disk that runs may take; 0: that of the node's data directory, through which outputs pass"),
  gpus: z
    .array(z.string().min(1))
    .default([])
    .describe('devices that are given to one run at a time, such as nvidia:0'),
})

/** One container engine. What it leaves out is that of an engine on this machine that is nobody else's. */
const engineSchema = z
  .strictObject({
    socketPath: z.string().min(1).optional().describe('socket of an engine on this machine'),
    host: z.string().min(1).optional().describe('machine of an engine that is reached over TLS'),
    port: z.int().min(1).max(65_535).default(TLS_PORT),
    caFile: z.string().min(1).optional().describe("certificates (PEM) that the engine's is checked with"),
    certFile: z.string().min(1).optional().describe('certificate (PEM) with which the node is let in'),
    keyFile: z.string().min(1).optional().describe('private key (PEM) of that certificate'),
    capacity: capacitySchema.prefault({}),
    sharedDirectory: z
      .boolean()
      .optional()
      .describe("whether the node's data directory lies at the same path there; else files are carried"),
    labels: z
      .record(nameSchema, z.string().max(200))
      .default({})
      .describe('what people tell of the machine, for placing runs'),
    swarm: z
      .enum(['auto', 'never'])
      .default('auto')
      .describe('whether steps become jobs of the swarm where this engine manages one'),
    swarmGuarded: z
      .boolean()
      .default(false)
      .describe(
        'the operator vouches that all machines of the swarm run dockerd with no-new-privileges, without a default bridge, and have no swap',
      ),
    networkGuarded: z
      .boolean()
      .default(false)
      .describe('the operator vouches that bridged steps there reach no neighbour'),
  })
  .superRefine((engine, context) => {
    const complain = (message: string) => context.addIssue({ code: 'custom', message })
    const { socketPath, host, caFile, certFile, keyFile } = engine
    if (socketPath !== undefined && host !== undefined) complain('an engine has a socketPath or a host')
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined)
    if (host === undefined) {
      if (files.length > 0) complain('certificates are for an engine that has a host')
    } else if (files.length > 0 ? files.length < 3 : !LOOPBACK.test(host)) {
      complain(
        'an engine on another machine is reached over TLS alone, since whoever reaches it owns that machine: name caFile, certFile and keyFile (docs.docker.com/engine/security/protect-access tells how they are made)',
      )
    }
  })
export type EngineSettings = z.output<typeof engineSchema>

const ADDRESS = '(?:\\d{1,3}\\.){3}\\d{1,3}'
const rangeSchema = z
  .string()
  .regex(new RegExp(`^${ADDRESS}(?:/(?:[12]?\\d|3[0-2]))?$`), 'a range looks like 130.92.0.0/16')
const addressSchema = z.string().regex(new RegExp(`^${ADDRESS}$`), 'an address looks like 130.92.9.52')

/** The part of the node's settings that is about container engines. */
export const dockerSettingsSchema = z.strictObject({
  socketPath: z.string().min(1).default('/var/run/docker.sock').describe('socket of the Docker engine'),
  engines: z
    .record(nameSchema, engineSchema)
    .default({})
    .refine((engines) => Object.keys(engines).length <= enginesMax, `at most ${enginesMax} engines`)
    .superRefine((engines, context) => {
      for (const [name, { socketPath, host }] of Object.entries(engines)) {
        if (name === LOCAL_ENGINE || socketPath !== undefined || host !== undefined) continue
        context.addIssue({ code: 'custom', path: [name], message: 'an engine has a socketPath or a host' })
      }
    })
    .describe(
      'further container engines by name; local, which is that of docker.socketPath, may be told of too',
    ),
  bridge: z
    .strictObject({
      barredRanges: z
        .array(rangeSchema)
        .max(barredRangesMax)
        .default([])
        .describe('ranges that bridged steps do not reach, beside all private ones: your own public ones'),
      nameservers: z
        .array(addressSchema)
        .max(nameserversMax)
        .default([])
        .describe("name servers of bridged steps; empty: the machine's, of which they reach port 53 alone"),
    })
    .prefault({}),
})
export type DockerSettings = z.output<typeof dockerSettingsSchema>

/** The name of the engine of `docker.socketPath`. */
export const LOCAL_ENGINE = 'local'

/** An engine of this machine of which nothing is said. */
export function plainEngine(socketPath: string): EngineSettings {
  return engineSchema.parse({ socketPath })
}
