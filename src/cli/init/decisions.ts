/** What whoever sets pipelines up decides, before anything of it is done. */
import { type InstallPlanView, installPlanSchema } from '../../api/market-install-views.ts'
import type { ListingView } from '../../api/market-views.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { checkCron } from '../../execution/schedules/schedule.ts'
import { nextSlots, TIMEZONE_DEFAULT } from '../../execution/schedules/slots.ts'
import type { Questions } from '../ask.ts'
import type { ApiClient } from '../client.ts'
import { planText } from '../market-install.ts'
import { timeText } from '../output.ts'
import type { Session } from '../session.ts'
import type { Candidate } from './overview.ts'
import { listerText, meant, nearest } from './whose.ts'
import { listed, type Seen } from './world.ts'

export interface InitFlags {
  list?: boolean
  pipeline?: string[]
  secret?: string[]
  cron?: string
  schedule: boolean
  timezone?: string
  shared?: boolean
  shareNames?: boolean
  toolAuthor?: Record<string, string>
}

/** What is to be done for one pipeline. */
export interface Decision {
  readonly candidate: Candidate
  /** From the marketplace, as it was shown; undefined for one of the federation. */
  readonly install: { readonly wish: object; readonly plan: InstallPlanView } | undefined
  /** What a pipeline of the federation lacks there. */
  readonly tools: readonly ListingView[]
  readonly datasets: readonly string[]
  readonly policy: 'local-only' | 'shared'
  readonly secrets: ReadonlyMap<string, string>
  readonly schedule: { readonly cron: string; readonly timezone: string | undefined } | undefined
  /** Its tools or itself come from somebody who is no member: what they ask for is agreed to by a person, and apart. */
  readonly isStrange: boolean
}

export interface Deciding {
  readonly session: Session
  readonly questions: Questions
  readonly client: ApiClient
  readonly flags: InitFlags
  readonly seen: Seen
  /** Values that flags announced, by variable. */
  readonly told: ReadonlyMap<string, string>
}

const CRON_EXAMPLE = '0 3 * * *'
const SLOTS_SHOWN = 3

/** @throws NodeError CONFLICT for what cannot be brought, INVALID_INPUT, INVALID_CRON, CANCELLED */
export async function decide(deciding: Deciding, candidate: Candidate): Promise<Decision> {
  const { session, flags } = deciding
  const policy = flags.shared === true ? 'shared' : 'local-only'
  session.out.note(session.out.style('bold', `\n${candidate.name}`))
  const isListed = candidate.author !== undefined
  const install = isListed ? await decideInstall(deciding, candidate, policy) : undefined
  const tools = isListed ? [] : await decideTools(deciding, candidate)
  const datasets = isListed ? [] : candidate.missing.datasets
  if (datasets.length > 0) {
    const kind = policy === 'shared' ? 'for all members' : 'on this node alone (local-only)'
    await agreed(deciding, `Make the missing datasets ${datasets.join(', ')} ${kind}?`)
  }
  const secrets = await decideSecrets(deciding, candidate)
  const schedule = await decideSchedule(deciding, candidate)
  const isStrange =
    tools.some(({ standing }) => standing === 'stranger') ||
    (install !== undefined && strangersIn(install.plan).length > 0)
  return { candidate, install, tools, datasets, policy, secrets, schedule, isStrange }
}

/** Who is no member, of those that something comes from which the federation does not have yet. */
function strangersIn({ source, tools }: InstallPlanView): string[] {
  const added = tools.filter(({ state }) => state === 'add').map((tool) => tool.source)
  return [source, ...added].flatMap((from) => (from?.standing === 'stranger' ? [from.author] : []))
}

/** The marketplace's own plan, shown and agreed to; who lists the pipeline was named, or is no stranger (init.ts). */
async function decideInstall(
  deciding: Deciding,
  { name, author, from }: Candidate,
  policy: Decision['policy'],
): Promise<Decision['install']> {
  const { client, session, flags, questions } = deciding
  // A person is told the names in the question, and may say no.
  const shareNames = flags.shareNames === true || questions.arePut
  const wish = { name, author, toolAuthors: flags.toolAuthor, datasets: policy, shareNames }
  const plan = await client.post('/market/install', installPlanSchema, { ...wish, dry: true })
  session.out.note(planText(session.out, plan))
  if (plan.blocked.length > 0) {
    const { blocked } = plan
    const message = `${name} (${from}) cannot be brought into the federation: ${blocked.join('; ')}`
    throw new NodeError('CONFLICT', message, { name, blocked })
  }
  const told = plan.told.length === 0 ? '' : ` All members will read the names ${plan.told.join(', ')}.`
  await agreed(deciding, `Bring ${name} into the federation like this?${told}`)
  return { wish, plan }
}

/** Listings for tools that a pipeline of the federation names and nobody has registered. */
async function decideTools(deciding: Deciding, { name, missing }: Candidate): Promise<ListingView[]> {
  const { questions, client, flags } = deciding
  const chosen: ListingView[] = []
  for (const tool of missing.tools) {
    const listings = await listed(client, 'tool', tool)
    const author = flags.toolAuthor?.[tool]
    const near = author === undefined ? nearest(listings) : listings.filter((each) => each.author === author)
    const [only] = near
    if (only === undefined) {
      const message =
        author === undefined
          ? `${name} wants the tool ${tool}, which the federation has not and nobody lists; "maoctl tool add ${tool} --image IMAGE" registers one`
          : `${author} lists no tool ${tool}; "maoctl market list --kind tool --name ${tool}" tells who does`
      throw new NodeError('TOOL_NOT_FOUND', message, { tool })
    }
    const listing =
      near.length === 1
        ? only
        : await questions.choice({
            flag: `--tool-author ${tool}=PEER`,
            message: `Several list a tool named ${tool}; whose?`,
            choices: near.map((each) => ({
              value: each,
              name: `${imageOf(each)}  ${listerText(each)}`,
              description: each.description,
            })),
          })
    if (author === undefined && near.length === 1) {
      const flag = `--tool-author ${tool}=${only.author}`
      await meant(questions, { what: `The tool ${tool}, image ${imageOf(only)},`, flag, lister: only })
    }
    await agreed(
      deciding,
      `Register the tool ${tool}, image ${imageOf(listing)}, as it is listed by ${listerText(listing)}?`,
    )
    chosen.push(listing)
  }
  return chosen
}

function imageOf({ body }: ListingView): string {
  return typeof body.image === 'string' ? body.image : '(no image)'
}

/** What is told by a flag replaces what was sealed before; what is sealed already is not asked again. */
async function decideSecrets(deciding: Deciding, candidate: Candidate): Promise<Map<string, string>> {
  const { questions, told } = deciding
  const { name, variables, missing } = candidate
  const values = new Map<string, string>()
  for (const wanted of variables) {
    const { variable, step } = wanted
    const known = told.get(variable)
    if (known === undefined && !missing.secrets.includes(wanted)) continue
    const message = `${variable}, which the step ${step} of ${name} is given`
    values.set(variable, known ?? (await questions.secret({ flag: `--secret ${variable}`, message })))
  }
  return values
}

async function decideSchedule(deciding: Deciding, { name }: Candidate): Promise<Decision['schedule']> {
  const { session, questions, flags, seen } = deciding
  const before = seen.schedules.find(({ pipeline }) => pipeline === name)
  if (!flags.schedule) return undefined
  if (before !== undefined && flags.cron === undefined) {
    const zone = before.timezone ?? TIMEZONE_DEFAULT
    session.out.note(
      `${name} runs by itself already: ${before.cron} (${zone})${before.paused ? ', paused' : ''}.`,
    )
    return undefined
  }
  for (;;) {
    const cron = flags.cron ?? (await askCron(deciding, name))
    if (cron === '') return undefined
    const { timezone } = flags
    checkCron(cron, timezone)
    session.out.note(
      `${cron} (${timezone ?? TIMEZONE_DEFAULT}) means:\n${nextTimes(cron, timezone).join('\n')}`,
    )
    const yes = await questions.yes({ flag: '--yes', message: `Run ${name} at these times?`, default: true })
    if (yes) return { cron, timezone }
    if (flags.cron !== undefined) return undefined
  }
}

async function askCron({ questions, flags }: Deciding, name: string): Promise<string> {
  const check = (text: string) =>
    text === '' || text === 'none' ? undefined : cronProblem(text, flags.timezone)
  const answer = await questions.text({
    flag: '--cron RULE or --no-schedule',
    message: `When is ${name} to run? A cron rule (${flags.timezone ?? TIMEZONE_DEFAULT}), or none`,
    ...(questions.areHeard ? { default: CRON_EXAMPLE } : {}),
    check,
  })
  return answer === 'none' ? '' : answer
}

/** The same pure function as the node's own schedule. */
function nextTimes(cron: string, timezone: string | undefined): string[] {
  return nextSlots({ cron, timezone }, Date.now(), SLOTS_SHOWN).map((slot) => `  ${timeText(slot)}`)
}

function cronProblem(cron: string, timezone: string | undefined): string | undefined {
  try {
    checkCron(cron, timezone)
    return undefined
  } catch (error) {
    if (!isNodeError(error, 'INVALID_CRON')) throw error
    return messageOf(error)
  }
}

/** @throws NodeError CANCELLED */
async function agreed({ questions }: Deciding, message: string): Promise<void> {
  if (await questions.yes({ flag: '--yes', message, default: true })) return
  throw new NodeError('CANCELLED', 'Nothing was changed')
}
