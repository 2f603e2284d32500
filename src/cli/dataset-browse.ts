import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { commitSchema } from '../api/dataset-views.ts'
import { type ListingView, listingSchema } from '../api/dataset-views-browse.ts'
import { NodeError } from '../base/errors.ts'
import { listedEntriesMax } from '../base/limits.ts'
import { printable } from '../base/strangers-words.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { reasonOf } from './files.ts'
import { bytesText, shortId, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

const AT = "a branch, a commit's id or its beginning, or a member with one branch (default: ground-truth)"
/** So many bytes tell text from what is none, as git tells them apart. */
const LOOKED_AT_BYTES = 8_000

/** What a dataset holds, to be looked at. */
export function datasetBrowseCommands(dataset: Command, act: Act): void {
  dataset
    .command('log <name>')
    .description('list the commits of a branch, newest first')
    .option('--at <revision>', AT)
    .option('--branch <branch>', 'the same as --at')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(act(log))

  dataset
    .command('ls <name> [path]')
    .description('list a directory of a dataset')
    .option('--at <revision>', AT)
    .option('--long', 'with types, sizes and ids')
    .option('--recursive', 'all files below, and no directories')
    .action(act(ls))

  dataset
    .command('cat <name> <path>')
    .description('write out one file of a dataset, its bytes unchanged')
    .option('--at <revision>', AT)
    .option('--range <bytes>', 'first and last byte, counted from 0: 0-99, 100-, or -50 for the last 50')
    .option('-o, --output <file>', 'write to a file instead of standard output')
    .option('--raw', 'let control characters through to a terminal')
    .action(act(cat))
}

interface LogOptions {
  at?: string
  branch?: string
  limit?: number
}

async function log(session: Session, name: string, { at, branch, limit }: LogOptions): Promise<void> {
  const client = await session.connect()
  const commits = await client.get(`/datasets/${encodeURIComponent(name)}/log`, z.array(commitSchema), {
    at: at ?? branch,
    limit,
  })
  session.out.result(commits, () => {
    const rows = commits.map(({ oid, timeMs, author, message }) => {
      return [shortId(oid), timeText(timeMs), author.name, message.split('\n')[0] ?? '']
    })
    return session.out.table(['commit', 'time', 'author', 'message'], rows)
  })
}

interface ListOptions {
  at?: string
  long?: boolean
  recursive?: boolean
}

async function ls(
  session: Session,
  name: string,
  path: string | undefined,
  options: ListOptions,
): Promise<void> {
  const client = await session.connect()
  const below = cleanPath(path ?? '')
  const listing = await listAll(client, name, below, options)
  noteNews(session, listing.at)
  const shownAs = (entry: ListingView['entries'][number]) => {
    const prefix = below === '' || entry.path === below ? '' : `${below}/`
    return printable(entry.path.slice(prefix.length), '') + (entry.type === 'directory' ? '/' : '')
  }
  session.out.result(listing, () => {
    if (options.long !== true) return listing.entries.map(shownAs).join('\n')
    const rows = listing.entries.map((entry) => {
      return [
        entry.type,
        entry.size === undefined ? '-' : bytesText(entry.size),
        shortId(entry.oid),
        shownAs(entry),
      ]
    })
    return session.out.table(['type', 'size', 'id', 'name'], rows)
  })
}

/** All pages of a listing, every one at the commit of the first. */
async function listAll(
  client: ApiClient,
  name: string,
  path: string,
  { at, recursive }: ListOptions,
): Promise<ListingView> {
  const ask = (revision: string | undefined, after: string | undefined) => {
    const query = { at: revision, path, recursive, after, limit: listedEntriesMax }
    return client.get(`/datasets/${encodeURIComponent(name)}/tree`, listingSchema, query)
  }
  const { next, ...first } = await ask(at, undefined)
  const entries = [...first.entries]
  for (let after = next; after !== undefined; ) {
    const page = await ask(first.at.commit, after)
    entries.push(...page.entries)
    after = page.next
  }
  return { ...first, entries }
}

/** As people type paths in a shell. */
export function cleanPath(path: string): string {
  return path.replace(/^(?:\.?\/+)+|\/+$/g, '').replace(/^\.$/, '')
}

interface CatOptions {
  at?: string
  range?: string
  output?: string
  raw?: boolean
}

async function cat(session: Session, name: string, path: string, options: CatOptions): Promise<void> {
  const { at, range, output, raw } = options
  if (session.out.json && output === undefined) {
    throw new NodeError(
      'INVALID_INPUT',
      'A file is no JSON: beside --json, name a file for its bytes with --output',
    )
  }
  if (range !== undefined) checkedRange(range)
  const client = await session.connect()
  const file = cleanPath(path).split('/').map(encodeURIComponent).join('/')
  const { headers, bytes } = await client.open(`/datasets/${encodeURIComponent(name)}/files/${file}`, {
    query: { at },
    ...(range === undefined ? {} : { headers: { range: `bytes=${range}` } }),
  })
  if (output === undefined) return toTerminal(session, path, bytes, raw === true)
  const written = await toFile(resolve(output), bytes)
  const result = { name, path, commit: headers.get('mao-commit'), file: resolve(output), bytes: written }
  session.out.result(result, () => `${bytesText(written)} of ${path} are in ${output}.`)
}

/** @throws NodeError INVALID_INPUT for what is no range of bytes. */
export function checkedRange(range: string): string {
  if (/^(\d+-\d*|-\d+)$/.test(range)) return range
  throw new NodeError('INVALID_INPUT', `"${range}" is no range of bytes; one looks like 0-99, 100- or -50`)
}

/** Bytes as they are, but what somebody else has written does not steer a terminal unless its reader says so. */
export async function toTerminal(
  session: Session,
  path: string,
  bytes: AsyncGenerator<Uint8Array>,
  raw: boolean,
): Promise<void> {
  const { stdout } = session.terminal
  const guarded = !raw && 'isTTY' in stdout && stdout.isTTY === true
  const decoder = new TextDecoder()
  let looked = 0
  let carriage = false
  const write = async (part: Uint8Array | string) => {
    if (!stdout.write(part)) await once(stdout, 'drain')
  }
  for await (const chunk of bytes) {
    if (!guarded) {
      await write(chunk)
      continue
    }
    if (chunk.subarray(0, Math.max(0, LOOKED_AT_BYTES - looked)).includes(0)) {
      const way = 'write it to a file with --output, or show it all the same with --raw'
      throw new NodeError('INVALID_INPUT', `${path} is no text; ${way}`, { path })
    }
    looked += chunk.length
    // A return before a line feed only ends a line, wherever the chunks are parted.
    const text: string = (carriage ? '\r' : '') + decoder.decode(chunk, { stream: true })
    carriage = text.endsWith('\r')
    await write(printable((carriage ? text.slice(0, -1) : text).replaceAll('\r\n', '\n'), '\n\t'))
  }
  if (guarded) await write(printable((carriage ? '\r' : '') + decoder.decode(), '\n\t'))
}

/** A file is there with its last byte, or not at all. @returns how many bytes it has. */
export async function toFile(file: string, bytes: AsyncGenerator<Uint8Array>): Promise<number> {
  const part = `${file}.${randomUUID().slice(0, 8)}.part`
  let written = 0
  try {
    const sink = await open(part, 'wx')
    try {
      for await (const chunk of bytes) {
        await sink.writeFile(chunk)
        written += chunk.length
      }
    } finally {
      await sink.close()
    }
    await rename(part, file)
    return written
  } catch (cause) {
    await rm(part, { force: true })
    if (cause instanceof NodeError) throw cause
    throw new NodeError('INVALID_INPUT', `${file} cannot be written: ${reasonOf(cause)}`, { file }, { cause })
  }
}

/** A branch may have gone on elsewhere already. */
export function noteNews(
  session: Session,
  at: { readonly name: string; readonly announced?: string | undefined },
): void {
  if (at.announced === undefined) return
  session.out.note(`${at.name} is at ${shortId(at.announced)} by now, which is not here yet.`)
}
