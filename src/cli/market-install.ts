import { type Command, InvalidArgumentError, Option } from 'commander'
import { type InstallPlanView, installPlanSchema } from '../api/market-install-views.ts'
import { NodeError } from '../base/errors.ts'
import { EXIT } from './exit-codes.ts'
import { type Output, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

interface Installing {
  author?: string
  toolAuthor?: Record<string, string>
  shared?: boolean
  shareNames?: boolean
  dryRun?: boolean
}

const AFTER = `
Shows what is there (✓), what would be made (+) and what is in the way (✗), asks, and then makes all of it or nothing.
What a stranger lists is never taken without a word: look at it, and name the author.

  maoctl market install observatory --dry-run
  maoctl market install observatory --author 12D3KooW… --share-names`

export function installCommand(market: Command, act: Act): void {
  market
    .command('install <pipeline>')
    .description('bring a pipeline with its tools and datasets into the federation')
    .option('--author <peer>', 'whose, where it is not clear, and always for a stranger')
    .addOption(
      new Option('--tool-author <tool=peer>', 'whose tool, where it is not clear (repeatable)').argParser(
        toolAuthor,
      ),
    )
    .option('--shared', 'make missing datasets for all members, rather than for this node alone')
    .option('--share-names', 'let all members read the names of datasets that stay on this node')
    .option('--dry-run', 'only show what would be done')
    .addHelpText('after', AFTER)
    .action(act(install))
}

async function install(session: Session, name: string, options: Installing): Promise<void> {
  const client = await session.connect()
  const { author, toolAuthor: toolAuthors, shared, dryRun, shareNames } = options
  const wish = {
    ...{ name, author, toolAuthors },
    datasets: shared === true ? ('shared' as const) : ('local-only' as const),
    shareNames: shareNames === true,
  }
  const show = (wanted: object) =>
    client.post('/market/install', installPlanSchema, { ...wish, ...wanted, dry: true })
  let plan = await show({})
  const { out } = session
  if (dryRun === true) {
    out.result(plan, () => planText(out, plan))
    if (plan.blocked.length > 0) session.exitCode = EXIT.OUTCOME
    return
  }
  if (!plan.done) out.note(planText(out, plan))
  const known = plan.source
  let named: { author?: string } = {}
  // To name somebody is more than to say yes to everything.
  const isAsked = session.isAttended && session.globals.yes !== true
  if (author === undefined && known?.standing === 'stranger' && isAsked) {
    const since = timeText(known.heardMs)
    await session.confirm(
      `${name} is listed by ${known.author}, no member of this federation, known here since ${since}. Is that whom you mean?`,
    )
    named = { author: known.author }
    plan = await show(named)
  }
  if (plan.blocked.length > 0) {
    const message = `${name} cannot be installed: ${plan.blocked.join('; ')}`
    throw new NodeError(plan.state === 'unknown' ? 'LISTING_NOT_FOUND' : 'CONFLICT', message, {
      blocked: plan.blocked,
    })
  }
  if (!plan.done) await session.confirm(`Install ${name} like this?`)
  const { fingerprint } = plan
  const installed = await client.post('/market/install', installPlanSchema, {
    ...wish,
    ...named,
    fingerprint,
  })
  out.result(installed, () => doneText(installed))
}

/** `collect=12D3KooW…`, several times. @throws InvalidArgumentError */
export function toolAuthor(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, tool, peer] = /^([^=]+)=([^=]+)$/.exec(text) ?? []
  if (tool === undefined || peer === undefined) {
    throw new InvalidArgumentError('a tool and its author look like collect=12D3KooW…')
  }
  return { ...before, [tool]: peer }
}

const MARKS = {
  ...{ here: '✓', add: '+', empty: '+', upstream: '+' },
  ...{ differs: '≠', unknown: '✗', unclear: '✗' },
} as const

export function planText(out: Output, plan: InstallPlanView): string {
  const steps = plan.steps.map(({ name }) => name).join(' → ')
  const lines = [
    `${MARKS[plan.state]} pipeline ${plan.name}${steps === '' ? '' : `: ${steps}`}${from(plan.source)}`,
    ...plan.tools.map(({ name, state, image = '', listed, source }) => {
      const other = listed === undefined ? '' : `, not the listed ${listed}`
      return `${MARKS[state]} tool ${name} ${image}${other}${from(source)}`
    }),
    ...plan.datasets.map((dataset) => {
      const { name, state, policy, upstream, source } = dataset
      if (state === 'here') return `✓ dataset ${name} (${policy})`
      const made = state === 'empty' ? 'is made, empty' : `is made, to be pulled from ${upstream?.url}`
      return `+ dataset ${name} ${made} (${policy})${from(source)}`
    }),
    ...plan.asks.map((ask) => `! ${ask}`),
    ...plan.blocked.map((why) => out.style('yellow', `✗ ${why}`)),
  ]
  return lines.join('\n')
}

function from(source: InstallPlanView['source']): string {
  if (source === undefined) return ''
  const { author, standing, heardMs } = source
  const who = { own: 'this node', member: `the member ${author}`, stranger: `${author}, no member` }[standing]
  return `, listed by ${who}, known since ${timeText(heardMs)}`
}

function doneText({ name, done, datasets, tools }: InstallPlanView): string {
  if (done) return `All of ${name} is in the federation already.`
  const added = tools.filter(({ state }) => state === 'add').map((tool) => `the tool ${tool.name}`)
  const made = datasets.filter(({ state }) => state !== 'here')
  const all = [...added, ...made.map((dataset) => `the dataset ${dataset.name}`)]
  const pulls = made
    .filter(({ state }) => state === 'upstream')
    .map((dataset) => `\nIts data come with "maoctl dataset upstream pull ${dataset.name}".`)
  return `${name} is installed${all.length === 0 ? '' : `, with ${all.join(', ')}`}.${pulls.join('')}`
}
