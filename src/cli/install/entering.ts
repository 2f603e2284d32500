/** Brings a node that runs into a federation, in the way that was chosen, and waits for the outcome. */
import { z } from 'zod'
import { federationSchema, petitionSchema } from '../../api/federation-views.ts'
import { type ListingView, listingSchema } from '../../api/market-views.ts'
import { type Status, statusSchema } from '../../api/views.ts'
import { NodeError } from '../../base/errors.ts'
import { clientPollMs, installMarketWaitMs, installPollMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import type { Questions } from '../ask.ts'
import type { ApiClient } from '../client.ts'
import { spanText } from '../output.ts'
import type { Session } from '../session.ts'
import type { Answers, Way } from './answers.ts'
import {
  federationsIn,
  identityText,
  isFederationId,
  type ListedFederation,
  unmistakable,
} from './which-federation.ts'

export interface Entering {
  readonly session: Session
  readonly questions: Questions
  readonly client: ApiClient
  readonly answers: Answers
  /** How long a decision on a request is waited for, ms. */
  readonly waitMs: number
}

/** What came of it: `member`, or `asked` where somebody is still to decide; `none` where nothing was to be done. */
export interface Entered {
  readonly state: 'member' | 'asked' | 'none'
  readonly federation?: string
  readonly words: string
}

/** @throws NodeError of the API: INVITATION_*, PEER_UNREACHABLE, REQUEST_DENIED …; LISTING_NOT_FOUND, CANCELLED */
export async function enter(entering: Entering): Promise<Entered> {
  const { client, answers } = entering
  const { way, name } = answers
  const { federation } = await client.get('/federation', statusSchema)
  if (federation !== null) {
    const words = `This node is in the federation ${federation.name} already.`
    return { state: 'member', federation: federation.name, words }
  }
  switch (way.kind) {
    case 'later':
      return { state: 'none', words: 'This node is in no federation yet.' }
    case 'alone':
      return create(client, name, { description: 'One node for itself' })
    case 'create':
      return create(client, way.name, {
        description: way.description,
        contacts: way.contacts,
        private: way.isPrivate,
      })
    case 'join': {
      const joined = await client.post('/federation/join', federationSchema, { token: way.token })
      return member(client, joined.name)
    }
    case 'request':
      return request(entering, way)
  }
}

async function create(client: ApiClient, name: string, more: object): Promise<Entered> {
  const created = await client.post('/federation', federationSchema, { name, ...more })
  const words = `The federation ${created.name} exists, and this node is its operator.`
  return { state: 'member', federation: created.name, words }
}

/** A member that has heard of its own admission: from then on its work counts. */
async function member(client: ApiClient, federation: string): Promise<Entered> {
  const deadline = Date.now() + installMarketWaitMs
  let status: Status = await client.get('/federation', statusSchema)
  while (status.federation?.role === null && Date.now() < deadline) {
    await delay(clientPollMs)
    status = await client.get('/federation', statusSchema)
  }
  const count = status.federation?.members ?? 1
  const words = `This node is a member of ${federation}, with ${count - 1} other${count === 2 ? '' : 's'}.`
  return { state: 'member', federation, words }
}

async function request(entering: Entering, way: Extract<Way, { kind: 'request' }>): Promise<Entered> {
  const { client, session, waitMs } = entering
  const { message, contact } = way
  const { state: before } = await client.get('/federation/request', petitionSchema)
  // Who has asked already goes on asking by itself.
  if (before !== 'asking' && before !== 'pending') {
    const to = way.addresses.length > 0 ? { addresses: way.addresses } : await chosenListing(entering, way)
    await client.post('/federation/request', petitionSchema, { ...to, message, contact })
  }
  const name = way.federation === '' ? 'the federation' : way.federation
  session.out.note(
    `${name} has been asked; waiting ${spanText(waitMs)} for a decision. Ctrl-C takes nothing back.`,
  )
  const deadline = Date.now() + waitMs
  for (;;) {
    const { federation } = await client.get('/federation', statusSchema)
    if (federation !== null) return member(client, federation.name)
    const asked = await client.get('/federation/request', petitionSchema)
    if (asked.state === 'denied' || asked.state === 'refused') {
      const { reason = 'no reason was given', contacts } = asked
      const people = contacts.length === 0 ? '' : `; ${contacts.join(', ')} may tell more`
      throw new NodeError('REQUEST_DENIED', `The request was ${asked.state}: ${reason}${people}`)
    }
    if (Date.now() >= deadline) break
    await delay(Math.min(installPollMs, waitMs))
  }
  const words = `${name} has been asked, and nobody has decided yet. This node goes on asking by itself; "maoctl federation request --status" tells how it stands.`
  return { state: 'asked', words }
}

/**
 * A federation of the marketplace, by its id, its name or chosen, once anybody was heard of.
 *
 * @throws NodeError LISTING_NOT_FOUND; CONFLICT naming the ids, where nobody is there to say which is meant; CANCELLED
 */
async function chosenListing(
  { client, session, questions }: Entering,
  { federation: wanted }: Extract<Way, { kind: 'request' }>,
): Promise<{ federation?: string; addresses: readonly string[] }> {
  const isNamed = wanted !== '' && !isFederationId(wanted)
  session.out.note(
    isNamed
      ? `Listening for ${spanText(installMarketWaitMs)} for all that list a federation ${wanted}; by its id it goes at once …`
      : 'Listening for federations on the marketplace …',
  )
  // Who is heard first is not who is meant: of a name all are waited for.
  const found = federationsIn(await heard(client, wanted, (all) => !isNamed && all.length > 0))
  const [first] = found
  if (first === undefined) {
    // Who knows its id may find its members without a listing.
    if (isFederationId(wanted)) return { federation: wanted, addresses: [] }
    const what = wanted === '' ? 'any federation' : `a federation named ${wanted}`
    const message = `Nobody was heard to list ${what}; name a node to hear of others through with --bootstrap ADDRESS, or nodes of the federation with --address ADDRESS`
    throw new NodeError('LISTING_NOT_FOUND', message)
  }
  const chosen = unmistakable(found, wanted) ?? (await choose(questions, found, wanted))
  const { name, description, federation, addresses, contacts } = chosen
  session.out.note(
    `${name}: ${description}\n  ${identityText(chosen)}\n  contacts: ${contacts.join(', ') || 'none named'}`,
  )
  return { ...(federation === undefined ? {} : { federation }), addresses }
}

function choose(
  questions: Questions,
  found: readonly ListedFederation[],
  wanted: string,
): Promise<ListedFederation> {
  if (wanted !== '' && !questions.areHeard) {
    const which = found.map(identityText).join('; ')
    const message = `It is not clear which federation ${wanted} is: ${which}. Ask its people for the id, and say --request ID`
    throw new NodeError('CONFLICT', message, { federations: found.map(({ federation }) => federation) })
  }
  return questions.choice({
    flag: '--request ID',
    message: wanted === '' ? 'Which federation?' : `Which federation ${wanted}? Its people can tell its id`,
    choices: found.map((each) => ({
      value: each,
      name: `${each.name}  ${each.federation?.slice(0, 16) ?? 'no id'}  ${each.description.slice(0, 60)}`,
      description: `${identityText(each)}; contacts: ${each.contacts.join(', ') || 'none named'}`,
    })),
  })
}

async function heard(
  client: ApiClient,
  wanted: string,
  isEnough: (listings: readonly ListingView[]) => boolean,
): Promise<ListingView[]> {
  const deadline = Date.now() + installMarketWaitMs
  const query = wanted === '' ? {} : isFederationId(wanted) ? { text: wanted } : { name: wanted }
  for (;;) {
    const all = await client.get('/market', z.array(listingSchema), { kind: 'federation', ...query })
    const listings = isFederationId(wanted) ? all.filter(({ body }) => body.federation === wanted) : all
    if (isEnough(listings) || Date.now() > deadline) return listings
    await delay(installPollMs)
  }
}
