/** What may be run in the federation: tools, pipelines and their schedules, each a record that all members see. */
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { parseName } from '../../base/names.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { Collection, type Item } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import { checkServiceVersion } from '../images/service.ts'
import { checkServiceInputs } from '../images/service-inputs.ts'
import { type Schedule, scheduleSchema } from '../schedules/schedule.ts'
import { type Pipeline, type PipelineStep, parsePipeline, pipelineSchema } from './pipeline.ts'
import { parseTool, type Tool, type ToolInput, toolSchema } from './tool.ts'

export interface CatalogueParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly datasets: Pick<Datasets, 'find'>
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

export interface PipelineOptions {
  /** Names of datasets that never leave this node may stand in the record, which all members read. */
  readonly shareNames?: boolean
}

export class Catalogue {
  readonly tools: Collection<Tool>
  readonly pipelines: Collection<Pipeline>
  readonly schedules: Collection<Schedule>
  readonly #parts: CatalogueParts

  constructor(parts: CatalogueParts) {
    const { registry, log } = parts
    this.#parts = parts
    this.tools = new Collection({ registry, prefix: '/tools/', schema: toolSchema, log })
    this.pipelines = new Collection({ registry, prefix: '/pipelines/', schema: pipelineSchema, log })
    this.schedules = new Collection({ registry, prefix: '/schedules/', schema: scheduleSchema, log })
  }

  /** @throws NodeError INVALID_NAME, INVALID_INPUT, CONFLICT when a service has another image in the same version. */
  async addTool(name: string, input: ToolInput): Promise<Item<Tool>> {
    const tool = parseTool(input)
    const known = this.tools.list().map(({ name: other, value }) => ({ name: other, service: value.service }))
    checkServiceVersion({ name, service: tool.service }, known)
    return this.tools.put(parseName('tool', name), tool)
  }

  /** @throws NodeError INVALID_INPUT listing what steps that run services lack; see `checkServiceInputs`. */
  checkServices(steps: readonly PipelineStep[]): void {
    const problems = this.#serviceProblems(steps)
    if (problems.length === 0) return
    throw new NodeError('INVALID_INPUT', `Services lack what they need: ${problems.join('; ')}`, { problems })
  }

  /**
   * Registers a pipeline from YAML or JSON text or a parsed value, under `name` or the name it gives itself.
   *
   * @throws NodeError INVALID_INPUT listing everything that is wrong, tools and datasets that do not exist included
   * (`data.missingTools`, `data.missingDatasets`), or naming local-only datasets that the pipeline would be the first to
   * tell the members of (`data.localDatasets`); INVALID_NAME.
   */
  async addPipeline(
    name: string | undefined,
    text: unknown,
    { shareNames = false }: PipelineOptions = {},
  ): Promise<Item<Pipeline>> {
    const parsed = parsePipeline(text)
    const chosen = name ?? parsed.name
    if (chosen === undefined) {
      throw new NodeError(
        'INVALID_INPUT',
        'The pipeline has no name: give it one, or write "name: …" into it',
      )
    }
    parseName('pipeline', chosen)
    this.#checkKnown(parsed.pipeline)
    if (!shareNames) this.#checkTold(chosen, parsed.pipeline)
    return this.pipelines.put(chosen, parsed.pipeline)
  }

  /** @throws NodeError PIPELINE_NOT_FOUND */
  pipeline(name: string): Pipeline {
    const pipeline = this.pipelines.get(name)
    if (pipeline !== undefined) return pipeline.value
    throw new NodeError('PIPELINE_NOT_FOUND', `No pipeline is named ${name}`, { name })
  }

  /**
   * A pipeline as it is to run now, with another member that had a hand in it (`Run.author`), where one had.
   *
   * @param options.scheduled whether whoever wrote its schedule counts: whoever says when says that it runs at all.
   * @throws NodeError PIPELINE_NOT_FOUND
   */
  plan(
    name: string,
    { scheduled = false }: { scheduled?: boolean } = {},
  ): { name: string; steps: readonly PipelineStep[]; author?: string } {
    const { steps } = this.pipeline(name)
    const { peer } = this.#parts
    // Whoever wrote a tool's record says which image runs, and may say another tomorrow.
    const tools = steps.flatMap(({ tool, filter }) => (filter === undefined ? [tool] : [tool, filter.tool]))
    const hands = [
      this.pipelines.get(name),
      ...(scheduled ? [this.schedules.get(name)] : []),
      ...unique(tools).map((tool) => this.tools.get(tool)),
    ]
    const author = hands.map((item) => item?.entry.author ?? UNKNOWN).find((hand) => hand !== peer)
    return { name, steps, ...(author === undefined ? {} : { author }) }
  }

  /** @throws NodeError TOOL_NOT_FOUND */
  tool(name: string): Tool {
    const tool = this.tools.get(name)
    if (tool !== undefined) return tool.value
    throw new NodeError('TOOL_NOT_FOUND', `No tool is named ${name} in this federation`, { name })
  }

  #checkKnown(pipeline: Pipeline): void {
    const { datasets } = this.#parts
    const tools = pipeline.steps.map(({ tool }) => tool)
    const missingDatasets = datasetsOf(pipeline).filter((name) => datasets.find(name) === undefined)
    const missingTools = unique(tools.filter((tool) => this.tools.get(tool) === undefined))
    const problems = [
      ...missingTools.map((tool) => `no tool is named ${tool}`),
      ...missingDatasets.map((dataset) => `no dataset is named ${dataset}`),
      ...this.#serviceProblems(pipeline.steps),
    ]
    if (problems.length === 0) return
    const message = `The pipeline cannot be registered: ${problems.join('; ')}`
    throw new NodeError('INVALID_INPUT', message, { problems, missingTools, missingDatasets })
  }

  #serviceProblems(steps: readonly PipelineStep[]): string[] {
    return steps.flatMap((step) => {
      const service = this.tools.get(step.tool)?.value.service
      const problems = service === undefined ? [] : checkServiceInputs(service, step)
      return problems.map((problem) => `step ${step.name}: ${problem}`)
    })
  }

  /** [MUST] No record of a local-only dataset is written unasked, nor one that gives it away (dataset-heads.md H14). */
  #checkTold(name: string, pipeline: Pipeline): void {
    const before = this.pipelines.get(name)?.value
    const told = new Set(before === undefined ? [] : datasetsOf(before))
    const { datasets } = this.#parts
    const localDatasets = datasetsOf(pipeline).filter(
      (dataset) => !told.has(dataset) && datasets.find(dataset)?.policy === 'local-only',
    )
    if (localDatasets.length === 0) return
    const names = localDatasets.join(', ')
    const message = `A pipeline is a record that all members read, and this one would tell them of ${names}, which ${localDatasets.length === 1 ? 'is' : 'are'} local-only; add --share-names (shareNames=true) if they may know the ${localDatasets.length === 1 ? 'name' : 'names'}`
    throw new NodeError('INVALID_INPUT', message, { localDatasets })
  }
}

/** Nobody's: a record that is gone by the time that its run begins. */
const UNKNOWN = 'unknown'

function datasetsOf(pipeline: Pipeline): string[] {
  const named = pipeline.steps.flatMap((step) => {
    const further = (step.inputs ?? []).map((input) => ('dataset' in input ? input.dataset : null))
    return [step.input_dataset, step.output_dataset, ...further]
  })
  return unique(named.filter((name) => name !== null))
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
