/**
 * Which data a run of another member may read, and where its results may go (protocols/run.md §6). Pure.
 *
 * Data that do not leave are read by tools that their holder trusts, named by the digest of their image, as the image
 * itself starts: whoever may choose command, variables or further inputs of a trusted shell has the data. What comes
 * out goes to shared datasets alone, through the filter that the holder demands.
 */
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Refused, RunRequest } from './run-request.ts'
import type { TrustEntry } from './trust.ts'

export interface DatasetPolicy {
  readonly policy: 'shared' | 'compute-only' | 'local-only'
  /** Whether its data are on this node, for those that are not shared. */
  readonly isHome: boolean
}

/** What is known of the data of a host. */
export interface DataFacts {
  readonly dataset: (name: string) => DatasetPolicy | undefined
  readonly trusted: (dataset: string) => readonly TrustEntry[]
  /** Whether who asks may have a shared dataset, by what is granted; everybody may without it. */
  readonly mayRead?: (dataset: string) => boolean
}

export function judgeData(
  request: Pick<RunRequest, 'steps' | 'tools'>,
  facts: DataFacts,
): { readonly logs: boolean } | Refused {
  let logs = true
  for (const step of request.steps) {
    const output = facts.dataset(step.output_dataset)
    // [MUST] A name that is told to nobody is refused in the words for one that does not exist (run.md R31).
    if (output === undefined || output.policy === 'local-only') return unknown(step.output_dataset)
    if (output.policy !== 'shared') {
      const reason = `the output of ${step.name} would go to ${step.output_dataset}, which is not shared, and so would never come back to you`
      return no(reason)
    }
    // It would never come back, and what its branch held before would be read (dataset-heads.md [A2]).
    if (facts.mayRead?.(step.output_dataset) === false) return ungranted(step.output_dataset)
    for (const dataset of readBy(step)) {
      const known = facts.dataset(dataset)
      if (known === undefined) return unknown(dataset)
      if (known.policy === 'shared') {
        // [MUST] What may not be fetched is not read through a run either (dataset-heads.md [A2]).
        if (facts.mayRead?.(dataset) === false) return ungranted(dataset)
        continue
      }
      const judged = judgePrivate(request, step, dataset, facts)
      if ('allow' in judged) return judged
      logs &&= judged.logs
    }
  }
  return { logs }
}

/** The datasets that a step reads. */
export function readBy({ input_dataset: first, inputs = [] }: PipelineStep): string[] {
  const further = inputs.flatMap((input) => ('dataset' in input ? [input.dataset] : []))
  return [...new Set([...(first === null ? [] : [first]), ...further])]
}

function judgePrivate(
  { tools }: Pick<RunRequest, 'tools'>,
  step: PipelineStep,
  dataset: string,
  facts: DataFacts,
): TrustEntry | Refused {
  const known = facts.dataset(dataset)
  const secret = known?.policy === 'local-only'
  if (known?.isHome !== true) return secret ? unknown(dataset) : no(`the data of ${dataset} are not here`)
  const digest = tools[step.tool]?.digest
  const entry = facts.trusted(dataset).find((one) => one.digest === digest)
  if (entry === undefined) {
    if (secret) return unknown(dataset)
    const named = digest === undefined ? 'which the request does not name by its digest' : `at ${digest}`
    return no(`${dataset} does not leave this node, and does not trust the tool ${step.tool}, ${named}`)
  }
  // [MUST] Never the request's: a filter or a tool that looks elsewhere finds nothing, and lets all pass (run.md R30).
  if (step.layout !== entry.layout) {
    const how =
      entry.layout === undefined ? 'as its image says where its files are' : `with the layout ${entry.layout}`
    return no(
      `${dataset} trusts the tool ${step.tool} ${how}; give the step ${step.name} ${entry.layout === undefined ? 'no layout' : 'that one'}`,
    )
  }
  if (!entry.parameters && hasParameters(step, dataset, facts, digest)) {
    const reason = `${dataset} trusts the tool ${step.tool} as its image starts; the step ${step.name} may not choose its command, variables, or inputs that do not trust it too`
    return no(reason)
  }
  return judgeFilter(tools, step, dataset, entry) ?? entry
}

function hasParameters(
  step: PipelineStep,
  dataset: string,
  facts: DataFacts,
  digest: string | undefined,
): boolean {
  if (step.cmd !== null || Object.keys(step.env ?? {}).length > 0) return true
  if ((step.inputs ?? []).some((input) => !('dataset' in input))) return true
  // The content of a shared dataset is as good as a command to a tool that reads it as one.
  return readBy(step).some((other) => {
    return other !== dataset && !facts.trusted(other).some((entry) => entry.digest === digest)
  })
}

function judgeFilter(
  tools: RunRequest['tools'],
  step: PipelineStep,
  dataset: string,
  { filter }: TrustEntry,
): Refused | undefined {
  if (filter === undefined) return undefined
  const { filter: asked } = step
  if (asked === undefined) {
    return no(
      `${dataset} asks that the output of ${step.tool} pass the filter ${filter.tool}; add it to the step ${step.name}`,
    )
  }
  const isIt = asked.tool === filter.tool && tools[asked.tool]?.digest === filter.digest
  const asItStarts = asked.cmd === null && Object.keys(asked.env ?? {}).length === 0
  if (isIt && asItStarts) return undefined
  return no(
    `${dataset} asks for the filter ${filter.tool} at ${filter.digest}, as its image starts, and the step ${step.name} has another`,
  )
}

function ungranted(dataset: string): Refused {
  return no(`only members with a grant may have ${dataset}`)
}

function no(reason: string): Refused {
  return { allow: false, code: 'FORBIDDEN', reason }
}

/** The same words whether there is no such dataset or one that is told to nobody. */
function unknown(dataset: string): Refused {
  return { allow: false, code: 'DATASET_NOT_FOUND', reason: `no dataset ${dataset} is here for you` }
}
