/**
 * The predecessor's marketplace: three files below one address, each an array (protocols/marketplace.md §9). Read from
 * others as offers, entry by entry, so that one bad entry spoils nothing; and written of listings, so that an old
 * installer can use any node as its marketplace. Pure.
 */
import { z } from 'zod'
import { messageOf, NodeError } from '../base/errors.ts'
import { hubBytesMax, hubEntriesMax, importEntriesOfMarketMax } from '../base/limits.ts'
import { type PipelineStep, parsePipeline, pipelineSchema } from '../execution/catalogue/pipeline.ts'
import { oneOfEachName, type StandingOf, uncontested } from './choosing.ts'
import { type HeldListing, type Listing, type ListingBody, parseOffer } from './listing.ts'

/** What each file is called, and what is in it. */
export const MARKET_FILES = {
  'federations.json': 'federation',
  'tools.json': 'tool',
  'pipelines.json': 'pipeline',
} as const
export type MarketFile = keyof typeof MARKET_FILES
export type MarketKind = (typeof MARKET_FILES)[MarketFile]

/** An offer that has been checked. */
export type CheckedOffer = Pick<Listing, 'kind' | 'name' | 'description'> & { readonly body: ListingBody }

export interface ReadFile {
  readonly offers: readonly CheckedOffer[]
  /** Entries that cannot be used, as people find them, and why. */
  readonly leftOut: readonly { readonly entry: string; readonly why: string }[]
}

/** What programs wrote for nothing, and what they wrote as nothing. */
const text = z
  .string()
  .nullish()
  .transform((value) => value?.trim() ?? '')
const entrySchemas = {
  federation: z.object({ name: z.string(), description: text, contacts: z.array(z.string()).nullish() }),
  tool: z.object({
    ...{ name: z.string(), author: text, image: z.string() },
    ...{ data_repo: text, code_repo: text, artefact: text, description: text },
  }),
  pipeline: z.object({ name: z.string(), description: text, steps: z.unknown() }),
} as const

/**
 * Reads one of the three files.
 *
 * @throws NodeError INVALID_INPUT when it is no array at all, TOO_LARGE when it has more entries than a node looks at.
 */
export function readMarketFile(kind: MarketKind, json: string): ReadFile {
  const entries = entriesIn(kind, json)
  const offers: CheckedOffer[] = []
  const leftOut: { entry: string; why: string }[] = []
  const names = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    try {
      const offer = offerOf(kind, entry)
      if (names.has(offer.name)) throw new NodeError('INVALID_INPUT', 'an earlier entry has this name')
      names.add(offer.name)
      offers.push(offer)
    } catch (error) {
      leftOut.push({ entry: placeOf(index, entry), why: messageOf(error) })
    }
  }
  return { offers, leftOut }
}

function entriesIn(kind: MarketKind, json: string): unknown[] {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new NodeError(
      'INVALID_INPUT',
      `The file of ${kind}s is no JSON: ${messageOf(cause)}`,
      {},
      { cause },
    )
  }
  if (!Array.isArray(value)) {
    throw new NodeError('INVALID_INPUT', `The file of ${kind}s holds no array, as the predecessor's does`)
  }
  if (value.length <= importEntriesOfMarketMax) return value
  const message = `The file of ${kind}s has ${value.length} entries; at most ${importEntriesOfMarketMax} are looked at, so split it`
  throw new NodeError('TOO_LARGE', message)
}

function offerOf(kind: MarketKind, entry: unknown): CheckedOffer {
  const parsed = entrySchemas[kind].safeParse(entry)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.') || 'entry'}: ${issue.message}`,
    )
    throw new NodeError('INVALID_INPUT', problems.join('; '), { problems })
  }
  const { name, description, ...rest } = parsed.data
  if ('steps' in rest) {
    const { pipeline } = parsePipeline({ steps: rest.steps })
    return parseOffer({ kind, name, description, body: { steps: pipeline.steps } })
  }
  // What is empty says nothing, and `contacts` may be missing.
  const said = Object.entries(rest).filter(([, value]) => value !== '' && value != null)
  return parseOffer({ kind, name, description, body: Object.fromEntries(said) })
}

function placeOf(index: number, entry: unknown): string {
  const name = z.object({ name: z.string() }).safeParse(entry).data?.name
  return name === undefined ? `entry ${index + 1}` : `entry ${index + 1} (${name.slice(0, 80)})`
}

export interface WritingHow {
  /** With the listing's other fields, who lists it and what that author is to this node: so everybody's are there. */
  readonly more?: boolean
  /** Now, where strangers' tools and pipelines are given to those who cannot ask for more; ms. */
  readonly strangersAtMs?: number | undefined
}

/**
 * One file as an old installer reads it: each name once, the predecessor's fields and no other. Such an installer cannot
 * say whose tool it means, so that it is given none of a stranger's without this node's owner having said so
 * (`uncontested`). What it would do otherwise than it is meant is left out, and so is what goes beyond the bounds of a
 * file: those whom this node knows least, whatever the names.
 */
export function writeMarketFile(
  kind: MarketKind,
  listings: readonly HeldListing[],
  standingOf: StandingOf,
  { more = false, strangersAtMs }: WritingHow = {},
): Record<string, unknown>[] {
  const entries: Record<string, unknown>[] = []
  let bytes = 0
  for (const listing of oneOfEachName(given(), standingOf)) {
    const old = entryOf(kind, listing)
    if (old === undefined) continue
    const { author } = listing
    // The predecessor's words stand where it looks for them, whatever else a listing says.
    const entry = more ? { ...listing.body, ...old, listed_by: author, standing: standingOf(author) } : old
    bytes += JSON.stringify(entry).length
    if (entries.length >= hubEntriesMax || bytes > hubBytesMax) break
    entries.push(entry)
  }
  return entries.sort((a, b) => (String(a.name) < String(b.name) ? -1 : 1))

  function given(): readonly HeldListing[] {
    // A federation is only read of, and joined by a person who writes to its contacts.
    if (more || kind === 'federation') return listings
    if (strangersAtMs !== undefined) return uncontested(listings, standingOf, strangersAtMs)
    return listings.filter(({ author }) => standingOf(author) !== 'stranger')
  }
}

function entryOf(
  kind: MarketKind,
  { name, description, body }: HeldListing,
): Record<string, unknown> | undefined {
  if (kind === 'federation') {
    return { name, description, contacts: z.array(z.string()).catch([]).parse(body?.contacts) }
  }
  if (kind === 'tool') {
    const { author, image, data_repo, code_repo, artefact } = entrySchemas.tool.parse({ ...body, name })
    return { name, author, image, data_repo, code_repo, artefact, description }
  }
  const steps = pipelineSchema.shape.steps.safeParse(body?.steps)
  if (!steps.success || steps.data.some(saysMore)) return undefined
  return { name, description, steps: steps.data.map(oldStep) }
}

/** Whether a step means something that the predecessor would not have done: it would run it as if that were not said. */
function saysMore({ network, layout, inputs, filter, publish }: PipelineStep): boolean {
  return [network, layout, inputs, filter, publish].some((field) => field !== undefined)
}

function oldStep(step: PipelineStep): object {
  const { name, tool, cmd, env, docker_socket, input_dataset, output_dataset } = step
  return { name, tool, cmd, env, docker_socket, input_dataset, output_dataset }
}
