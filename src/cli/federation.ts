import type { Command } from 'commander'
import { z } from 'zod'
import { federationSchema, invitationSchema, memberSchema, type Status, statusSchema } from '../api/views.ts'
import { parseDuration } from './arguments.ts'
import { type Output, type Pair, timeText } from './output.ts'
import type { Act } from './session.ts'

export function federationCommands(program: Command, act: Act): void {
  const federation = program.command('federation').description('the group of nodes that this one belongs to')

  federation
    .command('create')
    .description('found a federation with this node as its first operator')
    .requiredOption('--name <name>', 'name of the federation')
    .option('--description <text>', 'what it is for')
    .action(
      act(async (session, options: { name: string; description?: string }) => {
        const client = await session.connect()
        const { name, description } = options
        const created = await client.post('/federation', federationSchema, { name, description })
        session.out.result(
          created,
          () => `The federation ${created.name} exists, and this node is its operator.`,
        )
        session.out.note('Next: "maoctl federation invite" makes a token with which another node joins.')
      }),
    )

  federation
    .command('invite')
    .description('make a token with which one node may join once')
    .option('--expires <time>', 'how long it is good, such as 7d', parseDuration)
    .action(
      act(async (session, options: { expires?: number }) => {
        const client = await session.connect()
        const invitation = await client.post('/federation/invitations', invitationSchema, {
          lifeMs: options.expires,
        })
        session.out.result(invitation, () => invitation.token)
        const { warning } = invitation
        if (warning !== undefined) session.out.note(warning)
        const until = timeText(invitation.expiresMs)
        session.out.note(`Good once, until ${until}. On the other node: "maoctl federation join <token>".`)
      }),
    )

  federation
    .command('join <token>')
    .description('join the federation that an invitation names')
    .action(
      act(async (session, token: string) => {
        const client = await session.connect()
        const joined = await client.post('/federation/join', federationSchema, { token })
        session.out.result(joined, () => `This node is a member of ${joined.name}.`)
      }),
    )

  federation
    .command('members')
    .alias('list')
    .description('list the members')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const members = await client.get('/federation/members', z.array(memberSchema))
        session.out.result(members, () => {
          const rows = members.map(({ name, role, connected, self, since, peer }) => {
            return [name, role, self ? 'this node' : connected ? 'yes' : 'no', timeText(since), peer]
          })
          return session.out.table(['name', 'role', 'connected', 'since', 'peer'], rows)
        })
      }),
    )

  federation
    .command('show')
    .description('show this node and its federation')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const status = await client.get('/federation', statusSchema)
        session.out.result(status, () => render(session.out, status))
      }),
    )
}

function render(out: Output, { node, federation }: Status): string {
  const own: Pair[] = [
    ['node', node.name],
    ['peer', node.peer],
    ['addresses', node.addresses.join(' ')],
    ['connected', `${node.connectedPeers} peers`],
  ]
  if (federation === null) return out.pairs([...own, ['federation', 'none yet']])
  const { name, description, members, role, id } = federation
  return out.pairs([
    ...own,
    ['federation', name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['members', String(members)],
    ['our role', role ?? 'not admitted yet'],
    ['id', id],
  ])
}
