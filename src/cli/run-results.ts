import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type ListingView, listingSchema } from '../api/dataset-views-browse.ts'
import { NodeError } from '../base/errors.ts'
import { listedEntriesMax } from '../base/limits.ts'
import { printable } from '../base/strangers-words.ts'
import type { ApiClient } from './client.ts'
import { checkedRange, cleanPath, toFile, toTerminal } from './dataset-browse.ts'
import { bytesText, shortId } from './output.ts'
import type { Act, Session } from './session.ts'

const STEP = 'whose output (default: the last step that made one)'

/** What a run made, to be looked at and taken home. */
export function runResultCommands(run: Command, act: Act): void {
  run
    .command('files <id> [path]')
    .description('list what a run made')
    .option('--step <name>', STEP)
    .option('--recursive', 'all files below, and no directories')
    .action(act(files))

  run
    .command('get <id> [path]')
    .description('write out one file that a run made, or all of it as a tar archive')
    .option('--step <name>', STEP)
    .option('--all', 'everything (below the path, where one is given) as a tar archive')
    .option('--range <bytes>', 'first and last byte, counted from 0: 0-99, 100-, or -50 for the last 50')
    .option('-o, --output <file>', 'write to a file instead of standard output')
    .option('--raw', 'let control characters through to a terminal')
    .action(act(get))
}

interface FilesOptions {
  step?: string
  recursive?: boolean
}

async function files(session: Session, id: string, path: string | undefined, options: FilesOptions) {
  const client = await session.connect()
  const listing = await listAll(client, id, { ...options, path: cleanPath(path ?? '') })
  session.out.result({ run: id, ...listing }, () => {
    const rows = listing.entries.map(({ path: at, type, size }) => {
      const shown = printable(at, '') + (type === 'directory' ? '/' : '')
      return [type, size === undefined ? '-' : bytesText(size), shown]
    })
    const where = `${listing.dataset} at ${shortId(listing.at.commit)}`
    return `${where}\n\n${session.out.table(['type', 'size', 'path'], rows)}`
  })
}

/** All pages. */
async function listAll(
  client: ApiClient,
  id: string,
  options: FilesOptions & { path: string },
): Promise<ListingView> {
  const ask = (after: string | undefined) => {
    return client.get(`${pathOf(id)}/files`, listingSchema, { ...options, after, limit: listedEntriesMax })
  }
  const { next, ...first } = await ask(undefined)
  const entries = [...first.entries]
  for (let after = next; after !== undefined; ) {
    const page = await ask(after)
    entries.push(...page.entries)
    after = page.next
  }
  return { ...first, entries }
}

interface GetOptions {
  step?: string
  all?: boolean
  range?: string
  output?: string
  raw?: boolean
}

async function get(session: Session, id: string, path: string | undefined, options: GetOptions) {
  const { step, all = false, range, output, raw = false } = options
  if (path === undefined && !all) {
    const message = `Name a file ("maoctl run files ${id}" lists them), or take everything with --all`
    throw new NodeError('INVALID_INPUT', message)
  }
  if (all && range !== undefined) {
    throw new NodeError('INVALID_INPUT', '--range is for one file, and --all for all of them')
  }
  if (session.out.json && output === undefined) {
    const message = 'Bytes are no JSON: beside --json, name a file for them with --output'
    throw new NodeError('INVALID_INPUT', message)
  }
  if (all && output === undefined && 'isTTY' in session.terminal.stdout && session.terminal.stdout.isTTY) {
    throw new NodeError('INVALID_INPUT', 'An archive is nothing to look at; name a file for it with --output')
  }
  const client = await session.connect()
  const clean = cleanPath(path ?? '')
  const place = all ? 'archive' : `files/${clean.split('/').map(encodeURIComponent).join('/')}`
  const { headers, bytes } = await client.open(`${pathOf(id)}/${place}`, {
    query: { step, ...(all ? { path: clean } : {}) },
    ...(range === undefined ? {} : { headers: { range: `bytes=${checkedRange(range)}` } }),
  })
  if (output === undefined) return toTerminal(session, path ?? '', bytes, raw || all)
  const written = await toFile(resolve(output), bytes)
  const commit = headers.get('mao-commit')
  session.out.result({ run: id, path: clean, commit, file: resolve(output), bytes: written }, () => {
    return `${bytesText(written)} of ${clean === '' ? `the run ${id}` : clean} are in ${output}.`
  })
}

function pathOf(id: string): string {
  return `/runs/${encodeURIComponent(id)}`
}
