import type { Command } from 'commander'
import { z } from 'zod'
import { insightSchema } from '../api/insight-routes.ts'
import { bytesText, jsonText, timeText } from './output.ts'
import type { Act } from './session.ts'

export function insightCommands(program: Command, act: Act): void {
  const insight = program.command('insight').description('what tools say of their results in insights.json')

  insight
    .command('list')
    .description('list which tools have published insights, and on which member')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const insights = await client.get('/insights', z.array(insightSchema))
        session.out.result(insights, () => {
          if (insights.length === 0) return 'No tool has published insights.'
          const rows = insights.map(({ tool, node, timeMs, bytes }) => {
            return [tool, node, timeText(timeMs), bytesText(bytes)]
          })
          return session.out.table(['tool', 'member', 'published', 'size'], rows)
        })
      }),
    )

  insight
    .command('show <tool>')
    .description('show the insights of a tool, on each member that has run it')
    .action(
      act(async (session, tool: string) => {
        const client = await session.connect()
        const path = `/insights/${encodeURIComponent(tool)}`
        const insights = await client.get(path, z.array(insightSchema))
        session.out.result(insights, () => {
          const told = insights.map(({ node, timeMs, value }) => {
            return `${node}, ${timeText(timeMs)}\n${jsonText(value, 2)}`
          })
          return told.join('\n\n')
        })
      }),
    )
}
