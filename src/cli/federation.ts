import { type Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { federationSchema, formerMemberSchema, memberSchema } from '../api/federation-views.ts'
import { type Status, statusSchema } from '../api/views.ts'
import { NodeError } from '../base/errors.ts'
import { JOINING } from '../federation/federation-policy.ts'
import { ROLES } from '../federation/keyspace.ts'
import { gather, parseCount } from './arguments.ts'
import { askSecret } from './ask-secret.ts'
import type { ApiClient } from './client.ts'
import { invitationCommands } from './federation-invitations.ts'
import { federationPolicyCommands, policyPairs } from './federation-policy.ts'
import { requestCommands } from './federation-requests.ts'
import { article, endedText } from './federation-words.ts'
import { untilOption } from './moments.ts'
import { countText, type Output, type Pair, timeText } from './output.ts'
import type { Act } from './session.ts'

const JOIN_HELP = `
An invitation is good for whoever has it first, and may carry the key of a private network; what stands in a command line
is seen by all users of the machine:

  maoctl federation join -                     (asks for it)
  maoctl federation join - < invitation.txt
  ssh other maoctl federation invite | maoctl federation join -`

interface CreateOptions {
  name: string
  description?: string
  contact?: string[]
  founder?: { peer: string; name: string }[]
  join: string
  newcomers?: string
  private?: boolean
  operatorsNeeded?: number
}

export function federationCommands(program: Command, act: Act): void {
  const federation = program.command('federation').description('the group of nodes that this one belongs to')

  federation
    .command('create')
    .description('found a federation with this node as its first operator')
    .requiredOption('--name <name>', 'name of the federation')
    .option('--description <text>', 'what it is for')
    .option('--contact <text>', 'mail address or page of who answers questions (repeatable)', gather)
    .option('--founder <peer=name>', 'a further operator from the beginning (repeatable)', gatherFounder)
    .addOption(new Option('--join <how>', 'how newcomers come in').choices(JOINING).default('invitation'))
    .addOption(new Option('--newcomers <role>', 'what somebody who comes in by asking may do').choices(ROLES))
    .option('--operators-needed <count>', 'operators who must endorse a change of policy', parseCount)
    .option('--private', 'strangers see nothing: its network asks for a key, which invitations carry')
    .action(
      act(async (session, options: CreateOptions) => {
        const client = await session.connect()
        const { contact: contacts, founder: founders, ...rest } = options
        const created = await client.post('/federation', federationSchema, { ...rest, contacts, founders })
        session.out.result(
          created,
          () => `The federation ${created.name} exists, and this node is its operator.`,
        )
        session.out.note('Next: "maoctl federation invite" makes a token with which another node joins.')
      }),
    )

  invitationCommands(federation, act)

  federation
    .command('join')
    .argument('[token]', 'the invitation; - or nothing: it is asked for, or read from standard input', '-')
    .description('join the federation that an invitation names')
    .addHelpText('after', JOIN_HELP)
    .action(
      act(async (session, given: string) => {
        const client = await session.connect()
        const token = given === '-' ? (await askSecret(session, 'The invitation')).trim() : given
        const joined = await client.post('/federation/join', federationSchema, { token })
        session.out.result(joined, () => `This node is a member of ${joined.name}.`)
      }),
    )

  requestCommands(federation, act)

  federation
    .command('leave')
    .description('leave the federation; what this node holds stays on it')
    .option('--reason <text>', 'what the others read')
    .option('--force', 'leave also when no operator can be told')
    .action(
      act(async (session, options: { reason?: string; force?: boolean }) => {
        await session.confirm('Leave the federation? To come back takes a new invitation or request.')
        const client = await session.connect()
        const left = await client.post('/federation/leave', federationSchema, options)
        session.out.result(
          left,
          () => `This node has left ${left.name}; its datasets and runs are still here.`,
        )
      }),
    )

  federation
    .command('members')
    .alias('list')
    .description('list the members')
    .option('--former', 'those whose membership is over, and why')
    .action(
      act(async (session, options: { former?: boolean }) => {
        const client = await session.connect()
        if (options.former === true) {
          const former = await client.get('/federation/former-members', z.array(formerMemberSchema))
          session.out.result(former, () => {
            const rows = former.map(({ name, role, endedMs, reason, peer }) => {
              return [name, role, timeText(endedMs), reason || '-', peer]
            })
            return session.out.table(['name', 'was', 'ended', 'reason', 'peer'], rows)
          })
          return
        }
        const members = await client.get('/federation/members', z.array(memberSchema))
        session.out.result(members, () => {
          const rows = members.map(({ name, role, connected, self, since, until, peer }) => {
            const there = self ? 'this node' : connected ? 'yes' : 'no'
            return [name, role, there, timeText(since), timeText(until), peer]
          })
          return session.out.table(['name', 'role', 'connected', 'since', 'until', 'peer'], rows)
        })
      }),
    )

  federation
    .command('role')
    .description('change what a member may do, or when its membership ends')
    .argument('<member>', 'name or peer id')
    .addArgument(federation.createArgument('<role>', 'what it may do').choices(ROLES))
    .option('--until <moment>', 'when its membership ends by itself, such as 90d or 2027-01-31', untilOption)
    .option('--no-until', 'its membership does not end by itself')
    .action(
      act(async (session, member: string, role: string, options: { until?: number | boolean }) => {
        const client = await session.connect()
        const until = options.until === false ? null : options.until === true ? undefined : options.until
        const self = await selfCalled(client, member)
        if (self?.role === 'operator' && role !== 'operator') {
          await session.confirm(
            `${self.name} is this node itself: only another operator can make it one again. Go on?`,
          )
        }
        const path = `/federation/members/${encodeURIComponent(member)}/role`
        const changed = await client.put(path, memberSchema, { role, until })
        session.out.result(changed, () => {
          const end = changed.until === undefined ? '' : ` until ${timeText(changed.until)}`
          return `${changed.name} is ${article(changed.role)} ${changed.role} now${end}.`
        })
      }),
    )

  federation
    .command('remove <member>')
    .description('end a membership, everywhere; the member is told the reason')
    .option('--reason <text>', 'why')
    .action(
      act(async (session, member: string, options: { reason?: string }) => {
        const client = await session.connect()
        if ((await selfCalled(client, member)) !== undefined) {
          const message = `${member} is this node itself; "maoctl federation leave" ends its own membership`
          throw new NodeError('INVALID_INPUT', message)
        }
        await session.confirm(`End the membership of ${member}?`)
        const path = `/federation/members/${encodeURIComponent(member)}/remove`
        const removed = await client.post(path, formerMemberSchema, options)
        session.out.result(removed, () => `${removed.name} is no member any more.`)
      }),
    )

  federationPolicyCommands(federation, act)

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

/** This node as a member, where the name or peer id is its own. */
async function selfCalled(client: ApiClient, called: string) {
  const members = await client.get('/federation/members', z.array(memberSchema))
  return members.find(({ self, name, peer }) => self && (name === called || peer === called))
}

function gatherFounder(text: string, before: { peer: string; name: string }[] | undefined) {
  const [, peer, name] = /^([A-Za-z0-9]+)=(.+)$/.exec(text) ?? []
  if (peer === undefined || name === undefined) {
    throw new InvalidArgumentError(
      'a founder looks like 12D3Koo…=name; its node tells its peer id by "maoctl federation show"',
    )
  }
  return [...(before ?? []), { peer, name }]
}

function render(out: Output, { node, federation }: Status): string {
  const own: Pair[] = [
    ['node', node.name],
    ['peer', node.peer],
    ['addresses', node.addresses.join(' ')],
    ['connected', countText(node.connectedPeers, 'peer')],
  ]
  if (federation === null) return out.pairs([...own, ['federation', 'none yet']])
  const { name, description, members, role, id, ended, policy } = federation
  return out.pairs([
    ...own,
    ['federation', federation.private ? `${name} (private)` : name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['members', String(members)],
    ['our role', ended === undefined ? (role ?? 'not admitted yet') : endedText(ended)],
    ...(policy === undefined ? [] : policyPairs(policy)),
    ['id', id],
  ])
}
