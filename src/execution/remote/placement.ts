/** Where a run may go, and in which order members are asked. Pure. */
import { createHash } from 'node:crypto'
import type { Environment, Offer } from './offer.ts'
import { factsOf } from './offer.ts'
import { failing, type Where } from './where.ts'

/** One of the other members, as this node knows it now. */
export interface Candidate {
  /** Peer id. */
  readonly peer: string
  readonly name: string
  readonly online: boolean
  readonly offer: Offer | undefined
  readonly holds: (dataset: string) => boolean
}

/** What whoever submits asks of the place. */
export interface PlaceAsked {
  readonly where?: Where
  /** Names or peer ids: nobody else is asked. */
  readonly on?: readonly string[]
  /** Only where the data of the run are. */
  readonly atData?: boolean
}

export interface Place {
  readonly peer: string
  readonly name: string
  /** How many of the run's datasets it holds. */
  readonly held: number
  /** The largest of its environments that fits, where it offers any. */
  readonly environment?: Environment
}

/** Why a member was not asked, or what it answered. */
export interface Refusal {
  readonly peer: string
  readonly name: string
  readonly code: string
  readonly reason: string
}

export interface Placement {
  /** The best first. */
  readonly places: readonly Place[]
  readonly refusals: readonly Refusal[]
}

/**
 * @param p.reads the datasets that the run reads.
 * @param p.isOperator whether whoever asks is one.
 */
export function placementOf(p: {
  request: string
  asked: PlaceAsked
  candidates: readonly Candidate[]
  reads: readonly string[]
  isOperator: boolean
}): Placement {
  const places: Place[] = []
  const refusals: Refusal[] = []
  for (const candidate of p.candidates) {
    const { peer, name } = candidate
    const result = fit(candidate, p)
    if (result === undefined) continue
    if (typeof result === 'string') refusals.push({ peer, name, code: 'NO_PLACE', reason: result })
    else places.push(result)
  }
  return { places: inOrder(places, p.request), refusals }
}

/** The place, or why it is none; undefined for a member that was not meant. */
function fit(candidate: Candidate, p: Parameters<typeof placementOf>[0]): Place | string | undefined {
  const { asked, reads, isOperator } = p
  const { peer, name, online, offer, holds } = candidate
  const named = asked.on?.some((one) => one === peer || one === name)
  if (asked.on !== undefined && named !== true) return undefined
  if (!online) return 'it is not there now'
  const held = reads.filter((dataset) => holds(dataset)).length
  if (asked.atData === true && held < reads.length) {
    return `it does not hold ${reads.filter((dataset) => !holds(dataset)).join(', ')}`
  }
  // Whoever is named is asked, whatever it has told the others: it answers for itself.
  if (offer === undefined) {
    return named === true && asked.where === undefined ? { peer, name, held } : 'it offers nothing'
  }
  if (offer.accepts === 'none') return 'it takes no runs of others'
  if (offer.accepts === 'operators' && !isOperator) return 'it takes the runs of operators only'
  const { where } = asked
  const fitting = offer.environments.filter((environment) => {
    return where === undefined || failing(where, factsOf(environment, candidate, holds)) === undefined
  })
  const [first] = offer.environments
  if (fitting.length > 0) {
    const environment = fitting.toSorted(byCapacity)[0]
    return { peer, name, held, ...(environment === undefined ? {} : { environment }) }
  }
  if (where === undefined || first === undefined) return 'none of its engines is up'
  return `its offer does not satisfy ${failing(where, factsOf(first, candidate, holds))}`
}

/**
 * Where most of the data live, first; then the largest; of equals, by rendezvous hashing of the request (Thaler &
 * Ravishankar 1998), so that many requests do not all go to one member.
 */
function inOrder(places: readonly Place[], request: string): Place[] {
  return places.toSorted((a, b) => {
    if (a.held !== b.held) return b.held - a.held
    const capacity = byCapacity(a.environment, b.environment)
    return capacity === 0 ? byWeight(a.peer, b.peer, request) : capacity
  })
}

/** What a member answered to the question whether it would take the run. */
export interface Answered extends Place {
  /** How many more of our runs could begin at once; below 1, as many wait before it. */
  readonly free: number
}

/** The same order once the members have said how much room there is now. */
export function inOrderOfAnswers(answers: readonly Answered[], request: string): Answered[] {
  return answers.toSorted((a, b) => {
    if (a.held !== b.held) return b.held - a.held
    if (a.free !== b.free) return b.free - a.free
    const capacity = byCapacity(a.environment, b.environment)
    return capacity === 0 ? byWeight(a.peer, b.peer, request) : capacity
  })
}

function byCapacity(a: Environment | undefined, b: Environment | undefined): number {
  const cpus = (b?.cpus ?? 0) - (a?.cpus ?? 0)
  return cpus === 0 ? (b?.memoryBytes ?? 0) - (a?.memoryBytes ?? 0) : cpus
}

function byWeight(a: string, b: string, request: string): number {
  return weigh(a, request) < weigh(b, request) ? 1 : -1
}

function weigh(peer: string, request: string): string {
  return createHash('sha256').update(`place\n${request}\n${peer}`).digest('hex')
}

/** What is told when nobody takes a run. */
export function nobodyText(refusals: readonly Refusal[], asked: Pick<PlaceAsked, 'on'>): string {
  if (refusals.length > 0) {
    return `No member takes the run: ${refusals.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`
  }
  return asked.on === undefined
    ? 'No member takes the run: there is no other member in the federation'
    : `No member takes the run: none is named ${asked.on.join(' or ')}`
}
