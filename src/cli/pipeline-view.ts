import type { z } from 'zod'
import type { pipelineViewSchema } from '../api/views.ts'
import type { Output } from './output.ts'

type Step = z.output<typeof pipelineViewSchema>['value']['steps'][number]

/** What a pipeline does and asks for: all that whoever approves it should have read. */
export function renderPipeline(out: Output, steps: readonly Step[]): string {
  const rows = steps.map((step) => {
    const { name, tool, input_dataset: input, output_dataset: output, cmd } = step
    return [name, tool, input ?? '-', output, cmd === null ? '-' : JSON.stringify(cmd)]
  })
  const table = out.table(['step', 'tool', 'input', 'output', 'command'], rows)
  const further = steps.flatMap(furtherRows)
  return further.length === 0 ? table : `${table}\n\n${out.table(['step', 'asks for', ''], further)}`
}

const SHOWN_ABOVE = new Set(['name', 'tool', 'cmd', 'input_dataset', 'output_dataset'])

function furtherRows(step: Step): string[][] {
  return Object.entries(step)
    .filter(
      ([field, value]) => !SHOWN_ABOVE.has(field) && value !== null && value !== false && value !== undefined,
    )
    .flatMap(([field, value]): string[][] => {
      // One line each, as JSON: a value cannot pretend to be another line of this.
      if (Array.isArray(value)) return value.map((each: unknown) => [step.name, field, JSON.stringify(each)])
      if (typeof value !== 'object') return [[step.name, field, String(value)]]
      return Object.entries(value ?? {}).map(([key, each]) => [
        step.name,
        `${field}.${key}`,
        JSON.stringify(each),
      ])
    })
}
