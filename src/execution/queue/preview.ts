/**
 * What would become of a run that is not submitted: which image, which input, which branch, what it would be granted,
 * where it would stand in line, and everything that is wrong with it, all at once. Nothing is written or pulled.
 */
import { isNodeError, NodeError } from '../../base/errors.ts'
import { branchOf } from '../../datasets/branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Granted, Run } from '../runs/run.ts'
import { privateVariables } from '../secrets/secrets.ts'
import type { ExecutionSettings } from '../settings.ts'
import { type PreflightParts, type Problem, preflight } from '../steps/preflight.ts'
import { outputStepOf } from '../steps/refusals.ts'
import { grantedTo } from '../steps/step-box.ts'
import { type ImageOutlook, type ImageOutlookParts, imageOutlook } from './image-outlook.ts'
import type { RunQueue } from './queue.ts'
import type { Submissions, SubmitOptions } from './submissions.ts'

export interface StepPreview {
  readonly name: string
  readonly tool: string
  readonly image?: ImageOutlook
  readonly input?: { readonly dataset: string; readonly commit?: string; readonly from: string }
  /** Further inputs, as the plan names them. */
  readonly inputs: readonly string[]
  readonly outputDataset: string
  readonly outputBranch: string
  /** Its user depends on the image, which may not be here yet. */
  readonly granted: Omit<Granted, 'user'>
  readonly filter?: string
  readonly publish: readonly string[]
}

export interface RunPreview {
  readonly run: Run
  readonly wouldRun: boolean
  readonly problems: readonly { readonly step?: string; readonly code: string; readonly message: string }[]
  readonly steps: readonly StepPreview[]
  readonly queue: ReturnType<RunQueue['foresee']>
}

export interface PreviewsParts
  extends Omit<PreflightParts, 'settings'>,
    Omit<ImageOutlookParts, 'settings' | 'engines' | 'toolOf'> {
  readonly catalogue: Pick<Catalogue, 'plan'>
  readonly submissions: Pick<Submissions, 'plannedRun' | 'check' | 'checkKey'>
  readonly queue: Pick<RunQueue, 'foresee'>
  readonly datasets: Pick<Datasets, 'find' | 'truth'>
  readonly settings: ExecutionSettings
  readonly self: () => { name: string }
}

export class Previews {
  readonly #parts: PreviewsParts

  constructor(parts: PreviewsParts) {
    this.#parts = parts
  }

  /** @throws NodeError PIPELINE_NOT_FOUND: of anything else that is wrong the preview tells. */
  async preview(pipeline: string, options: SubmitOptions = {}): Promise<RunPreview> {
    const { catalogue, submissions, queue } = this.#parts
    const plan = catalogue.plan(pipeline)
    const run = submissions.plannedRun(plan, options)
    const problems: Problem[] = [
      ...problemOf(undefined, () => submissions.check(run)),
      ...problemOf(undefined, () => submissions.checkKey(pipeline, options)),
    ]
    const foreseen = queue.foresee(run)
    // Where it would wait, any engine is as good as another to look at.
    const engine = foreseen.engine ?? this.#parts.engines.ids[0]
    problems.push(...(await preflight(run, this.#parts, engine)))
    const steps: StepPreview[] = []
    for (const step of plan.steps) {
      const { preview, problems: found } = await this.#step(run, step, engine)
      steps.push(preview)
      problems.push(...found)
    }
    const told = unique(problems).map(({ step, error: { code, message } }) => {
      return { ...(step === undefined ? {} : { step }), code, message }
    })
    return { run, wouldRun: told.length === 0, problems: told, steps, queue: foreseen }
  }

  async #step(run: Run, step: PipelineStep, engine: string | undefined) {
    const { settings, self } = this.#parts
    const problems: Problem[] = []
    const attempt = async <T>(look: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await look()
      } catch (error) {
        if (!isNodeError(error)) throw error
        problems.push({ step: step.name, error })
        return undefined
      }
    }
    const image = await attempt(() => imageOutlook({ tool: step.tool, run, engine }, this.#parts))
    if (image?.problem !== undefined) problems.push({ step: step.name, error: image.problem })
    const filter = step.filter
    if (filter !== undefined) {
      const ofFilter = await attempt(() => imageOutlook({ tool: filter.tool, run, engine }, this.#parts))
      if (ofFilter?.problem !== undefined) problems.push({ step: step.name, error: ofFilter.problem })
    }
    const input = await attempt(() => this.#input(run, step, step.input_dataset))
    for (const further of step.inputs ?? []) {
      const open = 'dataset' in further && further.commit === undefined ? further.dataset : null
      await attempt(() => this.#input(run, step, open))
    }
    problems.push(...problemOf(step.name, () => this.#checkDataset(step.output_dataset)))
    const secrets = new Map(privateVariables(step).map((variable) => [variable, '']))
    const { user: _later, ...granted } = grantedTo({ step, user: '', settings, secrets })
    const preview: StepPreview = {
      ...{ name: step.name, tool: step.tool, granted, inputs: (step.inputs ?? []).map(inputText) },
      ...(image === undefined ? {} : { image }),
      ...(input === undefined ? {} : { input }),
      ...(filter === undefined ? {} : { filter: filter.tool }),
      outputDataset: step.output_dataset,
      outputBranch: branchOf(outputStepOf(run, step.name), self().name),
      publish: step.publish ?? [],
    }
    return { preview, problems }
  }

  /** The same choice as when it is staged (steps/staging.ts). */
  async #input(run: Run, step: PipelineStep, dataset: string | null): Promise<StepPreview['input']> {
    if (dataset === null) return undefined
    this.#checkDataset(dataset)
    const earlier = run.plan.slice(0, run.plan.indexOf(step))
    const maker = earlier.findLast((other) => other.output_dataset === dataset)
    if (maker !== undefined) return { dataset, from: `what step ${maker.name} of this run makes` }
    const named = run.inputCommits?.[dataset]
    if (named !== undefined) return { dataset, commit: named, from: 'the commit that was named' }
    const commit = await this.#parts.datasets.truth(dataset)
    if (commit !== undefined) return { dataset, commit, from: 'ground truth' }
    const message = `The dataset ${dataset} has no ground truth yet to read from: import data into it, or let a round decide`
    throw new NodeError('NOT_FOUND', message, { dataset })
  }

  #checkDataset(name: string): void {
    if (this.#parts.datasets.find(name) !== undefined) return
    const message = `No dataset is named ${name} here; "maoctl dataset list" shows those that there are`
    throw new NodeError('DATASET_NOT_FOUND', message, { name })
  }
}

function problemOf(step: string | undefined, check: () => void): Problem[] {
  try {
    check()
    return []
  } catch (error) {
    if (!isNodeError(error)) throw error
    return [{ ...(step === undefined ? {} : { step }), error }]
  }
}

/** One cause may be met twice, such as a tool that is gone. */
function unique(problems: readonly Problem[]): Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.step} ${problem.error.message}`, problem]))
  return [...seen.values()]
}

function inputText(input: NonNullable<PipelineStep['inputs']>[number]): string {
  if ('url' in input) return input.url
  if ('pid' in input) return input.pid
  if ('text' in input) return `a text of ${input.text.length} characters`
  if ('run' in input) return `the output of run ${input.run}`
  return `${input.dataset}@${input.commit ?? 'ground truth'}`
}
