import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import { compactedSchema, deletedSchema, entriesSchema, entryDetailSchema } from '../api/registry-views.ts'
import { NodeError } from '../base/errors.ts'
import { parseCount, parseDuration } from './arguments.ts'
import { reasonOf } from './files.ts'
import type { Act, Session } from './session.ts'

interface PutOptions {
  file?: string
  expires?: number
}

export function registryWriteCommands(registry: Command, act: Act): void {
  registry
    .command('put <key> [value]')
    .description(
      'write one key: a shared one for all members, any other for this node alone; "-" reads standard input',
    )
    .option('--file <path>', 'the value stands in a file')
    .option('--expires <time>', 'it ends by itself after so long, such as 10m', parseDuration)
    .action(
      act(async (session, key: string, value: string | undefined, { file, expires }: PutOptions) => {
        const bytes = await bytesOf(session, value, file)
        const client = await session.connect()
        const put = { key, value: { base64: bytes.toString('base64') }, expiresInMs: expires }
        const entry = await client.put('/registry/entry', entryDetailSchema, put)
        session.out.result(entry, () => {
          const where = entry.kind === 'shared' ? 'for all members' : 'on this node alone'
          return `${entry.key} is written ${where}, at revision ${entry.revision}.`
        })
      }),
    )

  registry
    .command('del [key]')
    .description('delete one key, or all below a prefix')
    .option('--prefix <prefix>', 'all keys that begin with it')
    .action(
      act(async (session, key: string | undefined, { prefix }: { prefix?: string }) => {
        if ((key === undefined) === (prefix === undefined)) {
          throw new NodeError(
            'INVALID_INPUT',
            'Name either a key or, with --prefix, the beginning of several',
          )
        }
        const client = await session.connect()
        if (prefix !== undefined) {
          const query = { prefix, limit: 1, keysOnly: true }
          const { total, entries } = await client.get('/registry', entriesSchema, query)
          if (total > 1)
            await session.confirm(`Delete ${total} keys below ${prefix}, ${entries[0]?.key} the first?`)
        }
        const gone =
          prefix === undefined
            ? await client.remove('/registry/entry', deletedSchema, { key })
            : await client.remove('/registry', deletedSchema, { prefix })
        session.out.result(gone, () => {
          if (gone.deleted === 0) return `There is no key below ${prefix}.`
          const what = gone.deleted === 1 && key !== undefined ? `${key} is` : `${gone.deleted} keys are`
          return `${what} deleted, at revision ${gone.revision}.`
        })
      }),
    )

  registry
    .command('compact')
    .argument('[revision]', 'of this node', parseCount)
    .description('forget versions that were replaced before a revision; without one, all that were')
    .option('--keep <time>', 'only what was replaced longer ago than this, such as 1h', parseDuration)
    .action(
      act(async (session, revision: number | undefined, { keep }: { keep?: number }) => {
        if (revision !== undefined && keep !== undefined) {
          throw new NodeError('INVALID_INPUT', 'Name either a revision or a time to keep, not both')
        }
        const which =
          revision !== undefined
            ? `before revision ${revision}`
            : keep === undefined
              ? 'so far'
              : `longer ago than that`
        await session.confirm(`Forget on this node what was replaced ${which}? What is there now stays.`)
        const client = await session.connect()
        const told = await client.post('/registry/compaction', compactedSchema, {
          revision,
          keepMs: keep,
        })
        session.out.result(told, () =>
          told.changed
            ? `History is kept since revision ${told.keptSince}.`
            : `There was nothing to forget: history is kept since revision ${told.keptSince}.`,
        )
      }),
    )
}

/** @throws NodeError INVALID_INPUT unless the value is given in exactly one way, and can be read. */
async function bytesOf(
  session: Session,
  value: string | undefined,
  file: string | undefined,
): Promise<Buffer> {
  if ((value === undefined) === (file === undefined)) {
    throw new NodeError(
      'INVALID_INPUT',
      'Give the value itself, --file with where it stands, or - for standard input',
    )
  }
  if (value !== undefined && value !== '-') return Buffer.from(value, 'utf8')
  const source = file ?? '-'
  try {
    return source === '-' ? await buffer(session.terminal.stdin) : await readFile(source)
  } catch (cause) {
    throw new NodeError(
      'INVALID_INPUT',
      `${source} cannot be read: ${reasonOf(cause)}`,
      { file: source },
      { cause },
    )
  }
}
