import { Argument, type Command, Option } from 'commander'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { type ListingView, listingSchema } from '../api/market-views.ts'
import { pipelineViewSchema, statusSchema, toolViewSchema } from '../api/views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { LISTING_KINDS, type ListingKind } from '../marketplace/listing.ts'
import { gather } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { textOf } from './files.ts'
import { type Output, type Pair, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

interface Looking {
  kind?: ListingKind
  name?: string
  author?: string
}

interface Publishing {
  description?: string
  file?: string
  contact?: string[]
}

const kindArgument = () => new Argument('<kind>', 'what is offered').choices(LISTING_KINDS)
const kindOption = () => new Option('--kind <kind>', 'only these').choices(LISTING_KINDS)

export function marketCommands(program: Command, act: Act): void {
  const market = program
    .command('market')
    .description('what nodes anywhere offer: federations, tools, pipelines, datasets')

  const look = async (session: Session, query: Looking & { text?: string }) => {
    const client = await session.connect()
    const listings = await client.get('/market', z.array(listingSchema), { ...query })
    session.out.result(listings, () => {
      const rows = listings.map((listing) => {
        const { kind, name, author, own, renewedMs, description } = listing
        return [kind, name, own ? 'this node' : author, timeText(renewedMs), description.split('\n')[0] ?? '']
      })
      return session.out.table(['kind', 'name', 'author', 'renewed', 'description'], rows)
    })
  }

  market
    .command('list')
    .description('list what this node has heard of')
    .addOption(kindOption())
    .option('--name <name>', 'only of this name')
    .option('--author <peer>', 'only by this node')
    .action(act(look))

  market
    .command('search <words...>')
    .description('list what has every one of the words in it')
    .addOption(kindOption())
    .action(
      act((session, words: string[], { kind }: Looking) => {
        return look(session, { text: words.join(' '), ...(kind === undefined ? {} : { kind }) })
      }),
    )

  market
    .command('show')
    .addArgument(kindArgument())
    .argument('<name>')
    .description('show one listing')
    .option('--author <peer>', 'whose, where several use the name')
    .action(
      act(async (session, kind: ListingKind, name: string, { author }: Looking) => {
        const client = await session.connect()
        const listing = await client.get(pathOf(kind, name), listingSchema, { author })
        session.out.result(listing, () => render(session.out, listing))
      }),
    )

  market
    .command('publish')
    .addArgument(kindArgument())
    .argument('<name>')
    .description('list something for everybody, or anew with other words')
    .option('--description <text>', 'what it is and whom it is for')
    .option(
      '-f, --file <file>',
      'what is offered, as YAML or JSON; - reads standard input; default: what the federation has of this name',
    )
    .option('--contact <text>', 'for a federation: whom to write to (repeatable)', gather)
    .action(act(publish))

  market
    .command('withdraw')
    .addArgument(kindArgument())
    .argument('<name>')
    .description('take back a listing of this node, everywhere')
    .action(
      act(async (session, kind: ListingKind, name: string) => {
        const client = await session.connect()
        await client.delete(pathOf(kind, name))
        session.out.result({ withdrawn: { kind, name } }, () => `The ${kind} ${name} is listed no longer.`)
      }),
    )
}

async function publish(session: Session, kind: ListingKind, name: string, options: Publishing) {
  const client = await session.connect()
  const { file, contact } = options
  if (contact !== undefined && kind !== 'federation') {
    throw new NodeError('INVALID_INPUT', `A ${kind} has no contacts; --contact is for federations`)
  }
  const found = file === undefined ? await ours(client, kind, name) : { body: await bodyIn(session, file) }
  const description = options.description ?? found.description
  const body = contact === undefined ? found.body : { ...found.body, contacts: contact }
  const listing = await client.post('/market', listingSchema, { kind, name, description, body })
  session.out.result(listing, () => {
    return `The ${kind} ${name} is listed; this node renews it for as long as it runs.`
  })
}

type Found = { description?: string | undefined; body: Readonly<Record<string, unknown>> }

/** What the node's own federation has under the name. */
async function ours(client: ApiClient, kind: ListingKind, name: string): Promise<Found> {
  try {
    if (kind === 'tool') {
      const { value } = await client.get(`/tools/${encodeURIComponent(name)}`, toolViewSchema)
      const { description, ...body } = value
      return { description, body }
    }
    if (kind === 'pipeline') {
      const { value } = await client.get(`/pipelines/${encodeURIComponent(name)}`, pipelineViewSchema)
      const { description, ...body } = value
      return { description, body }
    }
    const { node, federation } = await client.get('/federation', statusSchema)
    if (federation === null) throw new NodeError('NO_FEDERATION', 'This node is in no federation yet')
    const { id, description } = federation
    if (kind === 'dataset') return { body: { federation: id } }
    return { description, body: { federation: id, addresses: node.addresses } }
  } catch (error) {
    if (!isNodeError(error, 'NO_FEDERATION')) throw error
    const message = `This node is in no federation that would have a ${kind} ${name}; say what is offered with --file FILE`
    throw new NodeError('NO_FEDERATION', message, {}, { cause: error })
  }
}

async function bodyIn(session: Session, file: string): Promise<Found['body']> {
  const document = parseDocument(await textOf(session, file))
  const problem = document.errors[0]?.message.split('\n')[0]
  const parsed = z.record(z.string(), z.unknown()).safeParse(problem === undefined ? document.toJS() : null)
  if (parsed.success) return parsed.data
  const why = problem ?? 'it holds no map, such as "image: registry.example.org/group/tool:1.0"'
  throw new NodeError('INVALID_INPUT', `${file} is no offer: ${why}`, { file })
}

function pathOf(kind: ListingKind, name: string): string {
  return `/market/${kind}/${encodeURIComponent(name)}`
}

function render(out: Output, listing: ListingView): string {
  const { kind, name, description, author, own, renewedMs, expiresMs, body } = listing
  const facts: Pair[] = [
    ['kind', kind],
    ['name', name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['author', own ? `${author} (this node)` : author],
    ['renewed', timeText(renewedMs)],
    ['good until', timeText(expiresMs)],
  ]
  // Escaped as JSON, so that a stranger's words reach the terminal as words.
  return `${out.pairs(facts)}\n\n${JSON.stringify(body, null, 2)}`
}
