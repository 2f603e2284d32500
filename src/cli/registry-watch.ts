import type { Command } from 'commander'
import type { z } from 'zod'
import {
  type ChangeView,
  watchChangesSchema,
  watchCompactedSchema,
  watchOpenSchema,
} from '../api/registry-views.ts'
import { NodeError } from '../base/errors.ts'
import { printable } from '../base/strangers-words.ts'
import { parseCount } from './arguments.ts'
import { followStream } from './event-stream.ts'
import { bytesText } from './output.ts'
import { authorText, shortValue } from './registry-text.ts'
import type { Act, Session } from './session.ts'

interface WatchOptions {
  fromRevision?: number
  count?: number
}

export function registryWatchCommand(registry: Command, act: Act): void {
  registry
    .command('watch [prefix]')
    .description('follow the changes of the keys below a prefix')
    .option('--from-revision <number>', 'begin with the changes of that revision of this node', parseCount)
    .option('--count <number>', 'end after so many changes', parseCount)
    .action(act(watch))
}

/** Goes on after a cut where it was, and says so when the node no longer keeps what came in between. */
async function watch(session: Session, prefix: string | undefined, options: WatchOptions): Promise<void> {
  const { fromRevision: from, count = Number.POSITIVE_INFINITY } = options
  const client = await session.connect()
  let left = count
  let opened = false
  for await (const { event, data } of followStream(client, '/registry/watch', { prefix, from })) {
    if (event === 'open') {
      const { from: first } = read(watchOpenSchema, data)
      const what = prefix === undefined ? 'all keys' : `the keys below ${prefix}`
      session.out.note(
        opened
          ? `Going on with revision ${first}.`
          : `Watching ${what} from revision ${first}; Ctrl-C ends it.`,
      )
      opened = true
    } else if (event === 'compacted') {
      const { keptSince } = read(watchCompactedSchema, data)
      const message = `The changes that come next are no longer kept; the oldest that are kept are those of revision ${keptSince}`
      throw new NodeError('REVISION_COMPACTED', message, { compacted: keptSince })
    } else if (event === 'changes') {
      const { revision, changes } = read(watchChangesSchema, data)
      for (const change of changes) {
        session.out.item({ revision, ...change }, () => line(session, revision, change))
        left -= 1
        if (left === 0) return
      }
    }
  }
}

function line({ out }: Session, revision: number, change: ChangeView): string {
  const { type, key, valueBytes, contested } = change
  const what = out.style(type === 'put' ? 'green' : 'red', type.padEnd('delete'.length))
  const by =
    change.author === undefined ? '' : ` by ${authorText(change)}${contested === true ? ' (contested)' : ''}`
  const value = valueBytes === undefined ? shortValue(change) : bytesText(valueBytes)
  return `${revision} ${what} ${out.style('bold', printable(key, ''))}${printable(by, '')}${value === '' ? '' : `: ${value}`}`
}

/** @throws NodeError UNSUPPORTED when the node is of another version. */
function read<T>(schema: z.ZodType<T>, data: string): T {
  const parsed = schema.safeParse(JSON.parse(data))
  if (parsed.success) return parsed.data
  throw new NodeError(
    'UNSUPPORTED',
    'The node tells of changes otherwise than this version of maoctl understands',
  )
}
