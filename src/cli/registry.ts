import type { Command } from 'commander'
import {
  digestSchema,
  type EntryDetail,
  entriesSchema,
  entryDetailSchema,
  type HistoryView,
  historySchema,
} from '../api/registry-views.ts'
import { printable } from '../base/strangers-words.ts'
import { parseCount } from './arguments.ts'
import { bytesText, type Output, type Pair, timeText } from './output.ts'
import { authorText, shortValue, wholeValue } from './registry-text.ts'
import { registryWatchCommand } from './registry-watch.ts'
import { registryWriteCommands } from './registry-write.ts'
import type { Act } from './session.ts'

interface ListOptions {
  limit?: number
  revision?: number
  keysOnly?: boolean
}

export function registryCommands(program: Command, act: Act): void {
  const registry = program
    .command('registry')
    .description("the federation's shared keys, and this node's own")

  registry
    .command('list [prefix]')
    .description('list the keys below a prefix')
    .option('--limit <count>', 'at most so many', parseCount)
    .option('--revision <number>', 'as it was at a revision of this node', parseCount)
    .option('--keys-only', 'without the values')
    .action(
      act(async (session, prefix: string | undefined, { limit, revision, keysOnly }: ListOptions) => {
        const client = await session.connect()
        const query = { prefix, limit, revision, keysOnly }
        const { entries, total } = await client.get('/registry', entriesSchema, query)
        session.out.result(entries, () => {
          if (keysOnly === true) return entries.map(({ key }) => printable(key, '')).join('\n')
          const rows = entries.map((entry) => [
            entry.contested ? `${entry.key} (contested)` : entry.key,
            authorText(entry),
            String(entry.revision),
            timeText(entry.timeMs),
            shortValue(entry),
          ])
          return session.out.table(['key', 'author', 'revision', 'written', 'value'], rows)
        })
        const left = total - entries.length
        if (left > 0)
          session.out.note(
            `${left} more ${left === 1 ? 'key is' : 'keys are'} there; --limit ${total} shows all.`,
          )
      }),
    )

  registry
    .command('get <key>')
    .description('show one key, and every claim to it')
    .option('--revision <number>', 'as it was at a revision of this node', parseCount)
    .action(
      act(async (session, key: string, { revision }: { revision?: number }) => {
        const client = await session.connect()
        const entry = await client.get('/registry/entry', entryDetailSchema, { key, revision })
        session.out.result(
          entry,
          () => detail(session.out, entry),
          () => wholeValue(entry),
        )
      }),
    )

  registryWriteCommands(registry, act)
  registryWatchCommand(registry, act)

  registry
    .command('history <key>')
    .description('show the versions of one key that this node still keeps')
    .option('--limit <count>', 'the newest so many', parseCount)
    .action(
      act(async (session, key: string, { limit }: { limit?: number }) => {
        const client = await session.connect()
        const history = await client.get('/registry/history', historySchema, { key, limit })
        session.out.result(history, () => versions(session.out, history))
        session.out.note(keptText(history))
      }),
    )

  registry
    .command('digest')
    .description('one hash over all records: nodes with equal digests hold the same registry')
    .option('--prefix <prefix>', 'over the records below it alone')
    .action(
      act(async (session, { prefix }: { prefix?: string }) => {
        const client = await session.connect()
        const told = await client.get('/registry/digest', digestSchema, { prefix })
        session.out.result(told, () => told.digest)
        const { records, bytes, revision, keptSince } = told
        const below = told.prefix === '' ? '' : ` below ${told.prefix}`
        session.out.note(
          `${records} ${records === 1 ? 'record' : 'records'}${below}, ${bytesText(bytes)}. This node is at revision ${revision}, and keeps history since ${keptSince}.`,
        )
      }),
    )
}

function detail(out: Output, entry: EntryDetail): string {
  const { kind, revision, createdRevision, writes, version, lease, timeMs, expiresMs, claims } = entry
  const facts: Pair[] = [
    ['key', entry.key],
    ['kept', kind === 'shared' ? 'by every member' : 'by this node alone'],
    ['revision', `${revision} (created at ${createdRevision}, version ${writes} since)`],
    ...pairIf('author', entry.author && authorText(entry, entry.author)),
    ...pairIf('record version', version && String(version)),
    ...pairIf('written', timeMs && timeText(timeMs)),
    ...pairIf('expires', expiresMs && timeText(expiresMs)),
    ...pairIf(
      'lease',
      lease && `${lease.id}${lease.ttlSeconds === undefined ? '' : `, ${lease.ttlSeconds} s left`}`,
    ),
  ]
  if (kind === 'shared')
    facts.push(['contested', entry.contested ? `yes, ${claims.length} members claim it` : 'no'])
  const rows = claims.map((claim) => [
    authorText(claim),
    claim.shown ? 'shown' : 'hidden',
    String(claim.version),
    timeText(claim.timeMs),
    timeText(claim.sinceMs),
    shortValue(claim),
  ])
  const table = out.table(['claimed by', '', 'version', 'written', 'since', 'value'], rows)
  return [out.pairs(facts), ...(entry.contested ? [table] : []), wholeValue(entry)].join('\n\n')
}

function versions(out: Output, { versions }: HistoryView): string {
  const rows = versions.map((version) => [
    String(version.revision),
    timeText(version.timeMs),
    version.type,
    version.writes === undefined ? '-' : String(version.writes),
    version.type === 'put' ? shortValue(version) : '',
  ])
  return out.table(['revision', 'time', 'change', 'version', 'value'], rows)
}

function keptText({ keptSince, total, versions }: HistoryView): string {
  const kept = keptSince === 0 ? 'from the beginning' : `since revision ${keptSince}`
  const more = total - versions.length
  return `History is kept ${kept}.${more > 0 ? ` ${more} older versions are there; --limit ${total} shows all.` : ''}`
}

function pairIf(name: string, value: string | 0 | undefined): Pair[] {
  return value === undefined || value === 0 || value === '' ? [] : [[name, value]]
}
