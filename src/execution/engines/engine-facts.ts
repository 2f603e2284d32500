import { z } from 'zod'

/** How the neighbours of bridged steps are kept out of reach. */
export interface GuardState {
  /** `ready`: they will be with the first such step. */
  readonly bridge: 'guarded' | 'ready' | 'vouched' | 'refused'
  /** Why such steps are refused. */
  readonly why?: string
  /** What an operator runs on the machine of the engine before vouching for it. */
  readonly commands?: readonly string[]
}

/** What an engine tells of itself and of its machine. */
export interface EngineFacts {
  /** `swarm`: steps become jobs of a swarm where its machines can hold them to their box. */
  readonly kind: 'docker' | 'swarm'
  readonly version: string
  readonly cpus: number
  readonly memoryBytes: number
  /** Machines on which steps may run. */
  readonly machines: number
  /** What an operator should know, such as why a swarm is not used. */
  readonly note?: string
  readonly network: GuardState
  /** Whether this engine is an active manager of a swarm, and which machine of it. */
  readonly swarm?: { readonly node: string; readonly machines: number }
}

const infoSchema = z.object({
  ServerVersion: z.string(),
  NCPU: z.number(),
  MemTotal: z.number(),
  Swarm: z
    .object({
      NodeID: z.string().default(''),
      ControlAvailable: z.boolean().default(false),
      Nodes: z.number().default(1),
    })
    .partial()
    .nullish(),
})

/** @param info the engine's answer to `GET /info`. Pure. */
export function factsOf(info: unknown, network: GuardState): EngineFacts {
  const { ServerVersion: version, NCPU: cpus, MemTotal: memoryBytes, Swarm } = infoSchema.parse(info)
  const facts = { kind: 'docker' as const, version, cpus, memoryBytes, machines: 1, network }
  if (Swarm?.ControlAvailable !== true) return facts
  return { ...facts, swarm: { node: Swarm.NodeID ?? '', machines: Swarm.Nodes ?? 1 } }
}
