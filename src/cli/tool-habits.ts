/**
 * The predecessor's verbs for a tool on its own: `tool run`, `schedule`, `stop`, `list-scheduled`. Here a tool runs as a
 * pipeline of one step, `tool-<name>`, which these verbs keep; its results go to the dataset that the tool names as its
 * data repository, unless another is named.
 */
import type { Command } from 'commander'
import { z } from 'zod'
import { runSchema } from '../api/run-views.ts'
import { scheduleViewSchema } from '../api/schedule-views.ts'
import { pipelineViewSchema, toolViewSchema } from '../api/views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import { timeText } from './output.ts'
import { tellSubmitted } from './run-submit.ts'
import type { Act } from './session.ts'

interface StepFlags {
  input?: string
  output?: string
}

const PREFIX = 'tool-'

export function toolHabits(tool: Command, act: Act): void {
  stepOptions(tool.command('run <name> [command...]'))
    .usage("<name> [options] [-- command of its own, in place of the image's]")
    .description('run a tool on its own and wait for its end: a pipeline of one step, tool-<name>')
    .option('--no-wait', 'only submit it')
    .action(
      act(async (session, name: string, words: string[], flags: StepFlags & { wait: boolean }) => {
        const client = await session.connect()
        const pipeline = await keepPipeline(client, name, words, flags)
        const run = await client.post('/runs', runSchema, { pipeline })
        await tellSubmitted(session, client, run, { wait: flags.wait, follow: false })
      }),
    )

  stepOptions(tool.command('schedule <name> [command...]'))
    .usage("<name> --cron <rule> [options] [-- command of its own, in place of the image's]")
    .description('run a tool on its own by a cron rule')
    .requiredOption('--cron <rule>', "when, such as '0 3 * * *'")
    .action(
      act(async (session, name: string, words: string[], flags: StepFlags & { cron: string }) => {
        const client = await session.connect()
        const pipeline = await keepPipeline(client, name, words, flags)
        const made = await client.post('/schedules', scheduleViewSchema, { pipeline, cron: flags.cron })
        session.out.result(made, () => `${name} runs next at ${timeText(made.nextMs)}.`)
      }),
    )

  tool
    .command('stop <name>')
    .description('run a tool no longer by itself')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        await client.delete(`/schedules/${encodeURIComponent(PREFIX + name)}`)
        session.out.result({ unscheduled: name }, () => `${name} does not run by itself any more.`)
      }),
    )

  tool
    .command('list-scheduled')
    .description('list the tools that run by themselves')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const all = await client.get('/schedules', z.array(scheduleViewSchema))
        const tools = all.filter(({ pipeline }) => pipeline.startsWith(PREFIX))
        session.out.result(tools, () => {
          const rows = tools.map(({ pipeline, cron, nextMs }) => {
            return [pipeline.slice(PREFIX.length), cron, timeText(nextMs)]
          })
          return session.out.table(['tool', 'rule', 'next'], rows)
        })
      }),
    )
}

function stepOptions(command: Command): Command {
  return command
    .option('--input <dataset>', 'dataset that it reads')
    .option('--output <dataset>', 'dataset that it writes; default: what the tool names as its data')
}

/** The pipeline of the tool as it is wanted now; nothing is written where it stands so already. */
async function keepPipeline(
  client: ApiClient,
  name: string,
  words: readonly string[],
  flags: StepFlags,
): Promise<string> {
  const { value } = await client.get(`/tools/${encodeURIComponent(name)}`, toolViewSchema)
  const output = flags.output ?? value.data_repo
  if (output === undefined || output === '') {
    const message = `The tool ${name} names no dataset for its results; say which with --output DATASET`
    throw new NodeError('INVALID_INPUT', message, { tool: name })
  }
  const pipeline = PREFIX + name
  const step = {
    name,
    tool: name,
    cmd: words.length === 0 ? null : words,
    env: null,
    docker_socket: false,
    input_dataset: flags.input ?? null,
    output_dataset: output,
  }
  const known = await client
    .get(`/pipelines/${encodeURIComponent(pipeline)}`, pipelineViewSchema)
    .catch((error: unknown) => {
      if (isNodeError(error, 'PIPELINE_NOT_FOUND')) return undefined
      throw error
    })
  const [steps, wanted] = [JSON.stringify(known?.value.steps), JSON.stringify([step])]
  if (steps === wanted) return pipeline
  const body = JSON.stringify({ name: pipeline, steps: [step] })
  await client.send('/pipelines', pipelineViewSchema, { body, type: 'application/yaml' })
  return pipeline
}
