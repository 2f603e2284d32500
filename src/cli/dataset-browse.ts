import type { Command } from 'commander'
import { z } from 'zod'
import { commitSchema } from '../api/dataset-views.ts'
import { parseCount } from './arguments.ts'
import { shortId, timeText } from './output.ts'
import type { Act } from './session.ts'

/** What a dataset holds, to be looked at. */
export function datasetBrowseCommands(dataset: Command, act: Act): void {
  dataset
    .command('log <name>')
    .description('list the commits of a branch, newest first')
    .option('--branch <branch>', 'default: ground-truth')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(
      act(async (session, name: string, query: { branch?: string; limit?: number }) => {
        const client = await session.connect()
        const commits = await client.get(`/datasets/${encodeURIComponent(name)}/log`, z.array(commitSchema), {
          ...query,
        })
        session.out.result(commits, () => {
          const rows = commits.map(({ oid, timeMs, author, message }) => {
            return [shortId(oid), timeText(timeMs), author.name, message.split('\n')[0] ?? '']
          })
          return session.out.table(['commit', 'time', 'author', 'message'], rows)
        })
      }),
    )
}
