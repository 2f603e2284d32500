import type { Command } from 'commander'
import { z } from 'zod'
import { runSchema } from '../api/run-views.ts'
import { isRemoteId } from '../execution/remote/remote-run.ts'
import { parseCount } from './arguments.ts'
import { memberNames, peerOf } from './member-names.ts'
import { spanText, timeText } from './output.ts'
import { cancelRemote, demandOwn, remoteRow, remoteRunsOf, showRemote } from './remote-run.ts'
import { runLineageCommands } from './run-lineage.ts'
import { runLogCommand } from './run-logs.ts'
import { runQueueCommand } from './run-queue.ts'
import { runResultCommands } from './run-results.ts'
import { submitCommand, tellSubmitted } from './run-submit.ts'
import { renderRun } from './run-view.ts'
import type { Act } from './session.ts'

interface ListFlags {
  pipeline?: string
  state?: string
  owner?: string
  limit?: number
}

export function runCommands(program: Command, act: Act): void {
  const run = program.command('run').description('what ran, runs and waits on this node')

  run
    .command('list')
    .description('list the runs, newest first')
    .option('--pipeline <name>', 'only those of a pipeline')
    .option('--state <state>', 'only those in a state, such as failed')
    .option('--owner <owner>', 'only those of an owner: node, or the name or peer id of a member')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(
      act(async (session, flags: ListFlags) => {
        const client = await session.connect()
        const { owner } = flags
        const query =
          owner === undefined || owner === 'node' ? flags : { ...flags, owner: await peerOf(client, owner) }
        const runs = await client.get('/runs', z.array(runSchema), { ...query })
        const remote = await remoteRunsOf(client, query)
        const all = [...runs, ...remote].sort((a, b) => b.createdMs - a.createdMs).slice(0, query.limit)
        session.out.result(all, () => {
          const rows = all.map((each) => {
            if (!('trigger' in each)) return remoteRow(each)
            const { id, pipeline, trigger, state, createdMs, endedMs, reason } = each
            const took = endedMs === undefined ? '-' : spanText(endedMs - createdMs)
            const why = reason ?? each.queue?.why ?? ''
            return [id, pipeline, trigger.kind, state, timeText(createdMs), took, why]
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
        if (isRemoteId(id)) return showRemote(session, id)
        const client = await session.connect()
        const shown = await client.get(pathOf(id), runSchema)
        const nameOf = await memberNames(session, client)
        session.out.result(shown, () => renderRun(session.out, shown, nameOf))
      }),
    )

  submitCommand(run, act, 'submit')
  runQueueCommand(run, act)
  runLogCommand(run, act)
  runResultCommands(run, act)

  runLineageCommands(run, act)

  run
    .command('cancel <id>')
    .description('stop a run, or take it out of the queue')
    .action(
      act(async (session, id: string) => {
        if (isRemoteId(id)) return cancelRemote(session, id)
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
        demandOwn(id)
        const client = await session.connect()
        const again = await client.post(`${pathOf(id)}/repeat`, runSchema)
        await tellSubmitted(session, client, again, { wait: wait === true, follow: false })
      }),
    )
}

function pathOf(id: string): string {
  return `/runs/${encodeURIComponent(id)}`
}
