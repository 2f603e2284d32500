import { type Command, InvalidArgumentError, Option } from 'commander'
import { committedSchema, datasetSchema, type Imported, importedSchema } from '../api/dataset-views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { reasonOf } from './files.ts'
import { type SourceOptions, withSource } from './import-source.ts'
import { countText, shortId } from './output.ts'
import { Progress } from './progress.ts'
import type { Act, Session } from './session.ts'
import { MEDIA_TYPE } from './source-kind.ts'

interface Founding {
  name?: string
  description?: string
  policy?: string
  replicas?: number
}

interface Addition {
  into?: string
  step?: string
  message?: string
}

type ImportOptions = Founding & Addition & SourceOptions

const AFTER_HELP = `
SOURCE is a directory, a file, a .tar, .tar.gz or .tar.zst archive, a git bundle, "-" for an archive on standard input,
an http(s) address of any of these, or a git repository: a directory, host:path, ssh://…, https://….git, git+https://….
Repositories come with the history of one branch, fetched with your own git and your own keys.

  maoctl dataset import ./measurements --name measurements
  maoctl dataset import git@host:group/data.git --name data --branch main
  maoctl dataset import https://host/data.tar.gz --name data --sha256 9f86d0…
  maoctl dataset import ./measurements --into measurements --step manual      a new snapshot of what is there already`

export const POLICIES = ['shared', 'local-only', 'compute-only']

export function policyOption(): Option {
  return new Option(
    '--policy <policy>',
    'shared: members copy it; local-only: it never leaves this node; compute-only: others know of it, and only results leave',
  ).choices(POLICIES)
}

/** @throws InvalidArgumentError unless it is a SHA-256. */
function parseSha256(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new InvalidArgumentError('a SHA-256 has 64 hexadecimal digits')
  return text.toLowerCase()
}

export function datasetImportCommand(dataset: Command, act: Act): void {
  dataset
    .command('import <source>')
    .description('make a dataset of files, an archive or a git repository, or add a snapshot to one')
    .option('--name <name>', 'name of the new dataset')
    .option('--description <text>', 'what is in it')
    .addOption(policyOption())
    .option('--replicas <count>', 'how many members are to copy it; all by default', parseCount)
    .option('--into <dataset>', 'instead of a new dataset: commit to your own branch of this one')
    .option('--step <step>', 'with --into: the branch is <step>-<node>; "import" by default')
    .option('--message <text>', 'with --into: what the commit says')
    .option('--branch <branch>', 'of a git repository; where its HEAD is by default')
    .option('--files-only', 'of a git repository only the files, without its history')
    .option('--sha256 <hash>', 'what a download has to hash to', parseSha256)
    .addHelpText('after', AFTER_HELP)
    .action(act(importSource))
}

async function importSource(session: Session, source: string, options: ImportOptions): Promise<void> {
  checkTarget(options)
  const client = await session.connect()
  const { into } = options
  // Before the source is opened: cloning and sending may take long.
  await checkThere(client, into ?? (options.name as string), into !== undefined)
  await withSource(session, source, options, async (opened) => {
    const progress = new Progress(session, 'sent')
    const body = ReadableStream.from(progress.through(readable(opened.bytes, source)))
    const sent = { body, type: MEDIA_TYPE[opened.packed] }
    try {
      if (into === undefined) await found(session, client, options, sent, opened.told)
      else await addTo(session, client, into, options, sent, opened.told)
    } finally {
      progress.end()
    }
  })
}

/** The same bytes; what ends them before their end is told of the source, and not of the node. @throws NodeError */
async function* readable(bytes: AsyncIterable<Uint8Array>, source: string): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    const name = source === '-' ? 'Standard input' : source
    throw new NodeError(
      'INVALID_INPUT',
      `${name} cannot be read: ${reasonOf(cause)}; nothing was stored`,
      { source },
      { cause },
    )
  }
}

interface Sent {
  readonly body: ReadableStream<Uint8Array>
  readonly type: string
}

type Told = () => string | undefined

async function found(session: Session, client: ApiClient, options: Founding, sent: Sent, told: Told) {
  const { name, description, policy, replicas } = options
  const query = { name, description, policy, replicas }
  const imported = await client.send('/datasets/import', importedSchema, { ...sent, query })
  if (imported.warning !== undefined) session.out.note(`Mind: ${imported.warning}.`)
  const what = told() ?? filesText(imported)
  session.out.result(imported, () => {
    return `The dataset ${imported.name} holds ${what}, at commit ${shortId(imported.truth)}.`
  })
}

async function addTo(
  session: Session,
  client: ApiClient,
  into: string,
  options: Addition,
  sent: Sent,
  told: Told,
) {
  const { step, message } = options
  const path = `/datasets/${encodeURIComponent(into)}/commits`
  const added = await client
    .send(path, committedSchema, { ...sent, query: { step, message } })
    .catch((error: unknown) => {
      if (sent.type !== MEDIA_TYPE.bundle || !isNodeError(error, 'NOT_FAST_FORWARD')) throw error
      const wayOut = `--files-only adds the files alone as a new snapshot, another --step begins a branch of its own, --name a dataset`
      throw new NodeError('NOT_FAST_FORWARD', `${error.message}; ${wayOut}`, error.data, { cause: error })
    })
  const what = told()
  session.out.result({ dataset: into, ...added }, () => {
    if (!added.changed) return `Nothing is new: ${added.branch} of ${into} holds the same already.`
    const holding = what === undefined ? '' : ` with ${what}`
    return `${added.branch} of ${into} is at commit ${shortId(added.commit)} now${holding}.`
  })
}

function filesText({ files }: Imported): string {
  return files === undefined ? 'what came with it' : countText(files, 'file')
}

/** @throws NodeError INVALID_INPUT unless it says where to, in one way. */
function checkTarget({ name, into, description, policy, replicas, step, message }: ImportOptions): void {
  if ((name === undefined) === (into === undefined)) {
    const way = '--name NAME makes a new dataset, --into NAME adds to one'
    throw new NodeError(
      'INVALID_INPUT',
      name === undefined ? `Where to? ${way}` : `Only one of the two: ${way}`,
    )
  }
  if (into !== undefined && [description, policy, replicas].some((each) => each !== undefined)) {
    throw new NodeError(
      'INVALID_INPUT',
      '--description, --policy and --replicas are for a new dataset, with --name',
    )
  }
  if (name !== undefined && (step !== undefined || message !== undefined)) {
    throw new NodeError('INVALID_INPUT', '--step and --message are for adding to a dataset, with --into')
  }
}

/** @throws NodeError ALREADY_EXISTS, DATASET_NOT_FOUND, INVALID_INPUT for what is no name. */
async function checkThere(client: ApiClient, name: string, wanted: boolean): Promise<void> {
  try {
    await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
  } catch (error) {
    if (!wanted && isNodeError(error, 'DATASET_NOT_FOUND')) return
    throw error
  }
  if (wanted) return
  const message = `There is a dataset named ${name} already; choose another name, or add to it: maoctl dataset import … --into ${name}`
  throw new NodeError('ALREADY_EXISTS', message, { name })
}
