import type { Command } from 'commander'
import { type ReliabilityView, reliabilitySchema } from '../api/reliability-routes.ts'
import { countText, type Output } from './output.ts'
import type { Act } from './session.ts'

type MemberView = ReliabilityView['members'][number]
type StepView = MemberView['steps'][number]

const HELP = `
Each result of a round says which ballots agree with it; these figures are counted from the results behind the ground
truth, and every member that has the dataset counts the same. A newcomer has a reliability of 50 %. Where a dataset's
rule says so ("maoctl dataset rule"), ballots weigh by it, or the result of one proven member is enough.`

/** `maoctl reliability …`: what past results say of members. */
export function reliabilityCommands(program: Command, act: Act): void {
  const reliability = program
    .command('reliability')
    .description("how far members' past results agreed with what was decided")

  reliability
    .command('list')
    .description('list the members with what their past results were')
    .option('--dataset <name>', 'in one dataset')
    .addHelpText('after', HELP)
    .action(
      act(async (session, { dataset }: { dataset?: string }) => {
        const client = await session.connect()
        const found = await client.get('/reliability', reliabilitySchema, { dataset })
        session.out.result(found, () => {
          const rows = found.members.flatMap((member) => {
            if (member.steps.length === 0) return [[member.name, '-', '-', '0', '-', '-', '-', '-', '-']]
            return member.steps.map((step) => [member.name, ...rowOf(step)])
          })
          return withUnknown(found, session.out.table(['member', ...COLUMNS], rows))
        })
      }),
    )

  reliability
    .command('show <member>')
    .description('show what the past results of one member were, and in which rounds it differed')
    .option('--dataset <name>', 'in one dataset')
    .addHelpText('after', HELP)
    .action(
      act(async (session, member: string, { dataset }: { dataset?: string }) => {
        const client = await session.connect()
        const found = await client.get('/reliability', reliabilitySchema, { dataset, member })
        session.out.result(found, () => {
          return withUnknown(found, found.members.map((each) => memberText(session.out, each)).join('\n\n'))
        })
      }),
    )
}

const COLUMNS = ['dataset', 'step', 'results', 'agreed', 'in a row', 'reliability', 'weight', 'proven']

function rowOf({ dataset, step, counted, agreed, inARow, reliability, weight, proven }: StepView): string[] {
  const share = `${(reliability * 100).toFixed(1)} %`
  const isProven = proven === undefined ? '-' : proven.is ? 'yes' : `no (${inARow} of ${proven.needed})`
  const weighs = weight === undefined ? '-' : (weight / 1_000).toFixed(3)
  return [dataset, step, String(counted), String(agreed), String(inARow), share, weighs, isProven]
}

function memberText(out: Output, { name, peer, isMember, counted, agreed, steps }: MemberView): string {
  const pairs = out.pairs([
    ['member', isMember ? name : `${name} (no member any more)`],
    ['peer', peer],
    ['results', counted === 0 ? 'none that say anything of it' : `agreed in ${agreed} of ${counted}`],
  ])
  const differences = steps.flatMap(({ differences: of }) =>
    of.map(({ round, differs }) => [round, countText(differs, 'file or entry', 'files or entries')]),
  )
  return [
    pairs,
    ...(steps.length === 0 ? [] : [out.table(COLUMNS, steps.map(rowOf))]),
    ...(differences.length === 0 ? [] : [out.table(['differed in round', 'in'], differences)]),
  ].join('\n\n')
}

function withUnknown({ unknown }: ReliabilityView, text: string): string {
  if (unknown.length === 0) return text
  const lines = unknown.map(({ dataset, reason }) => `Not known here of ${dataset}: ${reason}.`)
  return `${text}\n\n${lines.join('\n')}`
}
