/**
 * The chain of a dataset's certificates, from what it was founded with to its present truth, checked by nothing but
 * the genesis of the federation, a roll of sealed records and the certificates (protocols/verification.md §5). Pure.
 */
import { isQuorum } from '../quorum.ts'
import { type Broken, type Link, refusal } from './link.ts'
import type { Roll } from './roll.ts'

/** A link of which everything holds, and by how much. */
export interface HeldLink {
  readonly link: Link
  /** Keys whose confirmations counted. */
  readonly counted: readonly string[]
  /** How many nodes voted when it was opened, the electorate included. */
  readonly voters: number
}

/** Where a chain is broken, and by what. */
export interface ChainFailure extends Broken {
  readonly height: number
  /** Records of the roll that speak against the link. */
  readonly against?: readonly string[]
}

export interface ChainCheck {
  readonly held: readonly HeldLink[]
  readonly failure?: ChainFailure
}

export interface ChainOptions {
  /** The height that the first link has to have; 1 unless a part of a chain is looked at. */
  readonly fromHeight?: number
}

/**
 * Checks links in their order, up to the first that does not hold.
 *
 * @param links what is at each height, from the lowest; a certificate that was refused already is its reason.
 */
export function checkChain(
  links: readonly (Link | ChainFailure)[],
  roll: Roll,
  { fromHeight = 1 }: ChainOptions = {},
): ChainCheck {
  const held: HeldLink[] = []
  if (roll.ids().length > 1) {
    const reason = 'its roll has records of several datasets of this name'
    return { held, failure: { height: fromHeight, ...refusal('R9', reason) } }
  }
  for (const [at, link] of links.entries()) {
    const height = fromHeight + at
    if ('clause' in link) return { held, failure: link }
    const found = checkLink(link, { height, before: held.at(-1)?.link, roll })
    if ('clause' in found) return { held, failure: { height, ...found } }
    held.push(found)
  }
  return { held }
}

interface Place {
  readonly height: number
  /** The link below; there is none at the beginning. */
  readonly before: Link | undefined
  readonly roll: Roll
}

function checkLink(
  link: Link,
  { height, before, roll }: Place,
): HeldLink | (Broken & Pick<ChainFailure, 'against'>) {
  if (link.height !== height) return refusal('L1', `what stands here is of height ${link.height}`)
  if (before !== undefined && link.parent !== before.commit)
    return refusal('L2', `its parent is ${link.parent}, and the truth before it is ${before.commit}`)
  if (height === 1 && !roll.beganWith(link.parent)) {
    const began = link.parent ?? 'nothing'
    return refusal('L2', `it follows ${began}, which no record says that the dataset was founded with`)
  }
  if (before !== undefined && link.openedMs <= before.openedMs)
    return refusal('L3', 'its round was not opened later than that of the truth before it')
  if (link.openedMs < roll.foundedMs(link.openedMs))
    return refusal('L4', 'its round was opened before the dataset was founded')
  return checkQuorum(link, roll)
}

/** [R6] to [R9]: [C9] of voting.md by what was so when the round was opened. */
export function checkQuorum(link: Link, roll: Roll): HeldLink | (Broken & Pick<ChainFailure, 'against'>) {
  const { electorate, openedMs, signers } = link
  const stranger = electorate.find((key) => !roll.wasAdmitted(key, openedMs))
  if (stranger !== undefined)
    return refusal('R6', `${stranger} is in its electorate, and no record admits it by then`)
  const votes = signers.map((key) => ({ key, ...roll.voteOf(key, openedMs) }))
  const counted = votes.filter((one) => one.votes).map(({ key }) => key)
  const present = roll.votersAt(openedMs)
  const voters = new Set([...electorate.map((key) => roll.nodeOf(key)), ...present.keys()])
  // [R9] A node with two keys is one voter.
  const nodes = new Set(counted.map((key) => roll.nodeOf(key)))
  if (isQuorum(nodes.size, voters.size)) return { link, counted, voters: voters.size }
  const asked = new Set(electorate.map((key) => roll.nodeOf(key)))
  const beside = [...present].flatMap(([node, by]) => (asked.has(node) || by === undefined ? [] : [by]))
  const denied = votes.flatMap(({ votes, by }) => (votes || by === undefined ? [] : [by]))
  const reason = `${nodes.size} of those who voted then have confirmed it, which is not more than two thirds of ${voters.size}`
  return { ...refusal('C9', reason), against: [...beside, ...denied] }
}
