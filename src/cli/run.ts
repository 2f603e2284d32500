import type { Command } from 'commander'
import { z } from 'zod'
import { type RunView, runSchema } from '../api/run-views.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { spanText, timeText } from './output.ts'
import { runLineageCommands } from './run-lineage.ts'
import { runLogCommand, runLogText } from './run-logs.ts'
import { renderRun } from './run-view.ts'
import { untilEnded } from './run-wait.ts'
import type { Act, Session } from './session.ts'

export function runCommands(program: Command, act: Act): void {
  const run = program.command('run').description('what ran, runs and waits on this node')

  run
    .command('list')
    .description('list the runs, newest first')
    .option('--pipeline <name>', 'only those of a pipeline')
    .option('--state <state>', 'only those in a state, such as failed')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(
      act(async (session, query: { pipeline?: string; state?: string; limit?: number }) => {
        const client = await session.connect()
        const runs = await client.get('/runs', z.array(runSchema), { ...query })
        session.out.result(runs, () => {
          const rows = runs.map((each) => {
            const { id, pipeline, trigger, state, createdMs, endedMs, reason } = each
            const took = endedMs === undefined ? '-' : spanText(endedMs - createdMs)
            return [id, pipeline, trigger.kind, state, timeText(createdMs), took, reason ?? '']
          })
          return session.out.table(['id', 'pipeline', 'by', 'state', 'created', 'took', 'reason'], rows)
        })
      }),
    )

  run
    .command('show <id>')
    .description('show one run with its steps and its history')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const shown = await client.get(pathOf(id), runSchema)
        session.out.result(shown, () => renderRun(session.out, shown))
      }),
    )

  runLogCommand(run, act)

  runLineageCommands(run, act)

  run
    .command('cancel <id>')
    .description('stop a run, or take it out of the queue')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const cancelled = await client.post(`${pathOf(id)}/cancel`, runSchema)
        session.out.result(cancelled, () => `The run ${id} is ${cancelled.state}.`)
      }),
    )

  run
    .command('repeat <id>')
    .description('run the same pipeline again, for the same round')
    .option('--wait', 'until it has ended')
    .action(
      act(async (session, id: string, { wait }: { wait?: boolean }) => {
        const client = await session.connect()
        const again = await client.post(`${pathOf(id)}/repeat`, runSchema)
        await tellSubmitted(session, client, again, { wait: wait === true, follow: false })
      }),
    )
}

/** What to do after a run was submitted: tell of it, or stay with it until its end, which then is our own. */
export async function tellSubmitted(
  session: Session,
  client: ApiClient,
  run: RunView,
  { wait, follow }: { wait: boolean; follow: boolean },
): Promise<void> {
  if (!wait && !follow) {
    session.out.result(
      run,
      () => `The run ${run.id} is ${run.state}; "maoctl run logs -f ${run.id}" follows it.`,
    )
    return
  }
  session.out.note(`The run ${run.id} is ${run.state}.`)
  if (follow) {
    for await (const part of runLogText(client, run.id, { follow: true })) session.out.raw(part)
  }
  const ended = await untilEnded(session, client, run.id)
  session.out.result(ended, () => renderRun(session.out, ended))
  if (ended.state !== 'succeeded') session.exitCode = EXIT.OUTCOME
}

function pathOf(id: string): string {
  return `/runs/${encodeURIComponent(id)}`
}
