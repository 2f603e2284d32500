import type { Command } from 'commander'
import { z } from 'zod'
import { toolViewSchema } from '../api/views.ts'
import type { Pair } from './output.ts'
import type { Act } from './session.ts'
import { watchCommand } from './tool-watch.ts'

interface ToolOptions {
  image: string
  author?: string
  dataRepo?: string
  codeRepo?: string
  artefact?: string
  description?: string
}

export function toolCommands(program: Command, act: Act): void {
  const tool = program.command('tool').description('container images that pipelines run')

  tool
    .command('add <name>')
    .description('register a tool')
    .requiredOption('--image <reference>', 'container image, such as registry.example.org/group/tool:1.0')
    .option('--author <text>', 'who made it')
    .option('--data-repo <url>', 'where its data are kept')
    .option('--code-repo <url>', 'where its source is kept')
    .option('--artefact <text>', 'what it looks at')
    .option('--description <text>', 'what it does')
    .action(
      act(async (session, name: string, options: ToolOptions) => {
        const client = await session.connect()
        const { image, author, artefact, description } = options
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
    .description('show one tool')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const tool = await client.get(`/tools/${encodeURIComponent(name)}`, toolViewSchema)
        session.out.result(tool, () => {
          const said = Object.entries(tool.value).map(([field, text]): Pair => {
            return [field, typeof text === 'string' ? text : JSON.stringify(text ?? '')]
          })
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
