import type { Command } from 'commander'
import { z } from 'zod'
import { type PresenceView, presenceViewSchema } from '../api/presence-routes.ts'
import { type Output, spanText, timeText } from './output.ts'
import type { Act } from './session.ts'

export function presenceCommands(program: Command, act: Act): void {
  program
    .command('presence')
    .description('list which members are there, since when, with what version, and how they can be reached')
    .option('--online', 'only those that are there')
    .action(
      act(async (session, { online = false }: { online?: boolean }) => {
        const client = await session.connect()
        const all = await client.get('/presence', z.array(presenceViewSchema))
        const told = online ? all.filter((member) => member.online) : all
        session.out.result(told, () => render(session.out, told, Date.now()))
      }),
    )
}

function render(out: Output, members: readonly PresenceView[], nowMs: number): string {
  const rows = members.map((member) => [
    member.name,
    member.role,
    member.self ? 'this node' : member.online ? out.style('green', 'yes') : out.style('yellow', 'no'),
    whenText(member, nowMs),
    member.version ?? '-',
    member.reachable ?? '-',
    member.accepts === undefined ? '-' : `runs of ${member.accepts}`,
  ])
  return out.table(['name', 'role', 'there', 'since', 'version', 'reachable', 'takes'], rows)
}

/** For who is there, how long it has run; for who is not, when it was last heard of. */
function whenText({ online, startedMs, lastSeenMs }: PresenceView, nowMs: number): string {
  if (online) return startedMs === undefined ? '-' : spanText(Math.max(0, nowMs - startedMs))
  return lastSeenMs === undefined ? 'never heard of' : `last seen ${timeText(lastSeenMs)}`
}
