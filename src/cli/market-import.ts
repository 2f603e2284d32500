import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { importedSchema } from '../api/market-install-views.ts'
import { NodeError } from '../base/errors.ts'
import { pipelineSchema } from '../execution/catalogue/pipeline.ts'
import { asksOf } from '../marketplace/asks.ts'
import {
  type CheckedOffer,
  MARKET_FILES,
  type MarketFile,
  type MarketKind,
  type ReadFile,
  readMarketFile,
} from '../marketplace/predecessor.ts'
import { reasonOf, textOf } from './files.ts'
import { fetchMarketFile } from './market-files.ts'
import { countText } from './output.ts'
import type { Act, Session } from './session.ts'

interface Importing {
  into: 'market' | 'federation'
  shared?: boolean
  shareNames?: boolean
  dryRun?: boolean
}

const AFTER = `
The source is a directory, or the address below which the three files are. What is in them is shown first, images and all
that steps ask for, and asked about: whatever is taken over counts as written by this node.`

interface Found {
  readonly file: MarketFile
  readonly kind: MarketKind
  readonly json: string
  readonly read: ReadFile
}

export function importCommand(market: Command, act: Act): void {
  market
    .command('import <source>')
    .description("take over the predecessor's federations.json, tools.json and pipelines.json")
    .addOption(
      new Option('--into <where>', 'as listings of this node, or straight into its federation')
        .choices(['market', 'federation'])
        .default('market'),
    )
    .option('--shared', 'make datasets that pipelines miss for all members, rather than for this node alone')
    .option('--share-names', 'let all members read the names of datasets that stay on this node')
    .option('--dry-run', 'only show what would be taken over')
    .addHelpText('after', AFTER)
    .action(act(take))
}

async function take(session: Session, source: string, options: Importing) {
  const { into, shared, shareNames, dryRun } = options
  const found = (await filesOf(session, source)).filter(({ file, kind }) => {
    const isTaken = into === 'market' || kind !== 'federation'
    if (!isTaken) session.out.note(`${file} is left out: federations are listed, and not registered in one.`)
    return isTaken
  })
  const offers = found.flatMap(({ read }) => read.offers)
  if (dryRun === true) return session.out.result(offers, () => planText(offers))
  session.out.note(planText(offers))
  if (/^http:/i.test(source)) {
    session.out.note('! The files came unencrypted: whoever carried them may have changed them.')
  }
  // Listings of a directory of one's own do nothing yet; what is registered runs, for every member.
  if (offers.length > 0 && (into === 'federation' || isRemote(source))) {
    const what = countText(offers.length, 'entry', 'entries')
    const as =
      into === 'federation' ? 'Register this in the federation' : 'List this in the name of this node'
    await session.confirm(`${as} (${what})?`)
  }
  const client = await session.connect()
  const taken: Record<string, unknown> = {}
  const lines: string[] = []
  let leftOut = 0
  for (const { file, kind, json } of found) {
    const imported = await client.work('/market/import', importedSchema, {
      ...{ kind, json, into, shareNames: shareNames === true },
      datasets: shared === true ? 'shared' : 'local-only',
    })
    taken[file] = imported
    leftOut += imported.leftOut.length
    lines.push(`${file}: ${countText(imported.names.length, kind)} taken over.`)
    for (const { entry, why } of imported.leftOut) session.out.note(`${file}: ${entry} is left out: ${why}`)
  }
  session.out.result(taken, () => {
    const rest = leftOut === 0 ? [] : [`${countText(leftOut, 'entry', 'entries')} left out; see above.`]
    return [...lines, ...rest].join('\n')
  })
}

/** What the files bring, with what it asks of whoever runs it. */
export function planText(offers: readonly CheckedOffer[]): string {
  return offers
    .flatMap(({ kind, name, body }) => {
      if (kind === 'tool') return [`+ tool ${name} ${typeof body.image === 'string' ? body.image : ''}`]
      const { success, data: steps = [] } = pipelineSchema.shape.steps.safeParse(body.steps)
      if (kind !== 'pipeline' || !success) return [`+ ${kind} ${name}`]
      const told = steps.map((step) => `${step.name} (${step.tool})`).join(' → ')
      return [`+ pipeline ${name}: ${told}`, ...asksOf(steps).map((ask) => `! ${ask}`)]
    })
    .join('\n')
}

function isRemote(source: string): boolean {
  return /^https?:\/\//i.test(source)
}

/** Those of the three files that are there, tools before the pipelines that name them. @throws NodeError INVALID_INPUT, TOO_LARGE */
async function filesOf(session: Session, source: string): Promise<Found[]> {
  if (!isRemote(source)) await checkDirectory(source)
  const found: Found[] = []
  for (const [file, kind] of Object.entries(MARKET_FILES) as [MarketFile, MarketKind][]) {
    const json = isRemote(source)
      ? await fetchMarketFile(source, file)
      : await fileIn(session, join(source, file))
    if (json !== undefined) found.push({ file, kind, json, read: readMarketFile(kind, json) })
  }
  if (found.length > 0) return found
  const message = `${source} has none of ${Object.keys(MARKET_FILES).join(', ')}`
  throw new NodeError('INVALID_INPUT', message, { source })
}

async function checkDirectory(source: string): Promise<void> {
  const found = await stat(source).catch((cause: unknown) => {
    throw new NodeError('INVALID_INPUT', `${source} cannot be read: ${reasonOf(cause)}`, {}, { cause })
  })
  if (found.isDirectory()) return
  throw new NodeError('INVALID_INPUT', `${source} is no directory; name the one that the three files are in`)
}

async function fileIn(session: Session, path: string): Promise<string | undefined> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  return isThere ? textOf(session, path) : undefined
}
