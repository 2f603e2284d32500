import { basename, extname } from 'node:path'
import type { Command } from 'commander'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { approvalViewSchema, revokedSchema } from '../api/approval-view.ts'
import { pipelineViewSchema } from '../api/views.ts'
import { NodeError } from '../base/errors.ts'
import { approvalText } from './approval-text.ts'
import { textOf } from './files.ts'
import { renderPipeline } from './pipeline-view.ts'
import { submitCommand } from './run-submit.ts'
import { pipelineScheduleCommands } from './schedule.ts'
import type { Act } from './session.ts'

interface AddOptions {
  file: string
  name?: string
  shareNames?: boolean
}

export function pipelineCommands(program: Command, act: Act): void {
  const pipeline = program.command('pipeline').description('chains of tools over datasets')

  pipeline
    .command('add')
    .description('register a pipeline')
    .requiredOption('-f, --file <file>', 'YAML or JSON; - reads standard input')
    .option('--name <name>', 'where the text does not name itself')
    .option('--share-names', 'let all members read the names of local-only datasets that it uses')
    .action(
      act(async (session, { file, name, shareNames }: AddOptions) => {
        const client = await session.connect()
        const text = await textOf(session, file)
        const several = pipelinesIn(text)
        const named = name ?? (several !== undefined || nameIn(text) ? undefined : nameOf(file))
        if (several !== undefined && name !== undefined) {
          const message = `${file} holds a list of pipelines, which have names of their own`
          throw new NodeError('INVALID_INPUT', message, { file })
        }
        const added: z.output<typeof pipelineViewSchema>[] = []
        for (const body of several ?? [text]) {
          const query = { name: named, shareNames: shareNames === true ? 'true' : undefined }
          const sent = { body, type: 'application/yaml', query }
          added.push(await client.send('/pipelines', pipelineViewSchema, sent))
        }
        session.out.result(several === undefined ? added[0] : added, () => {
          const told = added.map((each) => {
            const steps = each.value.steps.map((step) => step.name).join(' → ')
            return `The pipeline ${each.name} is registered: ${steps}.`
          })
          return told.join('\n')
        })
      }),
    )

  pipeline
    .command('list')
    .description('list the pipelines of the federation')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const pipelines = await client.get('/pipelines', z.array(pipelineViewSchema))
        session.out.result(pipelines, () => {
          const rows = pipelines.map(({ name, value, contested }) => {
            const steps = value.steps.map((step) => step.name).join(' → ')
            return [contested ? `${name} (contested)` : name, steps, value.description ?? '']
          })
          return session.out.table(['name', 'steps', 'description'], rows)
        })
      }),
    )

  pipeline
    .command('show <name>')
    .alias('get')
    .description('show one pipeline with its steps')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(`/pipelines/${encodeURIComponent(name)}`, pipelineViewSchema)
        session.out.result(shown, () => renderPipeline(session.out, shown.value.steps))
      }),
    )

  pipeline
    .command('remove <name>')
    .description('take a pipeline out of the registry')
    .action(
      act(async (session, name: string) => {
        await session.confirm(`Remove the pipeline ${name} from the federation?`)
        const client = await session.connect()
        await client.delete(`/pipelines/${encodeURIComponent(name)}`)
        session.out.result({ removed: name }, () => `The pipeline ${name} is removed.`)
      }),
    )

  pipeline
    .command('approve <name>')
    .description("trust the steps that ask for this node's secrets or data with them, as they stand now")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const path = `/pipelines/${encodeURIComponent(name)}/approve`
        const { steps, fingerprint } = await client.post(path, approvalViewSchema, { preview: true })
        for (const asking of steps) session.out.note(approvalText(asking))
        if (steps.length > 0) {
          await session.confirm(
            'Let these steps have what they ask for, for as long as they stay as they are?',
          )
        }
        const approved = await client.post(path, approvalViewSchema, { fingerprint })
        session.out.result(approved, () => {
          if (steps.length === 0) return `No step of ${name} asks for a secret, or for data that stay here.`
          return `The steps ${steps.map(({ step }) => step).join(', ')} of ${name} get what they ask for on this node.`
        })
      }),
    )

  pipeline
    .command('revoke <name>')
    .description("take this node's secrets and data back from the steps that were approved")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const path = `/pipelines/${encodeURIComponent(name)}/revoke`
        const revoked = await client.post(path, revokedSchema)
        const { steps } = revoked
        session.out.result(revoked, () => {
          if (steps.length === 0) return `No step of ${name} had secrets or data of this node.`
          return `The steps ${steps.join(', ')} of ${name} get no secrets and no data of this node any more.`
        })
      }),
    )

  submitCommand(pipeline, act, 'run')

  pipelineScheduleCommands(pipeline, act)
}

/** The pipelines of a list of them, as the predecessor's marketplace keeps it (`pipelines.json`), each as a text. */
function pipelinesIn(text: string): string[] | undefined {
  const document = parseDocument(text)
  const value: unknown = document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 })
  if (!Array.isArray(value) || value.length === 0) return undefined
  // A list of steps is one pipeline.
  const isList = value.every((each) => typeof each === 'object' && each !== null && 'steps' in each)
  return isList ? value.map((each) => JSON.stringify(each)) : undefined
}

/** Whether the text names itself. What cannot be read is left to the node, which says what is wrong with it. */
function nameIn(body: string): boolean {
  const document = parseDocument(body)
  return document.errors.length > 0 || document.has('name')
}

/** `observatory.yaml` names the pipeline `observatory`, as the predecessor's files did. */
function nameOf(file: string): string | undefined {
  return file === '-' ? undefined : basename(file, extname(file)).toLowerCase()
}
