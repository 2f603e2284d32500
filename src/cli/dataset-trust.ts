import type { Command } from 'commander'
import { z } from 'zod'
import { distrustedSchema, trustedToolSchema } from '../api/trust-routes.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

interface TrustFlags {
  tool?: string
  digest?: string
  filter?: string
  logs?: boolean
  parameters?: boolean
  layout?: string
}

/** Which tools of others may read data that do not leave this node. */
export function datasetTrustCommands(dataset: Command, act: Act): void {
  dataset
    .command('trust <name>')
    .description(
      "let other members' runs read a compute-only dataset with a tool, by the digest of its image",
    )
    .option('--tool <name>', 'the tool, as its image is here now')
    .option('--digest <digest>', 'the digest itself: sha256:…')
    .option('--filter <tool>', 'only where the output passes this tool, as its image is here now')
    .option('--logs', 'whoever asks may read what the tool prints, which may hold the data')
    .option('--parameters', 'whoever asks may choose command, variables and further inputs of the tool')
    .option('--layout <layout>', 'where the tool and the filter find their files: mao or compute-to-data')
    .action(
      act(async (session, name: string, flags: TrustFlags) => {
        const client = await session.connect()
        const trusted = await client.post(pathOf(name), trustedToolSchema, flags)
        session.out.result(trusted, () => {
          const filter = trusted.filter === undefined ? '' : `, through the filter ${trusted.filter.tool}`
          return `${name} may be read with ${trusted.tool ?? 'the image'} at ${trusted.digest}${filter}.`
        })
      }),
    )

  dataset
    .command('trusted <name>')
    .description('list the tools that a dataset trusts')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const tools = await client.get(pathOf(name), z.array(trustedToolSchema))
        session.out.result(tools, () => {
          if (tools.length === 0) return `${name} trusts no tool of others.`
          const yes = (flag: boolean) => (flag ? 'yes' : 'no')
          const rows = tools.map(({ tool = '-', digest, filter, logs, parameters, layout, timeMs }) => {
            const may = [yes(logs), yes(parameters), layout ?? '-']
            return [tool, digest, filter?.tool ?? '-', ...may, timeText(timeMs)]
          })
          return session.out.table(
            ['tool', 'digest', 'filter', 'logs', 'parameters', 'layout', 'since'],
            rows,
          )
        })
      }),
    )

  dataset
    .command('distrust <name>')
    .description('trust a tool no more; runs at work that rely on it are ended')
    .option('--tool <name>', 'the tool')
    .option('--digest <digest>', 'the digest')
    .action(
      act(async (session, name: string, flags: { tool?: string; digest?: string }) => {
        const client = await session.connect()
        const gone = await client.remove(pathOf(name), distrustedSchema, { ...flags })
        session.out.result(gone, () => `${name} trusts ${gone.digests.join(', ')} no more.`)
      }),
    )
}

function pathOf(name: string): string {
  return `/datasets/${encodeURIComponent(name)}/trusted`
}
