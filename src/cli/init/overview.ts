/**
 * Which pipelines there are, in the federation and on the marketplace, and what each lacks to run here by itself. Pure.
 */
import type { z } from 'zod'
import type { ListingView } from '../../api/market-views.ts'
import type { secretSchema } from '../../api/secret-views.ts'
import type { pipelineViewSchema, stepViewSchema } from '../../api/views.ts'
import { SECRET_PLACEHOLDER } from '../../execution/catalogue/pipeline.ts'
import { type Lister, listerText, nearest } from './whose.ts'

export type PipelineView = z.output<typeof pipelineViewSchema>
type Secret = z.output<typeof secretSchema>
/** Of a step, what this asks for; a listing's may be anything. */
type Step = Pick<
  z.output<typeof stepViewSchema>,
  'name' | 'tool' | 'env' | 'input_dataset' | 'output_dataset'
> &
  Partial<Pick<z.output<typeof stepViewSchema>, 'filter' | 'inputs'>>

export interface World {
  readonly pipelines: readonly PipelineView[]
  readonly tools: readonly string[]
  readonly datasets: readonly string[]
  readonly secrets: readonly Secret[]
  /** Pipelines that run by themselves. */
  readonly scheduled: readonly string[]
  readonly listed: { readonly pipelines: readonly ListedPipeline[]; readonly tools: readonly string[] }
}

export interface ListedPipeline extends Lister, Pick<ListingView, 'name' | 'description'> {
  readonly steps: readonly Step[]
}

/** A variable that is filled with a secret of this node, and the first step that has it. */
export interface Wanted {
  readonly variable: string
  readonly step: string
}

export interface Candidate {
  readonly name: string
  readonly description: string
  /** The peer id of who lists it; undefined for one of the federation. */
  readonly author: string | undefined
  /** Who that is; undefined for one of the federation. */
  readonly lister: Lister | undefined
  /** For people: `federation`, or who lists it. */
  readonly from: string
  /** Whether it is registered, with all that it names. */
  readonly inFederation: boolean
  /** Whether it runs here by itself: nothing at all is missing. */
  readonly inInstance: boolean
  /** Variables that steps have filled with secrets of this node, each once. */
  readonly variables: readonly Wanted[]
  readonly missing: {
    readonly tools: readonly string[]
    readonly datasets: readonly string[]
    readonly secrets: readonly Wanted[]
    readonly schedule: boolean
  }
}

/** Those of the federation first; of the marketplace only what the federation has not. */
export function overview(world: World): Candidate[] {
  const ours = world.pipelines.map(({ name, value }) => {
    const { description = '', steps } = value
    const nobody = { author: undefined, lister: undefined }
    return candidateOf({ name, description, steps, ...nobody, from: 'federation' }, world)
  })
  const known = new Set(ours.map(({ name }) => name))
  const listed = world.listed.pipelines
    .filter(({ name }) => !known.has(name))
    .map((each) => {
      const { name, description, steps, author, standing, member, heardMs } = each
      const lister = { author, standing, heardMs, ...(member === undefined ? {} : { member }) }
      return candidateOf({ name, description, steps, author, lister, from: sourceOf(each) }, world)
    })
  return [...ours, ...listed]
}

function candidateOf(
  pipeline: Pick<Candidate, 'name' | 'description' | 'author' | 'lister' | 'from'> & {
    steps: readonly Step[]
  },
  world: World,
): Candidate {
  const { steps, ...shown } = pipeline
  const tools = unique(steps.flatMap(toolsOf)).filter((tool) => !world.tools.includes(tool))
  const datasets = unique(steps.flatMap(datasetsOf)).filter((name) => !world.datasets.includes(name))
  const variables = variablesOf(steps)
  const secrets = variables.filter((each) => !isSealed(pipeline.name, each, world.secrets))
  const schedule = !world.scheduled.includes(pipeline.name)
  const inFederation = pipeline.author === undefined && tools.length === 0 && datasets.length === 0
  const inInstance = inFederation && secrets.length === 0 && !schedule
  return { ...shown, inFederation, inInstance, variables, missing: { tools, datasets, secrets, schedule } }
}

function variablesOf(steps: readonly Step[]): Wanted[] {
  const all = steps.flatMap(({ name: step, env, filter }) => {
    const values = [...Object.entries(env ?? {}), ...Object.entries(filter?.env ?? {})]
    return values
      .filter(([, value]) => SECRET_PLACEHOLDER.test(value))
      .map(([variable]) => ({ variable, step }))
  })
  return all.filter((each, index) => all.findIndex(({ variable }) => variable === each.variable) === index)
}

/** Whether something sealed fills it: for all pipelines, for this one, or for the step. */
function isSealed(name: string, { variable, step }: Wanted, sealed: World['secrets']): boolean {
  return sealed.some(
    (each) => each.variable === variable && (each.pipeline ?? name) === name && (each.step ?? step) === step,
  )
}

/** Missing things as people read them; empty when nothing is. */
export function missingText({ missing }: Pick<Candidate, 'missing'>, listedTools: readonly string[]): string {
  const { tools, datasets, secrets, schedule } = missing
  const words = [
    ...tools.map((name) => `tool ${name}${listedTools.includes(name) ? ' (on the marketplace)' : ''}`),
    ...datasets.map((name) => `dataset ${name}`),
    ...secrets.map(({ variable }) => `secret ${variable}`),
    ...(schedule ? ['schedule'] : []),
  ]
  return words.join(', ')
}

/** One line for choosing from, aligned with the others. Who chooses a stranger's has read whose it is. */
export function choiceLine(candidate: Candidate, width: number, listedTools: readonly string[]): string {
  const { name, inInstance, inFederation, lister } = candidate
  const missing = missingText(candidate, listedTools)
  const marks = `${mark(inInstance)} this instance  ${mark(inFederation)} this federation`
  const stranger = lister?.standing === 'stranger' ? `  from ${listerText(lister)}` : ''
  return `${name.padEnd(width)}  ${marks}${stranger}${missing === '' ? '' : `  missing: ${missing}`}`
}

export function mark(isThere: boolean): string {
  return isThere ? '✓' : '✗'
}

/**
 * The candidates that words name, each `name` or `name@author`.
 *
 * @returns for each word its candidates: none, or several where nobody of those that list the name is nearer than others.
 */
export function namedBy(
  words: readonly string[],
  candidates: readonly Candidate[],
): Map<string, Candidate[]> {
  return new Map(
    words.map((word) => {
      const [name, author] = word.split('@')
      const found = candidates.filter((each) => each.name === name)
      if (author !== undefined) return [word, found.filter((each) => each.author === author)]
      const ours = found.filter(({ lister }) => lister === undefined)
      const listed = found.flatMap((each) => (each.lister === undefined ? [] : [{ each, ...each.lister }]))
      return [word, ours.length > 0 ? ours : nearest(listed).map(({ each }) => each)]
    }),
  )
}

function sourceOf({ standing, member, author }: ListedPipeline): string {
  if (standing === 'own') return 'marketplace, this node'
  return standing === 'member' && member !== undefined
    ? `marketplace, ${member}`
    : `marketplace, stranger ${author}`
}

function toolsOf({ tool, filter }: Step): string[] {
  return filter === undefined ? [tool] : [tool, filter.tool]
}

function datasetsOf({ input_dataset: input, output_dataset: output, inputs = [] }: Step): string[] {
  const further = inputs.map((each) => ('dataset' in each ? (each.dataset ?? null) : null))
  return [input, output, ...further].filter((name) => name !== null)
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
