import { type Command, Option } from 'commander'
import { type AccessView, accessViewSchema } from '../api/grant-routes.ts'
import { NodeError } from '../base/errors.ts'
import { AUDIENCES } from '../datasets/access.ts'
import { type Output, timeText } from './output.ts'
import type { Act } from './session.ts'

/** `maoctl dataset access …`: who may have a dataset, and who votes on it. */
export function datasetAccessCommands(dataset: Command, act: Act): void {
  const access = dataset.command('access').description('who may have a dataset, and who votes on it')
  const path = (name: string) => `/datasets/${encodeURIComponent(name)}/access`

  access
    .command('show <name>')
    .description('say who may have a dataset and who votes on it, with all grants')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const view = await client.get(path(name), accessViewSchema)
        session.out.result(view, () => accessText(session.out, view))
      }),
    )

  access
    .command('set <name>')
    .description('let every member have a dataset and vote on it, or only those with a grant')
    .addOption(new Option('--read <who>', 'who may have it').choices([...AUDIENCES]))
    .addOption(new Option('--vote <who>', 'who votes on its ground truth').choices([...AUDIENCES]))
    .action(
      act(async (session, name: string, wanted: { read?: string; vote?: string }) => {
        if (wanted.read === undefined && wanted.vote === undefined) {
          throw new NodeError('INVALID_INPUT', 'Give --read, --vote or both, each with members or granted')
        }
        const client = await session.connect()
        const view = await client.put(path(name), accessViewSchema, wanted)
        session.out.result(view, () => accessText(session.out, view))
      }),
    )

  access
    .command('grant <name> <member>')
    .description('grant a member to have a dataset, or to vote on it as well')
    .option('--read', 'it may have the dataset (always so)')
    .option('--vote', 'it votes on the ground truth, too', false)
    .option('--until <when>', 'when the grant ends by itself, such as 2027-01-31 or 2027-01-31T12:00Z')
    .action(
      act(async (session, name: string, member: string, options: { vote: boolean; until?: string }) => {
        const until = options.until === undefined ? {} : { until: timeOf(options.until) }
        const client = await session.connect()
        const view = await client.post(`${path(name)}/grants`, accessViewSchema, {
          ...{ member, read: true, vote: options.vote },
          ...until,
        })
        session.out.result(view, () => accessText(session.out, view))
        noteIdle(session.out, view)
      }),
    )

  access
    .command('revoke <name> <member>')
    .description('end a grant now; transfers under way are cut, what the member has it keeps')
    .action(
      act(async (session, name: string, member: string) => {
        const client = await session.connect()
        await client.delete(`${path(name)}/grants/${encodeURIComponent(member)}`)
        const view = await client.get(path(name), accessViewSchema)
        session.out.result(view, () => accessText(session.out, view))
      }),
    )
}

/** A grant says nothing where everybody may anyhow. */
function noteIdle(out: Output, { dataset, read, vote }: AccessView): void {
  const open = Object.entries({ read, vote }).filter(([, audience]) => audience === 'members')
  if (open.length === 0) return
  const flags = open.map(([right]) => `--${right} granted`).join(' ')
  out.note(
    `Every member may ${open.map(([right]) => right).join(' and ')} without a grant, until: maoctl dataset access set ${dataset} ${flags}`,
  )
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text)
  if (Number.isNaN(timeMs)) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${text}" is no time; one looks like 2027-01-31 or 2027-01-31T12:00Z`,
    )
  }
  return timeMs
}

function accessText(out: Output, { dataset, founder, read, vote, mayRead, grants }: AccessView): string {
  const who = (audience: string) =>
    audience === 'members' ? 'every member' : `${founder} and who has a grant`
  const head = [
    `${dataset} may be had by ${who(read)}, and is voted on by ${who(vote)}.`,
    ...(mayRead ? [] : ['This node has no grant: it neither follows nor fetches it.']),
  ]
  if (grants.length === 0) return head.join('\n')
  const rows = grants.map(({ member, read: reads, vote: votes, since, until, by, inForce }) => [
    member,
    reads ? 'yes' : 'no',
    votes ? 'yes' : 'no',
    timeText(since),
    until === undefined ? '-' : timeText(until),
    by,
    inForce ? 'in force' : 'over',
  ])
  const columns = ['member', 'read', 'vote', 'since', 'until', 'by', 'state']
  return [...head, '', out.table(columns, rows)].join('\n')
}
