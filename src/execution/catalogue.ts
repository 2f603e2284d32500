/** What may be run in the federation: tools, pipelines and their schedules, each a record that all members see. */
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { parseName } from '../base/names.ts'
import type { Datasets } from '../datasets/datasets.ts'
import { Collection, type Item } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { type Pipeline, parsePipeline, pipelineSchema } from './pipeline.ts'
import { checkCron, nextSlot, type Schedule, scheduleSchema } from './schedule.ts'
import { parseTool, type Tool, type ToolInput, toolSchema } from './tool.ts'

export interface CatalogueParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly datasets: Pick<Datasets, 'list'>
  readonly clock: Clock
  readonly log: Logger
}

/** A schedule with the next time it fires, ms since the epoch. */
export type ScheduleView = Schedule & { nextMs?: number }

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

  /** @throws NodeError INVALID_NAME, INVALID_INPUT */
  async addTool(name: string, tool: ToolInput): Promise<Item<Tool>> {
    return this.tools.put(parseName('tool', name), parseTool(tool))
  }

  /**
   * Registers a pipeline from YAML or JSON text or a parsed value, under `name` or the name it gives itself.
   *
   * @throws NodeError INVALID_INPUT listing everything that is wrong, tools and datasets that do not exist included
   * (`data.missingTools`, `data.missingDatasets`), INVALID_NAME.
   */
  async addPipeline(name: string | undefined, text: unknown): Promise<Item<Pipeline>> {
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
    return this.pipelines.put(chosen, parsed.pipeline)
  }

  /** @throws NodeError INVALID_CRON, PIPELINE_NOT_FOUND */
  async schedule(schedule: Schedule): Promise<ScheduleView> {
    checkCron(schedule.cron, schedule.timezone)
    this.pipeline(schedule.pipeline)
    const { value } = await this.schedules.put(schedule.pipeline, schedule)
    return this.#scheduleView(value)
  }

  /** @throws NodeError SCHEDULE_NOT_FOUND */
  async unschedule(pipeline: string): Promise<void> {
    if (this.schedules.get(pipeline) === undefined) {
      throw new NodeError('SCHEDULE_NOT_FOUND', `The pipeline ${pipeline} is not scheduled`, { pipeline })
    }
    await this.schedules.remove(pipeline)
  }

  scheduled(): ScheduleView[] {
    return this.schedules.list().map(({ value }) => this.#scheduleView(value))
  }

  /** @throws NodeError PIPELINE_NOT_FOUND */
  pipeline(name: string): Pipeline {
    const pipeline = this.pipelines.get(name)
    if (pipeline !== undefined) return pipeline.value
    throw new NodeError('PIPELINE_NOT_FOUND', `No pipeline is named ${name}`, { name })
  }

  /** @throws NodeError TOOL_NOT_FOUND */
  tool(name: string): Tool {
    const tool = this.tools.get(name)
    if (tool !== undefined) return tool.value
    throw new NodeError('TOOL_NOT_FOUND', `No tool is named ${name} in this federation`, { name })
  }

  #scheduleView(schedule: Schedule): ScheduleView {
    const nextMs = nextSlot(schedule, this.#parts.clock.now())
    return { ...schedule, ...(nextMs === undefined ? {} : { nextMs }) }
  }

  #checkKnown(pipeline: Pipeline): void {
    const datasets = new Set(this.#parts.datasets.list().map(({ name }) => name))
    const named = pipeline.steps.flatMap((step) => [step.input_dataset, step.output_dataset])
    const tools = pipeline.steps.map(({ tool }) => tool)
    const missingDatasets = unique(named.filter((name) => name !== null && !datasets.has(name)) as string[])
    const missingTools = unique(tools.filter((tool) => this.tools.get(tool) === undefined))
    const problems = [
      ...missingTools.map((tool) => `no tool is named ${tool}`),
      ...missingDatasets.map((dataset) => `no dataset is named ${dataset}`),
    ]
    if (problems.length === 0) return
    const message = `The pipeline cannot be registered: ${problems.join('; ')}`
    throw new NodeError('INVALID_INPUT', message, { problems, missingTools, missingDatasets })
  }
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
