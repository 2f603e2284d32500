/**
 * What installing a pipeline from the marketplace would do, before anything of it is done: which of its tools and datasets
 * are there, which would be made and of what, and what stands in the way. Pure.
 */
import { createHash } from 'node:crypto'
import { messageOf } from '../base/errors.ts'
import { parseUpstreamUrl } from '../datasets/upstream/upstream-address.ts'
import { type Pipeline, type PipelineStep, parsePipeline } from '../execution/catalogue/pipeline.ts'
import { type Tool, toolSchema } from '../execution/catalogue/tool.ts'
import { asksOf } from './asks.ts'
import { type Choice, choose, type Standing, type StandingOf } from './choosing.ts'
import type { HeldListing } from './listing.ts'

/** What somebody wants installed, and how. */
export interface InstallWish {
  readonly pipeline: string
  /** Peer id of whose pipeline, where that is not clear; a stranger is always named. */
  readonly author?: string | undefined
  /** The same for tools, by name; a tool that the pipeline's author lists is taken from there without a word. */
  readonly toolAuthors?: Readonly<Record<string, string>> | undefined
  /** What datasets become that are missing. Without a word they never leave this node. */
  readonly datasets?: 'local-only' | 'shared' | undefined
  /** Members may read the names of datasets that never leave this node: the pipeline names them. */
  readonly shareNames?: boolean | undefined
}

/** Whoever lists something, as people are shown it. */
export interface Source {
  readonly author: string
  readonly standing: Standing
  /** Since when this node knows the listing, ms since the epoch. */
  readonly heardMs: number
}

export interface ToolStep {
  readonly name: string
  /** `here`: as it is listed, or nobody lists it; `differs`: with another image, which stays; `add`: it is registered. */
  readonly state: 'here' | 'differs' | 'add' | 'unknown' | 'unclear'
  /** The image that steps would run. */
  readonly image?: string
  /** The image that the listing names, where that is another. */
  readonly listed?: string
  readonly source?: Source
  readonly tool?: Tool
}

export interface DatasetStep {
  readonly name: string
  /** `here`: the federation has it; `empty`: it is made without anything in it; `upstream`: the same, and names where it comes from. */
  readonly state: 'here' | 'empty' | 'upstream'
  readonly policy: string
  readonly upstream?: { readonly url: string; readonly branch: string }
  readonly source?: Source
}

export interface InstallPlan {
  readonly name: string
  readonly source?: Source
  /** `here`: as it is listed; `differs`: the federation has another of the name, which stays. */
  readonly state: 'here' | 'differs' | 'add' | 'unknown' | 'unclear'
  readonly description: string
  readonly steps: readonly PipelineStep[]
  readonly tools: readonly ToolStep[]
  readonly datasets: readonly DatasetStep[]
  /** What the steps ask of a node beyond a box without rights, for people. */
  readonly asks: readonly string[]
  /** Names of datasets that never leave this node, which members would learn from the pipeline. */
  readonly told: readonly string[]
  /** Why it cannot be carried out as it is wished, each with a way out. Empty where it can. */
  readonly blocked: readonly string[]
  /** True where all of it is there. */
  readonly done: boolean
  /** Stands for all of the above: what was shown is what is done. */
  readonly fingerprint: string
}

/** What is there, and what is listed. */
export interface InstallWorld {
  readonly standingOf: StandingOf
  readonly listed: (kind: 'tool' | 'pipeline' | 'dataset', name: string) => readonly HeldListing[]
  readonly tool: (name: string) => Tool | undefined
  readonly pipeline: (name: string) => Pipeline | undefined
  /** The policy of a dataset that this node knows. */
  readonly dataset: (name: string) => string | undefined
}

export function planInstall(wish: InstallWish, world: InstallWorld): InstallPlan {
  const { pipeline: name } = wish
  const blocked: string[] = []
  const chosen = choose(world.listed('pipeline', name), world.standingOf, wish.author)
  const read = readPipeline(name, wish, world, chosen, blocked)
  const here = world.pipeline(name)
  const steps = read?.steps ?? []
  const from = chosen.listing?.author
  const tools = unique(steps.flatMap(toolsOf)).map((tool) => planTool(tool, wish, world, from, blocked))
  const datasets = unique(steps.flatMap(datasetsOf)).map((each) => planDataset(each, wish, world, from))
  const state = stateOf(read, here, chosen)
  if (state === 'differs') {
    blocked.push(
      `the federation has another pipeline named ${name}; "maoctl pipeline show ${name}" shows it, and whoever wrote it may remove it first`,
    )
  }
  const told =
    state === 'add' ? datasets.filter(({ policy }) => policy === 'local-only').map((each) => each.name) : []
  if (told.length > 0 && wish.shareNames !== true) {
    blocked.push(
      `all members read a pipeline, and this one would tell them of ${told.join(', ')}, which stay on this node; add --share-names (shareNames) if they may know the names, or make them for everybody with --shared`,
    )
  }
  const plan = {
    name,
    ...(chosen.listing === undefined ? {} : { source: sourceOf(chosen.listing, world) }),
    state,
    description: read?.description ?? '',
    ...{ steps, tools, datasets, asks: asksOf(steps), told, blocked },
    done:
      state === 'here' &&
      tools.every(({ state: at }) => at !== 'add') &&
      datasets.every((each) => each.state === 'here'),
  } as const
  return {
    ...plan,
    fingerprint: createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 32),
  }
}

function stateOf(
  read: Pipeline | undefined,
  here: Pipeline | undefined,
  chosen: Choice,
): InstallPlan['state'] {
  if (read === undefined) {
    return chosen.listing === undefined && chosen.among.length === 0 ? 'unknown' : 'unclear'
  }
  if (here === undefined) return 'add'
  return isSame(here, read) ? 'here' : 'differs'
}

function readPipeline(
  name: string,
  wish: InstallWish,
  world: InstallWorld,
  chosen: Choice,
  blocked: string[],
): Pipeline | undefined {
  const { listing } = chosen
  if (listing === undefined) {
    blocked.push(whichOf('pipeline', name, chosen.among, wish.author, world))
    return undefined
  }
  if (world.standingOf(listing.author) === 'stranger' && !chosen.named) {
    blocked.push(
      `the pipeline ${name} is listed by ${listing.author}, who is no member of this federation; if that is whom you mean, say so with --author ${listing.author} (author)`,
    )
  }
  try {
    return parsePipeline({ description: listing.description, steps: listing.body?.steps }).pipeline
  } catch (error) {
    blocked.push(`the pipeline ${name} as it is listed cannot be registered: ${messageOf(error)}`)
    return undefined
  }
}

function planTool(
  name: string,
  wish: InstallWish,
  world: InstallWorld,
  from: string | undefined,
  blocked: string[],
): ToolStep {
  const here = world.tool(name)
  const listed = world.listed('tool', name)
  const named = wish.toolAuthors?.[name]
  // Whose pipeline it is has been settled, and whoever wrote that knows which tool it means.
  const fromAuthor = named === undefined && listed.some(({ author }) => author === from) ? from : undefined
  const chosen = choose(listed, world.standingOf, named ?? fromAuthor)
  const tool = chosen.listing === undefined ? undefined : toolIn(chosen.listing)
  const source = chosen.listing === undefined ? {} : { source: sourceOf(chosen.listing, world) }
  if (here !== undefined) {
    const differs = tool !== undefined && tool.image !== here.image
    const state = differs ? 'differs' : 'here'
    return { name, state, image: here.image, ...(differs ? { listed: tool.image, ...source } : {}) }
  }
  if (chosen.listing === undefined || tool === undefined) {
    blocked.push(whichOf('tool', name, chosen.listing === undefined ? chosen.among : [], named, world))
    return { name, state: listed.length === 0 ? 'unknown' : 'unclear' }
  }
  if (world.standingOf(chosen.listing.author) === 'stranger' && !chosen.named) {
    const { author } = chosen.listing
    blocked.push(
      `the tool ${name} is listed by ${author}, who is no member of this federation and did not list the pipeline; if that is whom you mean, say so with --tool-author ${name}=${author} (toolAuthors)`,
    )
  }
  return { name, state: 'add', image: tool.image, ...source, tool }
}

function planDataset(
  name: string,
  wish: InstallWish,
  world: InstallWorld,
  from: string | undefined,
): DatasetStep {
  const known = world.dataset(name)
  if (known !== undefined) return { name, state: 'here', policy: known }
  const policy = wish.datasets ?? 'local-only'
  // Nobody but the pipeline's author and this federation says whence a dataset comes: a stranger has no say in that.
  const trusted = world
    .listed('dataset', name)
    .filter(({ author }) => author === from || world.standingOf(author) !== 'stranger')
  const { listing } = choose(
    trusted,
    world.standingOf,
    trusted.some((each) => each.author === from) ? from : undefined,
  )
  const upstream = listing === undefined ? undefined : upstreamIn(listing)
  if (listing === undefined || upstream === undefined) return { name, state: 'empty', policy }
  return { name, state: 'upstream', policy, upstream, source: sourceOf(listing, world) }
}

/** [MUST] What a listing says of the labels of an image is not taken over: the image itself says it when it is here. */
function toolIn({ body, description }: HeldListing): Tool | undefined {
  const parsed = toolSchema.omit({ service: true }).safeParse(body)
  if (!parsed.success) return undefined
  return description === '' ? parsed.data : { ...parsed.data, description }
}

function upstreamIn({ body }: HeldListing): DatasetStep['upstream'] {
  if (typeof body?.upstream !== 'string') return undefined
  const branch = typeof body.branch === 'string' ? body.branch : 'main'
  try {
    return { url: parseUpstreamUrl(body.upstream).url, branch }
  } catch {
    // An address that no node would call is no upstream; the dataset is then made empty, and the plan says so.
    return undefined
  }
}

function whichOf(
  kind: 'tool' | 'pipeline',
  name: string,
  among: readonly HeldListing[],
  named: string | undefined,
  world: InstallWorld,
): string {
  const flag = kind === 'tool' ? `--tool-author ${name}=PEER` : '--author PEER'
  const authors = among.map(({ author, heardMs }) => {
    return `${author} (${world.standingOf(author)}, known since ${new Date(heardMs).toISOString()})`
  })
  if (authors.length === 0) {
    return kind === 'pipeline'
      ? `nobody lists a pipeline named ${name}; "maoctl market list --kind pipeline" lists what was heard`
      : `nobody lists a tool named ${name} that could be registered, and the federation has none; "maoctl tool add ${name} --image IMAGE" registers one`
  }
  if (named !== undefined) return `${named} lists no ${kind} named ${name}; these do: ${authors.join(', ')}`
  return `${authors.length} authors list a ${kind} named ${name}: ${authors.join(', ')}; say which with ${flag}`
}

function sourceOf({ author, heardMs }: HeldListing, world: InstallWorld): Source {
  return { author, standing: world.standingOf(author), heardMs }
}

function toolsOf({ tool, filter }: PipelineStep): string[] {
  return filter === undefined ? [tool] : [tool, filter.tool]
}

function datasetsOf(step: PipelineStep): string[] {
  const further = (step.inputs ?? []).map((input) => ('dataset' in input ? input.dataset : null))
  return [step.input_dataset, step.output_dataset, ...further].filter((name) => name !== null)
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}

function isSame(a: Pipeline, b: Pipeline): boolean {
  return JSON.stringify(sorted(a.steps)) === JSON.stringify(sorted(b.steps))
}

/** The same value with its fields in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]))
}
