import { type Command, Option } from 'commander'
import { z } from 'zod'
import { type DatasetView, datasetDetailSchema, datasetSchema, removedSchema } from '../api/dataset-views.ts'
import { datasetRuleSchema } from '../api/rule-routes.ts'
import { type UpstreamView, upstreamSchema } from '../api/upstream-views.ts'
import { NodeError } from '../base/errors.ts'
import { isUpstreamBranch, parseUpstreamUrl } from '../datasets/upstream/upstream-address.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { policyOption } from './dataset-import.ts'
import { datasetText, sizeText } from './dataset-text.ts'
import { shortId } from './output.ts'
import { readRules } from './rule-file.ts'
import type { Act, Session } from './session.ts'

interface NewOptions {
  name?: string
  description?: string
  policy?: string
  replicas?: number
  upstream?: string
  upstreamBranch: string
  rule?: string
}

interface Changes {
  description?: string
  policy?: string
  replicas?: number | 'all'
}

/** Which datasets there are: `add`, `list`, `show`, `edit`, `remove`. */
export function datasetShelfCommands(dataset: Command, act: Act): void {
  dataset
    .command('add [name]')
    .description('make a new, empty dataset')
    .option('--name <name>', 'the same')
    .option('--description <text>', 'what is in it')
    .addOption(policyOption())
    .option(
      '--replicas <count>',
      'how many members beside this one are to keep a copy; all by default',
      parseCount,
    )
    .option('--upstream <url>', 'a git repository elsewhere that it is pulled from and pushed to')
    .option('--upstream-branch <branch>', 'the branch there', 'main')
    .option('--rule <file>', 'how results become its ground truth, as JSON; or later: maoctl dataset rule')
    .action(
      act(async (session, named: string | undefined, options: NewOptions) => {
        const client = await session.connect()
        const { upstream, upstreamBranch, rule, ...founding } = { ...options, name: options.name ?? named }
        if (founding.name === undefined || (named !== undefined && founding.name !== named)) {
          throw new NodeError('INVALID_INPUT', 'A dataset has one name: maoctl dataset add NAME')
        }
        if (upstream !== undefined) checkUpstream(upstream, upstreamBranch)
        const rules = rule === undefined ? undefined : await readRules(rule)
        const added = await client.post('/datasets', datasetSchema, founding)
        if (rules !== undefined) await client.put(`${pathOf(added.name)}/rule`, datasetRuleSchema, rules)
        if (upstream !== undefined) await nameUpstream(session, client, added.name, upstream, upstreamBranch)
        session.out.result(added, () => {
          const fill = `"maoctl dataset import DIRECTORY --into ${added.name}" puts something into it`
          return `The dataset ${added.name} exists and is empty (${added.policy}); ${fill}.`
        })
      }),
    )

  dataset
    .command('list')
    .description('list the datasets of the federation, and those that are only here')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const datasets = await client.get('/datasets', z.array(datasetSchema))
        session.out.result(datasets, () => {
          if (datasets.length === 0) {
            return 'There is no dataset yet; "maoctl dataset import DIRECTORY --name NAME" makes one.'
          }
          const rows = datasets.map((each) => [
            each.name,
            each.policy,
            shortId(each.truth),
            String(each.branches.length),
            sizeText(each.size),
            each.policy === 'shared' ? replicasText(each.replicas) : '-',
            hereText(each),
            each.description,
          ])
          const head = ['name', 'policy', 'truth', 'branches', 'size', 'copies', 'here', 'description']
          return session.out.table(head, rows)
        })
      }),
    )

  dataset
    .command('show <name>')
    .alias('get')
    .description(
      'show one dataset: policy, copies, members and their branches, what it takes here, what is odd',
    )
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(pathOf(name), datasetDetailSchema)
        const upstream =
          session.out.json || shown.upstream === undefined ? undefined : await upstreamOf(client, name)
        session.out.result(shown, () => datasetText(session.out, shown, upstream))
      }),
    )

  dataset
    .command('edit <name>')
    .description(
      'change what is said of a dataset; for who founded it, or an operator, whose word also settles a name that is contested',
    )
    .option('--description <text>', 'what is in it')
    .option('--replicas <count>', 'how many members are to keep a copy, or "all"', (text: string) => {
      return text === 'all' ? text : parseCount(text)
    })
    .addOption(
      new Option(
        '--policy <policy>',
        'for who founded it, on its own node: whether members may copy its objects',
      ).choices(['shared', 'compute-only']),
    )
    .action(
      act(async (session, name: string, { description, replicas, policy }: Changes) => {
        if (policy === 'shared') {
          await session.confirm(
            `Every member may copy the objects of ${name} then, which nobody can take back. Go on?`,
          )
        }
        const client = await session.connect()
        if (description === undefined && replicas === undefined && policy === undefined) {
          const { contested } = await client.get(pathOf(name), datasetSchema)
          if (contested.length === 0) {
            const message = 'Nothing is to be changed; name --description, --policy or --replicas'
            throw new NodeError('INVALID_INPUT', message)
          }
        }
        const change = { description, policy, replicas: replicas === 'all' ? null : replicas }
        const edited = await client.patch(pathOf(name), datasetSchema, change)
        session.out.result(edited, () => `The record of ${name} is changed, and the members hear of it.`)
      }),
    )

  dataset
    .command('remove <name>')
    .description('end a dataset for all members; for who founded it, or an operator')
    .action(act(remove))
}

const pathOf = (name: string) => `/datasets/${encodeURIComponent(name)}`

function upstreamOf(client: ApiClient, name: string): Promise<UpstreamView> {
  return client.get(`${pathOf(name)}/upstream`, upstreamSchema)
}

/** What the members are told of is not taken back, so it is judged first. @throws NodeError INVALID_INPUT. */
function checkUpstream(url: string, branch: string): void {
  parseUpstreamUrl(url)
  if (isUpstreamBranch(branch)) return
  throw new NodeError('INVALID_INPUT', `${JSON.stringify(branch)} cannot name a branch of an upstream`)
}

async function nameUpstream(session: Session, client: ApiClient, name: string, url: string, branch: string) {
  try {
    await client.put(`${pathOf(name)}/upstream`, upstreamSchema, { url, branch })
  } catch (error) {
    session.out.note(
      `The dataset ${name} is there, but without its upstream; "maoctl dataset upstream set" names it.`,
    )
    throw error
  }
}

async function remove(session: Session, name: string): Promise<void> {
  const client = await session.connect()
  const { replicas, policy } = await client.get(pathOf(name), datasetSchema)
  const whom = policy === 'local-only' ? 'It is on this node alone' : 'It ends for all members'
  const holders = replicas.members.map(({ member }) => member)
  const where =
    holders.length === 0
      ? ''
      : `; ${holders.join(', ')} hold${holders.length === 1 ? 's' : ''} copies, which stay`
  await session.confirm(`Remove the dataset ${name}? ${whom}${where}.`)
  const removed = await client.remove(pathOf(name), removedSchema, {})
  session.out.result(removed, () => {
    const rest =
      removed.copies.length === 0
        ? ''
        : ` Copies are still at ${removed.copies.join(', ')}; each deletes its own with "maoctl dataset remove-local ${name} --force".`
    return `The dataset ${name} is no more.${rest}`
  })
}

/** How many hold it beside its owner, of how many are wanted. */
function replicasText({ wanted, actual }: { wanted?: number | undefined; actual: number }): string {
  return wanted === undefined ? String(actual) : `${actual}/${wanted}`
}

function hereText({ followed, replicated, why, branches, failures, refusals }: DatasetView): string {
  if (followed && !replicated) {
    const [failure] = failures
    if (failure !== undefined) return `held up: ${failure.code}`
    return refusals.length > 0 ? `refused: ${why}` : `not yet: ${why}`
  }
  if (followed) return `yes: ${why}`
  // Brought once by "dataset fetch" or a clone, and not kept up to date.
  return branches.some(({ present }) => present) ? `as fetched: ${why}` : `no: ${why}`
}
