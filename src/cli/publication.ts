import type { Command } from 'commander'
import { z } from 'zod'
import { publicationSchema, publisherKeySchema, publisherSchema } from '../api/publication-views.ts'
import { askSecret } from './ask-secret.ts'
import { bytesText, spanText, timeText } from './output.ts'
import type { Act } from './session.ts'

/** Where outputs are published, and what is there. */
export function publicationCommands(program: Command, act: Act): void {
  const publisher = program.command('publisher').description('where this node can publish outputs of steps')

  publisher
    .command('list')
    .description('list the publishers of this node (setting execution.publishers)')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const publishers = await client.get('/publishers', z.array(publisherSchema))
        session.out.result(publishers, () => {
          const rows = publishers.map(({ name, kind, target, prefix, keepMs }) => {
            return [name, kind, target, prefix, keepMs === undefined ? 'until removed' : spanText(keepMs)]
          })
          return session.out.table(['publisher', 'kind', 'target', 'prefix', 'keeps'], rows)
        })
      }),
    )

  publisher
    .command('key <variable>')
    .description('seal a key that a publisher asks for; it is asked for, or read from standard input')
    .action(
      act(async (session, variable: string) => {
        const client = await session.connect()
        const value = await askSecret(session, `The value of ${variable}`)
        const path = `/publishers/keys/${encodeURIComponent(variable)}`
        const sealed = await client.put(path, publisherKeySchema, { value })
        session.out.result(sealed, () => `${variable} is sealed on this node.`)
      }),
    )

  const publication = program.command('publication').description('what this node has published')

  publication
    .command('list')
    .description('list what was published, newest first')
    .option('--run <id>', 'only of a run')
    .option('--publisher <name>', 'only of a publisher')
    .option('--state <state>', 'only published, removed, writing or removing')
    .action(
      act(async (session, query: { run?: string; publisher?: string; state?: string }) => {
        const client = await session.connect()
        const found = await client.get('/publications', z.array(publicationSchema), { ...query })
        session.out.result(found, () => {
          const rows = found.map((each) => {
            const { id, state, files, bytes, address = '-', createdMs, expiresMs, removedMs, problem } = each
            const until = removedMs ?? expiresMs
            const end = until === undefined ? '-' : timeText(until)
            // What has no address never came to be; what was sent of it is cleared up.
            const told = address === '-' && state !== 'writing' ? `failed, ${state}` : state
            return [id, told, String(files), bytesText(bytes), timeText(createdMs), end, problem ?? address]
          })
          const names = ['publication', 'state', 'files', 'size', 'begun', 'until', 'address']
          return session.out.table(names, rows)
        })
      }),
    )

  publication
    .command('remove <id>')
    .description('remove a publication from where it was published; the dataset keeps the output')
    .action(
      act(async (session, id: string) => {
        await session.confirm(`Remove ${id} from where it was published?`)
        const client = await session.connect()
        await client.delete(`/publications/${encodeURIComponent(id)}`)
        session.out.result({ removed: id }, () => `${id} is removed.`)
      }),
    )
}
