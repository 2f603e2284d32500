import type { Command } from 'commander'
import { z } from 'zod'
import { type BuildView, buildViewSchema, inspectedImageSchema } from '../api/image-views.ts'
import { toolViewSchema } from '../api/views.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { archiveOf } from './archive.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { type Pair, spanText, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

interface BuildOptions {
  tag?: string
  file?: string
  tool?: string
  git?: string
  dataset?: string
  commit?: string
  directory?: string
  cache: boolean
  detach?: boolean
}

/** Builds of images, and looking at them. */
export function imageBuildCommands(image: Command, act: Act): void {
  const build = image
    .command('build [directory]')
    .description(
      'build an image on the node from a directory with a Dockerfile (./list for one of such a name), a git repository or a dataset',
    )
    .option('--tag <name>', 'what the image is called on the node, such as lab/tool:1.0')
    .option('--file <path>', 'the Dockerfile, within the files (default: Dockerfile)')
    .option(
      '--tool <name>',
      'register the image as a tool: this very image, with its labels where it is a service',
    )
    .option('--git <url>', 'build from a git repository instead: URL[#branch-or-tag[:directory]]')
    .option('--dataset <name>', 'build from the files of a dataset instead')
    .option('--commit <id>', 'of the dataset (default: what is agreed on)')
    .option('--directory <path>', 'of the dataset')
    .option('--no-cache', 'make every layer anew')
    .option('--detach', 'do not wait for the end')
    .action(
      act(async (session, directory: string | undefined, options: BuildOptions) => {
        const client = await session.connect()
        const queued = await submit(session, client, directory, options)
        if (options.detach === true) {
          session.out.result(queued, () => `The build ${queued.id} is ${queued.state}.`)
          return
        }
        const build = await follow(session, client, queued)
        if (build.state !== 'succeeded') {
          session.out.result(build, () => renderBuild(session, build))
          session.exitCode = build.state === 'cancelled' ? EXIT.INTERRUPTED : EXIT.OUTCOME
          return
        }
        const tool = options.tool === undefined ? undefined : await register(client, build, options.tool)
        session.out.result(tool === undefined ? build : { ...build, tool }, () => {
          const made = `The image ${build.tag} is ${build.image}.`
          return tool === undefined ? made : `${made}\nThe tool ${tool.name} runs just this image.`
        })
      }),
    )

  lists(build.command('list'), act)
  shows(build.command('show <id>'), act)
  cancels(build.command('cancel <id>'), act)
  // As they were called first.
  lists(image.command('builds', { hidden: true }), act)
  shows(image.command('build-show <id>', { hidden: true }), act)
  cancels(image.command('build-cancel <id>', { hidden: true }), act)
}

function lists(command: Command, act: Act): void {
  command.description('list the builds of the node, newest first').action(
    act(async (session) => {
      const client = await session.connect()
      const builds = await client.get('/builds', z.array(buildViewSchema))
      session.out.result(builds, () => {
        if (builds.length === 0) return 'This node has built nothing yet; "maoctl image build" does.'
        const rows = builds.map((build) => [
          build.id,
          session.out.state(build.state),
          build.tag,
          sourceText(build),
          timeText(build.createdMs),
          build.reason ?? '',
        ])
        return session.out.table(['id', 'state', 'tag', 'from', 'created', 'reason'], rows)
      })
    }),
  )
}

function shows(command: Command, act: Act): void {
  command
    .description('show one build; with --log, what it printed')
    .option('--log', 'print its log instead')
    .option('-f, --follow', 'with --log, go on until it has ended')
    .action(
      act(async (session, id: string, { log, follow }: { log?: boolean; follow?: boolean }) => {
        const client = await session.connect()
        if (log !== true) {
          const build = await client.get(pathOf(id), buildViewSchema)
          return session.out.result(build, () => renderBuild(session, build))
        }
        let text = ''
        for await (const part of client.stream(`${pathOf(id)}/log`, { query: { follow } })) {
          if (session.out.json) text += part
          else session.out.raw(part)
        }
        if (session.out.json) session.out.result({ id, log: text }, () => text)
      }),
    )
}

function cancels(command: Command, act: Act): void {
  command.description('stop a build, or take it out of the queue').action(
    act(async (session, id: string) => {
      const client = await session.connect()
      const build = await client.post(`${pathOf(id)}/cancel`, buildViewSchema)
      session.out.result(build, () => `The build ${id} is ${build.state}.`)
    }),
  )
}

async function submit(
  session: Session,
  client: ApiClient,
  directory: string | undefined,
  options: BuildOptions,
): Promise<BuildView> {
  const { git, dataset, commit, tag, file, cache } = options
  const query = { tag, dockerfile: file, noCache: !cache }
  if ([directory, git, dataset].filter((each) => each !== undefined).length !== 1) {
    throw new NodeError(
      'INVALID_INPUT',
      'Name one thing to build from: a directory, --git URL or --dataset NAME',
    )
  }
  if (directory === undefined) {
    const source = git === undefined ? { dataset, commit, directory: options.directory } : { git }
    const body = JSON.stringify(source)
    return client.send('/builds', buildViewSchema, { body, type: 'application/json', query })
  }
  const archive = await archiveOf(directory)
  const sent = { body: archive.bytes, type: 'application/x-tar', query }
  const queued = await client.send('/builds', buildViewSchema, sent)
  if (archive.told.leftOut.length > 0) session.out.note(`Left out: ${archive.told.leftOut.join(', ')}`)
  return queued
}

/** Passes the log on to standard error until the build has ended; Ctrl-C cancels it, and a second one leaves at once. */
async function follow(session: Session, client: ApiClient, { id }: BuildView): Promise<BuildView> {
  session.out.note(`The build ${id} waits for its turn or works; Ctrl-C cancels it.`)
  const cancel = () => {
    client.post(`${pathOf(id)}/cancel`, buildViewSchema).catch((error: unknown) => {
      session.out.note(`The build was not cancelled: ${messageOf(error)}`)
    })
  }
  process.once('SIGINT', cancel)
  process.once('SIGTERM', cancel)
  try {
    for await (const part of client.stream(`${pathOf(id)}/log`, { query: { follow: true } })) {
      if (!session.out.quiet) session.out.rawNote(part)
    }
  } finally {
    process.off('SIGINT', cancel)
    process.off('SIGTERM', cancel)
  }
  return client.get(pathOf(id), buildViewSchema)
}

async function register(client: ApiClient, { image = '', tag }: BuildView, name: string) {
  const inspected = await client.work('/images/inspect', inspectedImageSchema, { image })
  if (inspected.problems !== undefined) {
    const message = `The image was built, and its labels describe no service: ${inspected.problems.join('; ')}`
    throw new NodeError('INVALID_INPUT', message, { image, problems: inspected.problems })
  }
  if (inspected.service !== undefined) return client.work('/tools/service', toolViewSchema, { image, name })
  return client.post('/tools', toolViewSchema, { name, image, description: `built as ${tag}` })
}

function renderBuild({ out }: Session, build: BuildView): string {
  const { id, state, tag, createdMs, endedMs, reason, image, bases = [] } = build
  const pairs: Pair[] = [
    ['build', id],
    ['state', out.state(state)],
    ['tag', tag],
    ['from', sourceText(build)],
    ['created', timeText(createdMs)],
  ]
  if (endedMs !== undefined) pairs.push(['took', spanText(endedMs - createdMs)])
  if (reason !== undefined) pairs.push(['reason', reason])
  if (image !== undefined) pairs.push(['image', image])
  for (const { reference, digest } of bases) pairs.push(['begins with', `${reference} (${digest})`])
  return out.pairs(pairs)
}

function sourceText({ source }: BuildView): string {
  if (source.kind === 'upload') return `${source.files} files (${source.sha256.slice(0, 12)})`
  const directory = source.directory === undefined ? '' : ` ${source.directory}`
  if (source.kind === 'dataset') return `${source.dataset} at ${source.commit.slice(0, 12)}${directory}`
  const at = source.commit === undefined ? (source.ref ?? '') : source.commit.slice(0, 12)
  return `${source.url}${at === '' ? '' : ` at ${at}`}${directory}`
}

function pathOf(id: string): string {
  return `/builds/${encodeURIComponent(id)}`
}
