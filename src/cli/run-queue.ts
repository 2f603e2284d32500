import type { Command } from 'commander'
import { z } from 'zod'
import { queuedRunSchema } from '../api/submit-views.ts'
import { memberNames } from './member-names.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

export function runQueueCommand(run: Command, act: Act): void {
  run
    .command('queue')
    .description('list what waits on this node, in line, and why')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const waiting = await client.get('/queue', z.array(queuedRunSchema))
        const nameOf = await memberNames(session, client)
        session.out.result(waiting, () => {
          if (waiting.length === 0) return 'Nothing waits.'
          const rows = waiting.map(({ position, id, pipeline, owner, priority, createdMs, why }) => {
            return [String(position), id, pipeline, nameOf(owner), String(priority), timeText(createdMs), why]
          })
          return session.out.table(
            ['place', 'id', 'pipeline', 'owner', 'priority', 'created', 'waits because'],
            rows,
          )
        })
      }),
    )
}
