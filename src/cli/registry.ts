import type { Command } from 'commander'
import { z } from 'zod'
import { digestSchema, type EntryView, entrySchema, notificationViewSchema } from '../api/views.ts'
import { parseCount } from './arguments.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

export function registryCommands(program: Command, act: Act): void {
  const registry = program
    .command('registry')
    .description('the signed records of the federation, for looking')

  registry
    .command('list [prefix]')
    .description('list what the registry shows below a prefix')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(
      act(async (session, prefix: string | undefined, { limit }: { limit?: number }) => {
        const client = await session.connect()
        const entries = await client.get('/registry', z.array(entrySchema), { prefix, limit })
        session.out.result(entries, () => {
          const rows = entries.map((entry) => {
            const { key, version, timeMs, contested } = entry
            return [
              contested ? `${key} (contested)` : key,
              String(version),
              timeText(timeMs),
              shortValue(entry),
            ]
          })
          return session.out.table(['key', 'version', 'written', 'value'], rows)
        })
      }),
    )

  registry
    .command('get <key>')
    .description('show what the registry shows at one key')
    .action(
      act(async (session, key: string) => {
        const client = await session.connect()
        const entry = await client.get('/registry/entry', entrySchema, { key })
        session.out.result(entry, () => {
          const { version, author, timeMs, contested, value } = entry
          const facts = session.out.pairs([
            ['key', entry.key],
            ['version', String(version)],
            ['author', author],
            ['written', timeText(timeMs)],
            ['contested', contested ? 'yes' : 'no'],
          ])
          return `${facts}\n\n${JSON.stringify(value, null, 2)}`
        })
      }),
    )

  registry
    .command('digest')
    .description('one hash over all records: nodes with equal digests hold the same registry')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const told = await client.get('/registry/digest', digestSchema)
        session.out.result(told, () => told.digest)
      }),
    )

  program
    .command('notification')
    .description('what members were told of')
    .command('list')
    .description('list the last spike that each member saw in each tool')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const notifications = await client.get('/notifications', z.array(notificationViewSchema))
        session.out.result(notifications, () => {
          const rows = notifications.map(({ value }) => {
            const gain = value.gainPercent === undefined ? '-' : `${value.gainPercent.toFixed(2)} %`
            const figures = [String(value.rollingAverage), String(value.value), gain]
            return [value.tool, value.node, timeText(value.timeMs), ...figures, value.run]
          })
          return session.out.table(['tool', 'node', 'time', 'average', 'value', 'gain', 'run'], rows)
        })
      }),
    )
}

const VALUE_CHARACTERS_SHOWN = 60

function shortValue({ value }: EntryView): string {
  const text = JSON.stringify(value)
  return text.length > VALUE_CHARACTERS_SHOWN ? `${text.slice(0, VALUE_CHARACTERS_SHOWN)}…` : text
}
