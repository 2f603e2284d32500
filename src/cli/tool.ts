import type { Command } from 'commander'
import { z } from 'zod'
import { inspectedImageSchema } from '../api/image-views.ts'
import { toolViewSchema } from '../api/views.ts'
import { NodeError } from '../base/errors.ts'
import { type Service, type ServiceDescription, serviceId } from '../execution/images/service.ts'
import { bytesText, type Pair } from './output.ts'
import type { Act, Session } from './session.ts'
import { addToolsFrom } from './tool-file.ts'
import { toolHabits } from './tool-habits.ts'
import { watchCommand } from './tool-watch.ts'

interface ToolOptions {
  file?: string
  image?: string
  service?: string
  author?: string
  dataRepo?: string
  codeRepo?: string
  artefact?: string
  description?: string
}

export function toolCommands(program: Command, act: Act): void {
  const tool = program.command('tool').description('container images that pipelines run')

  tool
    .command('add [name]')
    .description('register a tool')
    .option('-f, --file <file>', 'instead: JSON or YAML of one tool or of several; - reads standard input')
    .option('--image <reference>', 'container image, such as registry.example.org/group/tool:1.0')
    .option(
      '--service <reference>',
      'instead: an image that says by its labels eudat.gef.service.* what it does; it needs no name',
    )
    .option('--author <text>', 'who made it')
    .option('--data-repo <url>', 'where its data are kept')
    .option('--code-repo <url>', 'where its source is kept')
    .option('--artefact <text>', 'what it looks at')
    .option('--description <text>', 'what it does')
    .action(
      act(async (session, name: string | undefined, options: ToolOptions) => {
        if (options.file !== undefined) return addToolsFrom(session, name, options.file)
        if (options.service !== undefined) return addService(session, name, options.service, options)
        const { image, author, artefact, description } = options
        if (name === undefined || image === undefined) {
          throw new NodeError(
            'INVALID_INPUT',
            'A tool has a name and --image REFERENCE, or --service REFERENCE, or --file FILE',
          )
        }
        const client = await session.connect()
        const tool = { name, image, author, artefact, description }
        const repositories = { data_repo: options.dataRepo, code_repo: options.codeRepo }
        const added = await client.post('/tools', toolViewSchema, { ...tool, ...repositories })
        session.out.result(added, () => `The tool ${added.name} runs ${added.value.image}.`)
      }),
    )

  tool
    .command('list')
    .description('list the tools of the federation')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const tools = await client.get('/tools', z.array(toolViewSchema))
        session.out.result(tools, () => {
          const rows = tools.map(({ name, value, contested }) => {
            return [
              contested ? `${name} (contested)` : name,
              value.image,
              value.author,
              value.description ?? '',
            ]
          })
          return session.out.table(['name', 'image', 'author', 'description'], rows)
        })
      }),
    )

  tool
    .command('show <name>')
    .alias('get')
    .description('show one tool')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const tool = await client.get(`/tools/${encodeURIComponent(name)}`, toolViewSchema)
        session.out.result(tool, () => {
          const { service, ...value } = tool.value
          const said = Object.entries(value).map(([field, text]): Pair => {
            return [field, typeof text === 'string' ? text : JSON.stringify(text ?? '')]
          })
          if (service !== undefined) said.push(...servicePairs(service))
          const contested: Pair[] = tool.contested ? [['contested', 'other members claim this name too']] : []
          return session.out.pairs([
            ['name', tool.name],
            ...said,
            ['registered by', tool.author],
            ...contested,
          ])
        })
      }),
    )

  tool
    .command('inspect-image <reference>')
    .description('tell what an image is, and what its labels make of it as a service')
    .action(
      act(async (session, image: string) => {
        const client = await session.connect()
        const inspected = await client.work('/images/inspect', inspectedImageSchema, { image })
        session.out.result(inspected, () => renderImage(session, inspected))
      }),
    )

  tool
    .command('accept <name>')
    .description('take the image that its reference means now as the right one, after IMAGE_MOVED')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const path = `/tools/${encodeURIComponent(name)}/accept-image`
        const tool = await client.post(path, toolViewSchema)
        session.out.result(tool, () => {
          return `The next run of ${name} on this node takes ${tool.value.image} as it is then, and stays with it.`
        })
      }),
    )

  toolHabits(tool, act)
  watchCommand(tool, act)

  tool
    .command('remove <name>')
    .description('take a tool out of the registry')
    .action(
      act(async (session, name: string) => {
        await session.confirm(`Remove the tool ${name} from the federation?`)
        const client = await session.connect()
        await client.delete(`/tools/${encodeURIComponent(name)}`)
        session.out.result({ removed: name }, () => `The tool ${name} is removed.`)
      }),
    )
}

/** What the labels of the image say is all that is said of it, but for who made it. */
async function addService(
  session: Session,
  name: string | undefined,
  image: string,
  { author, codeRepo, ...others }: ToolOptions,
): Promise<void> {
  if (Object.keys(others).some((option) => option !== 'service')) {
    const message =
      'A service says by its labels what it does: beside --service there are --author and --code-repo'
    throw new NodeError('INVALID_INPUT', message)
  }
  const client = await session.connect()
  const added = await client.work('/tools/service', toolViewSchema, {
    name,
    image,
    author,
    code_repo: codeRepo,
  })
  session.out.result(added, () => {
    const { service } = added.value
    const said = service === undefined ? '' : `, the service ${service.name} ${service.version}`
    return `The tool ${added.name} runs ${added.value.image}${said}.`
  })
}

function renderImage({ out }: Session, image: z.output<typeof inspectedImageSchema>): string {
  const { service, problems } = image
  const pairs: Pair[] = [
    ['image', image.reference],
    ['for ever', image.fixed],
    ['size', bytesText(image.bytes)],
    ['user', image.user === '' ? '-' : image.user],
    ['service', service === undefined ? 'no' : `${service.name} ${service.version}`],
  ]
  if (service !== undefined) pairs.push(...portPairs(service))
  for (const problem of problems ?? []) pairs.push(['problem', problem])
  return out.pairs(pairs)
}

function servicePairs(service: Service): Pair[] {
  return [['service', serviceId(service)], ...portPairs(service)]
}

function portPairs({ inputs, outputs }: ServiceDescription): Pair[] {
  return [
    ...inputs.map(({ name, type, path, filename }): Pair => {
      return ['input', `${name} (${type}) at ${path}${filename === undefined ? '' : `/${filename}`}`]
    }),
    ...outputs.map(({ name, path }): Pair => ['output', `${name} at ${path}`]),
  ]
}
