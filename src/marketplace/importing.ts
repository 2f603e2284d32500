/** Takes one of the predecessor's files over: as listings of this node, or straight into its federation. */
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { StandingOf } from './choosing.ts'
import type { InstallWish } from './install-plan.ts'
import { type InstallingParts, install } from './installing.ts'
import type { HeldListing } from './listing.ts'
import type { Marketplace } from './marketplace.ts'
import type { CheckedOffer, ReadFile } from './predecessor.ts'

export interface Imported {
  /** What was taken over. */
  readonly names: readonly string[]
  readonly leftOut: ReadFile['leftOut']
}

/** Lists everything in the file as this node's. What there is no room for is left out and named. */
export function importAsListings(file: ReadFile, market: Pick<Marketplace, 'publish'>): Promise<Imported> {
  return each(file, async (offer) => void (await market.publish(offer)))
}

/**
 * Registers the tools or pipelines of a file. Pipelines bring no tools with them, since these are another file; datasets
 * that are missing are made as `datasets` says.
 *
 * @throws NodeError INVALID_INPUT for federations, which are not registered in one.
 */
export function importIntoFederation(
  file: ReadFile,
  parts: Pick<InstallingParts, 'execution' | 'datasets'>,
  wish: Pick<InstallWish, 'datasets' | 'shareNames'> = {},
): Promise<Imported> {
  if (file.offers.some(({ kind }) => kind === 'federation')) {
    const message = 'Federations cannot be registered in a federation; import them as listings (into=market)'
    throw new NodeError('INVALID_INPUT', message)
  }
  return each(file, async (offer) => {
    if (offer.kind === 'tool') return addTool(offer, parts)
    // Installed as if this node itself listed it: whoever imports has said that this is what is meant.
    const listing = asListing(offer)
    const listed: InstallingParts['listed'] = (kind) => (kind === 'pipeline' ? [listing] : [])
    const standingOf: StandingOf = () => 'own'
    await install({ ...wish, pipeline: offer.name }, { ...parts, listed, standingOf })
  })
}

async function addTool(
  { name, description, body }: CheckedOffer,
  { execution }: Pick<InstallingParts, 'execution'>,
): Promise<void> {
  const { service: _, ...said } = body
  const tool = { ...said, ...(description === '' ? {} : { description }) }
  const here = execution.tools.get(name)
  if (here !== undefined && here.value.image !== said.image) {
    const message = `the federation has a tool ${name} with another image, ${here.value.image}; "maoctl tool remove ${name}" takes it out`
    throw new NodeError('CONFLICT', message, { name })
  }
  if (here === undefined) await execution.addTool(name, { image: '', ...tool })
}

function asListing(offer: CheckedOffer): HeldListing {
  return { ...offer, author: '', version: 1, time: 0, expires: 0, heardMs: 0 }
}

async function each(file: ReadFile, take: (offer: CheckedOffer) => Promise<void>): Promise<Imported> {
  const names: string[] = []
  const leftOut = [...file.leftOut]
  for (const offer of file.offers) {
    try {
      await take(offer)
      names.push(offer.name)
    } catch (error) {
      // What is wrong with one entry is told of that one; a node that cannot write at all is told of at once.
      if (!isNodeError(error) || error.code === 'STORE_FAILED' || error.code === 'DISK_FULL') throw error
      leftOut.push({ entry: offer.name, why: messageOf(error) })
    }
  }
  return { names, leftOut }
}
