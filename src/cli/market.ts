import { Argument, type Command, Option } from 'commander'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { type ListingView, listingSchema } from '../api/market-views.ts'
import { NodeError } from '../base/errors.ts'
import { LISTING_KINDS, type ListingKind } from '../marketplace/listing.ts'
import { gather } from './arguments.ts'
import { textOf } from './files.ts'
import { importCommand } from './market-import.ts'
import { installCommand } from './market-install.ts'
import { shortPeer } from './member-names.ts'
import { jsonText, type Output, type Pair, timeText } from './output.ts'
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
        const { kind, name, renewedMs, description } = listing
        return [
          kind,
          name,
          authorText(listing, shortPeer),
          timeText(renewedMs),
          description.split('\n')[0] ?? '',
        ]
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

  installCommand(market, act)
  importCommand(market, act)

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
  const { description, file, contact: contacts } = options
  const listing = await client.post('/market', listingSchema, {
    ...{ kind, name, description, contacts },
    // Without a file the node lists what its federation has of the name.
    ...(file === undefined ? {} : { body: await bodyIn(session, file) }),
  })
  session.out.result(listing, () => {
    return `The ${kind} ${name} is listed; this node renews it for as long as it runs.`
  })
}

async function bodyIn(session: Session, file: string): Promise<Readonly<Record<string, unknown>>> {
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
  const { kind, name, description, author, heardMs, renewedMs, expiresMs, founder, body } = listing
  const facts: Pair[] = [
    ['kind', kind],
    ['name', name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['author', listing.standing === 'stranger' ? `${author} (no member here)` : authorText(listing)],
    ['known since', timeText(heardMs)],
    ['renewed', timeText(renewedMs)],
    ['good until', timeText(expiresMs)],
    ...(kind === 'federation' ? [['proof', proofText(founder, author)] as Pair] : []),
  ]
  // Escaped as JSON, so that a stranger's words reach the terminal as words.
  return `${out.pairs(facts)}\n\n${jsonText(body, 2)}`
}

/** Who lists it: people know members by name. A stranger has nothing but the whole id. */
function authorText({ author, standing, member }: ListingView, told = (peer: string) => peer): string {
  if (standing === 'own') return 'this node'
  return member === undefined ? author : `${member} (member, ${told(author)})`
}

function proofText(founder: string | undefined, author: string): string {
  if (founder === undefined) return 'none: that it is this federation is only said'
  return founder === author ? 'its founder lists it' : `its genesis is shown, founded by ${founder}`
}
