import { type Command, Option } from 'commander'
import { z } from 'zod'
import { memberSchema, petitionSchema, requestSchema } from '../api/federation-views.ts'
import { listingSchema } from '../api/market-views.ts'
import { NodeError } from '../base/errors.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { ROLES } from '../federation/keyspace.ts'
import { gather } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { article, endedText } from './federation-words.ts'
import { untilOption } from './moments.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

type OwnRequest = z.output<typeof petitionSchema>

interface RequestOptions {
  address?: string[]
  listing?: string
  author?: string
  id?: string
  message?: string
  contact?: string
  wait?: boolean
  status?: boolean
  withdraw?: boolean
}

export function requestCommands(federation: Command, act: Act): void {
  federation
    .command('request')
    .description('ask a federation to admit this node; it asks again by itself until that is decided')
    .option('--address <address>', 'where a member answers: /ip4/…/tcp/…/p2p/12D3Koo… (repeatable)', gather)
    .option('--listing <name>', 'a federation of the marketplace')
    .option('--author <peer>', 'which listing, when several have the name')
    .option('--id <federation>', 'id of the federation; the answer of another is not taken')
    .option('--message <text>', 'what the operators read')
    .option('--contact <text>', 'how they can reach you')
    .option('--wait', 'wait until it is decided')
    .option('--status', 'only tell how it stands')
    .option('--withdraw', 'take it back')
    .action(
      act(async (session, options: RequestOptions) => {
        const client = await session.connect()
        if (options.withdraw === true) {
          await client.delete('/federation/request')
          session.out.result({ state: 'none' }, () => 'This node asks no more.')
          return
        }
        let own =
          options.status === true
            ? await client.get('/federation/request', petitionSchema)
            : await client.post('/federation/request', petitionSchema, await wishOf(client, options))
        while (options.wait === true && isOpen(own)) {
          await delay(clientPollMs)
          own = await client.get('/federation/request', petitionSchema)
        }
        // Who asks how it stands is answered; who asks to be let in and is not has failed.
        if (options.wait === true || (options.status !== true && !isOpen(own))) refuseUnlessApproved(own)
        session.out.result(own, () => ownText(own))
      }),
    )

  federation
    .command('requests')
    .description('list who asks to be admitted')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const requests = await client.get('/federation/requests', z.array(requestSchema))
        session.out.result(requests, () => {
          const rows = requests.map((request) => {
            const { name, message, contact, askedMs, denied, formerly, peer, disputedBy } = request
            const disputed = disputedBy.length === 0 ? '' : ` (${disputedBy.join(', ')} heard other words)`
            const past = formerly === undefined ? '' : ` (was a member: ${formerly})`
            const state =
              denied === undefined
                ? `open${past}${disputed}`
                : `denied: ${denied.reason || 'no reason given'}`
            return [name, state, timeText(askedMs), contact || '-', message || '-', peer]
          })
          return session.out.table(['name', 'state', 'asked', 'contact', 'message', 'peer'], rows)
        })
      }),
    )

  federation
    .command('approve <request>')
    .description('admit who asks, by name or peer id')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES))
    .option('--until <moment>', 'when its membership ends by itself, such as 90d or 2027-01-31', untilOption)
    .action(
      act(async (session, request: string, options: { role?: string; until?: number }) => {
        const client = await session.connect()
        const path = `/federation/requests/${encodeURIComponent(request)}/approve`
        const member = await client.post(path, memberSchema, options)
        session.out.result(member, () => `${member.name} is ${article(member.role)} ${member.role} now.`)
      }),
    )

  federation
    .command('deny <request>')
    .description('deny a request, by name or peer id')
    .option('--reason <text>', 'what who asks is told')
    .action(
      act(async (session, request: string, options: { reason?: string }) => {
        const client = await session.connect()
        const path = `/federation/requests/${encodeURIComponent(request)}/deny`
        const denied = await client.post(path, requestSchema, options)
        session.out.result(denied, () => `The request of ${denied.name} is denied.`)
      }),
    )
}

const contactable = z.looseObject({
  federation: z.string().optional(),
  addresses: z.array(z.string()).default([]),
})

async function wishOf(client: ApiClient, options: RequestOptions) {
  const { address, listing, author, id, message, contact } = options
  const said = { message, contact }
  if (listing === undefined) return { ...said, addresses: address, federation: id }
  const query = author === undefined ? {} : { author }
  const listed = await client.get(`/market/federation/${encodeURIComponent(listing)}`, listingSchema, query)
  const { federation, addresses } = contactable.parse(listed.body)
  return { ...said, addresses: [...(address ?? []), ...addresses], federation: id ?? federation }
}

function isOpen({ state }: OwnRequest): boolean {
  return state === 'asking' || state === 'pending'
}

/** @throws NodeError REQUEST_DENIED */
function refuseUnlessApproved({ state, reason, federationName }: OwnRequest): void {
  if (state === 'approved') return
  const where = federationName ?? 'The federation'
  const why = reason === undefined || reason === '' ? 'no reason was given' : reason
  throw new NodeError('REQUEST_DENIED', `${where} does not admit this node: ${why}`, { state })
}

/** How a request stands, for people. Pure. */
export function ownText(own: OwnRequest): string {
  const { state, role = 'member', federationName, reason, contacts, askedMs } = own
  const where = federationName ?? 'The federation'
  const why = reason === undefined || reason === '' ? '' : `: ${reason}`
  const whom = contacts.length === 0 ? '' : ` Questions: ${contacts.join(', ')}.`
  switch (state) {
    case 'approved':
      return `This node is ${article(role)} ${role} of ${federationName ?? 'its federation'}.`
    case 'ended':
      return `This node was a member of ${federationName ?? 'its federation'}; ${endedText(own)}.`
    case 'pending':
      return `${where} knows of the request; an operator is to decide.${whom} This node asks again by itself (last at ${timeText(askedMs)}).`
    case 'asking':
      return `Nobody has taken the request yet${why}. This node asks again by itself.`
    case 'denied':
      return `${where} has denied the request${why}.`
    case 'refused':
      return `${where} takes no requests${why}.`
    default:
      return 'This node has made no request.'
  }
}
