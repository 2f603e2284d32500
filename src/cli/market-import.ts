import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { importedSchema } from '../api/market-install-views.ts'
import { NodeError } from '../base/errors.ts'
import { MARKET_FILES, type MarketFile } from '../marketplace/predecessor.ts'
import { reasonOf, textOf } from './files.ts'
import { fetchMarketFile } from './market-files.ts'
import { countText } from './output.ts'
import type { Act, Session } from './session.ts'

interface Importing {
  into: 'market' | 'federation'
  shared?: boolean
  shareNames?: boolean
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
    .addHelpText('after', '\nThe source is a directory, or the address below which the three files are.')
    .action(act(take))
}

async function take(session: Session, source: string, { into, shared, shareNames }: Importing) {
  const files = await filesOf(session, source)
  const client = await session.connect()
  const taken: Record<string, unknown> = {}
  const lines: string[] = []
  let leftOut = 0
  // Tools come before the pipelines that name them.
  for (const [file, kind] of Object.entries(MARKET_FILES)) {
    const json = files.get(file as MarketFile)
    if (json === undefined) continue
    if (into === 'federation' && kind === 'federation') {
      session.out.note(`${file} is left out: federations are listed, and not registered in one.`)
      continue
    }
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

/** The texts of those of the three files that are there. @throws NodeError INVALID_INPUT when none is. */
async function filesOf(session: Session, source: string): Promise<Map<MarketFile, string>> {
  const isRemote = /^https?:\/\//i.test(source)
  if (!isRemote) await checkDirectory(source)
  const files = new Map<MarketFile, string>()
  for (const file of Object.keys(MARKET_FILES) as MarketFile[]) {
    const text = isRemote ? await fetchMarketFile(source, file) : await fileIn(session, join(source, file))
    if (text !== undefined) files.set(file, text)
  }
  if (files.size > 0) return files
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
