/** What a member offers to the others' runs, as a record; and what this node's own record says. Pure. */
import { z } from 'zod'
import {
  offerBytesMax,
  offerDiskStepBytes,
  offerEnvironmentsMax,
  offerLabelCharactersMax,
  offerLabelsMax,
  offerPriceCharactersMax,
} from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import type { EngineState } from '../engines/engines.ts'
import type { OfferSettings, RemoteSettings } from './settings.ts'
import type { Facts } from './where.ts'

export const OFFERS_PREFIX = '/offers/'

const amount = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER)
const word = z.string().max(63)

export const environmentSchema = z.object({
  name: nameSchema,
  /** Which of the member's engines it is. */
  engine: word,
  cpus: amount,
  memoryBytes: amount,
  diskBytes: amount,
  gpus: amount,
  architecture: word,
  /** For people. */
  priceText: z.string().max(offerPriceCharactersMax),
  /** Runs of one member that may be at work at once. */
  runsMax: amount,
  stepTimeoutMsMax: amount,
  labels: z
    .record(nameSchema, z.string().max(offerLabelCharactersMax))
    .refine((labels) => Object.keys(labels).length <= offerLabelsMax),
})
export type Environment = z.output<typeof environmentSchema>

/** `/offers/<peer>`: only that peer may write it; it expires unless it is renewed. */
export const offerSchema = z
  .object({
    environments: z.array(environmentSchema).max(offerEnvironmentsMax),
    /** Whose runs the member takes. */
    accepts: z.enum(['none', 'operators', 'members']),
    timeMs: z.int().nonnegative(),
  })
  .refine((offer) => JSON.stringify(offer).length <= offerBytesMax, `at most ${offerBytesMax} bytes`)
export type Offer = z.output<typeof offerSchema>

/** The limits of whoever is accepted at least: what the offer says, everybody whom it is for gets. */
export function limitsOffered(remote: RemoteSettings): RemoteSettings['limits']['member'] {
  return remote.accept === 'operators' ? remote.limits.operator : remote.limits.member
}

/** What this node has to offer now; undefined where it takes nobody's runs, of which nobody needs a record. */
export function offerOf(p: {
  engines: readonly EngineState[]
  remote: RemoteSettings
  offer: OfferSettings
  /** Most that a step on this node gets, whoever asks. */
  step: {
    readonly cpus: number
    readonly memoryBytes: number
    readonly outputBytes: number
    readonly stepTimeoutMs: number
  }
  architecture: string
  timeMs: number
}): Offer | undefined {
  const { remote, offer, step, timeMs } = p
  if (remote.accept === 'none') return undefined
  const limits = limitsOffered(remote)
  const environments = p.engines
    .filter(({ up }) => up)
    .slice(0, offerEnvironmentsMax)
    .map((engine, index): Environment => {
      return {
        name: index === 0 ? offer.name : `${offer.name.slice(0, 58)}-${index + 1}`,
        engine: engine.id.slice(0, 63),
        cpus: Math.min(engine.cpus, limits.cpus, step.cpus),
        memoryBytes: Math.min(engine.memoryBytes, limits.memoryBytes, step.memoryBytes),
        diskBytes: diskOffered(engine.diskBytes, Math.min(limits.diskBytes, step.outputBytes)),
        gpus: Math.min(engine.gpus.length, limits.gpus),
        architecture: p.architecture,
        priceText: offer.priceText,
        runsMax: limits.runsMax,
        stepTimeoutMsMax: Math.min(step.stepTimeoutMs, limits.stepTimeoutMs),
        labels: offer.labels,
      }
    })
  return { environments, accepts: remote.accept, timeMs }
}

/** The most that a step gets, or, where less is free than that, the free space in steps. */
function diskOffered(freeBytes: number, mostBytes: number): number {
  if (freeBytes >= mostBytes) return mostBytes
  return Math.floor(freeBytes / offerDiskStepBytes) * offerDiskStepBytes
}

/** Whether two offers say the same, whenever they said it. */
export function isSameOffer(a: Offer | undefined, b: Offer | undefined): boolean {
  const said = (offer: Offer | undefined) => JSON.stringify({ ...offer, timeMs: 0 })
  return said(a) === said(b)
}

/** What predicates are held against. */
export function factsOf(
  environment: Environment,
  member: { readonly peer: string; readonly name: string },
  holds: (dataset: string) => boolean,
): Facts {
  const { cpus, memoryBytes, diskBytes, gpus, architecture, engine, labels } = environment
  const peers = [member.name, member.peer]
  return { cpus, memoryBytes, diskBytes, gpus, architecture, engine, labels, peers, holds }
}
