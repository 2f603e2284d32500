import { type Command, Option } from 'commander'
import { z } from 'zod'
import { invitationSchema, issuedSchema } from '../api/federation-views.ts'
import { ROLES } from '../federation/keyspace.ts'
import { parseDuration } from './arguments.ts'
import { untilOption } from './moments.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

export function invitationCommands(federation: Command, act: Act): void {
  federation
    .command('invite')
    .description('make a token with which one node may join once')
    .option('--expires <time>', 'how long it is good, such as 7d', parseDuration)
    .addOption(new Option('--role <role>', 'what the newcomer may do').choices(ROLES))
    .option('--until <moment>', 'when its membership ends by itself, such as 90d or 2027-01-31', untilOption)
    .option('--note <text>', 'for whom it is; only this node knows')
    .action(
      act(async (session, options: { expires?: number; role?: string; until?: number; note?: string }) => {
        const client = await session.connect()
        const { expires: lifeMs, ...rest } = options
        const invitation = await client.post('/federation/invitations', invitationSchema, { lifeMs, ...rest })
        session.out.result(invitation, () => invitation.token)
        const { warning } = invitation
        if (warning !== undefined) session.out.note(warning)
        const until = timeText(invitation.expiresMs)
        session.out.note(
          `Good once, until ${until}. On the other node "maoctl federation join -" asks for it.`,
        )
      }),
    )

  federation
    .command('invitations')
    .description('list the invitations that this node has issued')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const issued = await client.get('/federation/invitations', z.array(issuedSchema))
        session.out.result(issued, () => {
          const rows = issued.map(({ id, note, role, expiresMs, until, usedBy }) => {
            const state =
              usedBy !== undefined ? `used by ${usedBy}` : expiresMs <= Date.now() ? 'expired' : 'open'
            return [id, note || '-', role, state, timeText(expiresMs), timeText(until)]
          })
          return session.out.table(['id', 'for', 'role', 'state', 'expires', 'member until'], rows)
        })
      }),
    )

  federation
    .command('uninvite <id>')
    .description('make an invitation void that nobody has used yet')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        await client.delete(`/federation/invitations/${encodeURIComponent(id)}`)
        session.out.result({ id, void: true }, () => `The invitation ${id} is void.`)
      }),
    )
}
