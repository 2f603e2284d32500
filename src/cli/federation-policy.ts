import { type Command, Option } from 'commander'
import type { z } from 'zod'
import { policyViewSchema } from '../api/federation-views.ts'
import { NodeError } from '../base/errors.ts'
import { type FederationPolicyText, JOINING } from '../federation/federation-policy.ts'
import { ROLES } from '../federation/keyspace.ts'
import { gather, parseCount } from './arguments.ts'
import { countText, type Output, type Pair } from './output.ts'
import type { Act } from './session.ts'

interface ProposeOptions {
  join?: string
  newcomers?: string
  operatorsNeeded?: number
  contact?: string[]
}

export function federationPolicyCommands(federation: Command, act: Act): void {
  const policy = federation
    .command('policy')
    .description('the rules of the federation, changed by operators together')

  policy
    .command('show')
    .description('show what holds, and what operators have proposed')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const view = await client.get('/federation/policy', policyViewSchema)
        session.out.result(view, () => render(session.out, view))
      }),
    )

  policy
    .command('propose')
    .description('propose a change; it is in force when enough operators have endorsed it')
    .addOption(new Option('--join <how>', 'how newcomers come in').choices(JOINING))
    .addOption(new Option('--newcomers <role>', 'what somebody who comes in by asking may do').choices(ROLES))
    .option('--operators-needed <count>', 'operators who must endorse a change', parseCount)
    .option('--contact <text>', 'who answers questions, in place of those so far (repeatable)', gather)
    .action(
      act(async (session, options: ProposeOptions) => {
        const client = await session.connect()
        const { contact: contacts, ...rest } = options
        const view = await client.post('/federation/policy/proposals', policyViewSchema, {
          ...rest,
          contacts,
        })
        session.out.result(view, () => render(session.out, view))
      }),
    )

  policy
    .command('endorse')
    .description('endorse what another operator has proposed; it is shown first')
    .argument('[proposal]', 'its id, as "policy show" tells it; where one is open alone, that one')
    .action(
      act(async (session, named: string | undefined) => {
        const client = await session.connect()
        const before = await client.get('/federation/policy', policyViewSchema)
        const proposal = proposalCalled(before, named)
        session.out.note(session.out.pairs(proposalPairs(proposal)))
        // Whoever typed the id has read what it stands for; others are asked.
        if (named === undefined || session.isAttended) {
          await session.confirm(`Endorse the proposal ${proposal.id}?`)
        }
        const view = await client.post('/federation/policy/endorse', policyViewSchema, { id: proposal.id })
        session.out.result(view, () => render(session.out, view))
        session.out.note(standing(view, proposal.id))
      }),
    )
}

type PolicyView = z.output<typeof policyViewSchema>
type Proposal = PolicyView['proposals'][number]

/** @throws NodeError NOT_FOUND, CONFLICT where nobody said which of several. */
function proposalCalled({ proposals }: PolicyView, named: string | undefined): Proposal {
  const found = named === undefined ? proposals : proposals.filter(({ id }) => id.startsWith(named))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const ids = proposals.map(({ id }) => id).join(', ')
  if (proposals.length === 0) throw new NodeError('NOT_FOUND', 'No change of the policy is proposed')
  if (named === undefined) throw new NodeError('CONFLICT', `Several are proposed; say which: ${ids}`)
  throw new NodeError('NOT_FOUND', `No one proposal is called ${named}; these are open: ${ids}`)
}

function proposalPairs({ id, policy, endorsedBy }: Proposal): Pair[] {
  return [
    ['proposal', id],
    ...policyPairs(policy),
    ['changes need', countText(policy.operatorsNeeded, 'operator')],
    ['endorsed by', endorsedBy.join(', ')],
  ]
}

/** Whether a proposal holds now, or waits for others. */
function standing({ proposals, needed }: PolicyView, id: string): string {
  const open = proposals.find((each) => each.id === id)
  if (open === undefined) return 'It is in force.'
  return `It waits for ${countText(needed - open.endorsedBy.length, 'more operator')}: "maoctl federation policy endorse ${id}".`
}

/** What a policy says, for people. */
export function policyPairs({ join, newcomers, contacts }: FederationPolicyText): Pair[] {
  const ways = {
    invitation: 'by invitation alone',
    request: `by invitation, or by a request that an operator approves (as ${newcomers})`,
    open: `open: whoever asks is admitted (as ${newcomers})`,
  }
  return [
    ['joining', ways[join]],
    ...(contacts.length === 0 ? [] : [['contacts', contacts.join(', ')] as Pair]),
  ]
}

function render(out: Output, view: PolicyView): string {
  const { policy, needed, proposals, sequence, private: isPrivate } = view
  const held = out.pairs([
    ...policyPairs(policy),
    ['private', isPrivate ? 'yes: strangers see nothing' : 'no'],
    [
      'changes need',
      `${countText(policy.operatorsNeeded, 'operator')}${needed < policy.operatorsNeeded ? ` (all ${needed} there are)` : ''}`,
    ],
    ['changed', countText(sequence, 'time')],
  ])
  if (proposals.length === 0) return held
  const rows = proposals.map(({ id, policy: { join, newcomers, operatorsNeeded, contacts }, endorsedBy }) => {
    const by = `${endorsedBy.join(', ')} (${endorsedBy.length} of ${needed})`
    return [id, join, newcomers, String(operatorsNeeded), contacts.join(', ') || '-', by]
  })
  const head = ['proposal', 'join', 'newcomers', 'operators needed', 'contacts', 'endorsed by']
  return `${held}\n\n${out.table(head, rows)}`
}
