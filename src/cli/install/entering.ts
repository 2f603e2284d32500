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
import { shortId, spanText } from '../output.ts'
import type { Session } from '../session.ts'
import type { Answers, Way } from './answers.ts'

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

const contactsSchema = z.object({
  federation: z.string().optional(),
  contacts: z.array(z.string()).catch([]).default([]),
  addresses: z.array(z.string()).catch([]).default([]),
})

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

/** A federation of the marketplace, by its name or chosen, once anybody was heard of. */
async function chosenListing(
  entering: Entering,
  way: Extract<Way, { kind: 'request' }>,
): Promise<{ federation?: string; addresses: string[] }> {
  const { client, session, questions } = entering
  session.out.note('Listening for federations on the marketplace …')
  const listings = await heard(client, (all) => named(all, way.federation).length > 0)
  const found = named(listings, way.federation)
  if (found.length === 0) {
    // Who knows its id may find its members without a listing.
    if (/^mao[a-z2-7]{20,}$/.test(way.federation)) return { federation: way.federation, addresses: [] }
    const what = way.federation === '' ? 'any federation' : `a federation named ${way.federation}`
    const message = `Nobody was heard to list ${what}; name a node to hear of others through with --bootstrap ADDRESS, or nodes of the federation with --address ADDRESS`
    throw new NodeError('LISTING_NOT_FOUND', message)
  }
  const [only] = found
  const chosen =
    way.federation !== '' && found.length === 1 && only !== undefined
      ? only
      : await questions.choice({
          flag: '--request ID',
          message: 'Which federation?',
          choices: found.map((listing) => ({ value: listing, ...wordsOf(listing) })),
        })
  const { federation, contacts, addresses } = contactsSchema.parse(chosen.body)
  session.out.note(
    `${chosen.name}: ${chosen.description}\n  contacts: ${contacts.join(', ') || 'none named'}`,
  )
  return { ...(federation === undefined ? {} : { federation }), addresses }
}

function wordsOf(listing: ListingView): { name: string; description: string } {
  const { contacts } = contactsSchema.parse(listing.body)
  const people = contacts.length === 0 ? `listed by ${shortId(listing.author)}` : contacts.join(', ')
  return { name: `${listing.name}  ${listing.description.slice(0, 80)}`, description: people }
}

function named(listings: readonly ListingView[], wanted: string): ListingView[] {
  if (wanted === '') return [...listings]
  return listings.filter(({ name, body }) => name === wanted || body.federation === wanted)
}

async function heard(
  client: ApiClient,
  isEnough: (listings: readonly ListingView[]) => boolean,
): Promise<ListingView[]> {
  const deadline = Date.now() + installMarketWaitMs
  for (;;) {
    const listings = await client.get('/market', z.array(listingSchema), { kind: 'federation' })
    if (isEnough(listings) || Date.now() > deadline) return listings
    await delay(installPollMs)
  }
}
