/** Does what was decided for one pipeline, through the API alone: what it names first, its schedule last. */
import { approvalViewSchema } from '../../api/approval-view.ts'
import { datasetSchema } from '../../api/dataset-views.ts'
import { installPlanSchema } from '../../api/market-install-views.ts'
import { scheduleViewSchema } from '../../api/schedule-views.ts'
import { secretNameSchema } from '../../api/secret-views.ts'
import { toolViewSchema } from '../../api/views.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { toolSchema } from '../../execution/catalogue/tool.ts'
import { approvalText } from '../approval-text.ts'
import type { Questions } from '../ask.ts'
import type { ApiClient } from '../client.ts'
import { timeText } from '../output.ts'
import type { Session } from '../session.ts'
import type { Decision } from './decisions.ts'

export interface CarryingOut {
  readonly session: Session
  readonly questions: Questions
  readonly client: ApiClient
}

/** How a pipeline stands after all. */
export interface SetUp {
  readonly pipeline: string
  /** Steps that get this node's secrets or data. */
  readonly approved: readonly string[]
  readonly nextMs: number | undefined
  /** What is left to do, with the command that does it. */
  readonly left: readonly string[]
}

/** @throws NodeError naming what was done before it failed (`data.done`). */
export async function carryOut(parts: CarryingOut, decision: Decision): Promise<SetUp> {
  const { name } = decision.candidate
  const done: string[] = []
  const did = (what: string) => {
    done.push(what)
    parts.session.out.note(`✓ ${what}`)
  }
  try {
    await bring(parts.client, decision, did)
    await seal(parts.client, decision, did)
    const { steps, left } = await approve(parts, decision, did)
    const nextMs = await schedule(parts.client, decision, did)
    const idle = nextMs === undefined && decision.candidate.missing.schedule
    const byHand = idle ? [`${name} runs when you say so: maoctl run submit ${name}`] : []
    return { pipeline: name, approved: steps, nextMs, left: [...left, ...byHand] }
  } catch (cause) {
    if (!isNodeError(cause)) throw cause
    const before = done.length === 0 ? 'nothing of it was done' : `done before: ${done.join('; ')}`
    throw new NodeError(
      cause.code,
      `${name}: ${cause.message}; ${before}`,
      { ...cause.data, done },
      { cause },
    )
  }
}

async function bring(client: ApiClient, decision: Decision, did: (what: string) => void): Promise<void> {
  const { candidate, install, tools, datasets, policy } = decision
  if (install !== undefined) {
    const { wish, plan } = install
    const { fingerprint } = plan
    await client.post('/market/install', installPlanSchema, { ...wish, fingerprint })
    did(`${candidate.name} is in the federation, with its tools and datasets`)
  }
  for (const { name, description, body } of tools) {
    // [MUST] What a listing says of the labels of an image is not taken over (protocols/services.md).
    const tool = toolSchema.omit({ service: true }).parse({ ...body, description })
    await client.post('/tools', toolViewSchema, { ...tool, name })
    did(`the tool ${name} is registered`)
  }
  for (const name of datasets) {
    await client.post('/datasets', datasetSchema, { name, policy })
    did(`the dataset ${name} is made, ${policy}`)
  }
}

async function seal(client: ApiClient, decision: Decision, did: (what: string) => void): Promise<void> {
  const pipeline = decision.candidate.name
  for (const [variable, value] of decision.secrets) {
    await client.put('/secrets', secretNameSchema, { variable, pipeline, value })
    did(`${variable} is sealed for ${pipeline}`)
  }
}

/** A step that cannot be approved yet, for want of its image or an engine, leaves the rest as it is. */
async function approve(
  { session, questions, client }: CarryingOut,
  { candidate: { name }, isStrange }: Decision,
  did: (what: string) => void,
): Promise<{ steps: string[]; left: string[] }> {
  const path = `/pipelines/${encodeURIComponent(name)}/approve`
  const later = `maoctl pipeline approve ${name}`
  try {
    const { steps, fingerprint } = await client.post(path, approvalViewSchema, { preview: true })
    if (steps.every(({ approved }) => approved)) return { steps: steps.map(({ step }) => step), left: [] }
    session.out.note(steps.map(approvalText).join('\n'))
    // The word that agrees to everything else does not hand secrets and data to what a stranger wrote.
    if (isStrange && !questions.arePut) {
      return {
        steps: [],
        left: [`what a stranger wrote in ${name} gets nothing by --yes; when you trust it: ${later}`],
      }
    }
    const message = 'Let these steps have what they ask for, for as long as they stay as they are?'
    if (!(await questions.yes({ flag: '--yes', message, default: !isStrange }))) {
      return { steps: [], left: [`steps of ${name} wait for your word: ${later}`] }
    }
    await client.post(path, approvalViewSchema, { fingerprint })
    did(`${steps.map(({ step }) => step).join(', ')} of ${name} get what they ask for`)
    return { steps: steps.map(({ step }) => step), left: [] }
  } catch (error) {
    if (!isNodeError(error) || !WAITS_FOR_IMAGE.has(error.code)) throw error
    session.out.note(`! ${name} could not be approved yet: ${error.message}`)
    return { steps: [], left: [`once its images can be had: ${later}`] }
  }
}

const WAITS_FOR_IMAGE: ReadonlySet<string> = new Set([
  'IMAGE_NOT_FOUND',
  'IMAGE_FORBIDDEN',
  'IMAGE_MOVED',
  'ENGINE_UNAVAILABLE',
])

async function schedule(
  client: ApiClient,
  { candidate, schedule: wanted }: Decision,
  did: (what: string) => void,
): Promise<number | undefined> {
  if (wanted === undefined) return undefined
  const made = await client.post('/schedules', scheduleViewSchema, { pipeline: candidate.name, ...wanted })
  did(`${candidate.name} runs next at ${timeText(made.nextMs)}`)
  return made.nextMs
}
