import type { Command } from 'commander'
import { type DatasetView, datasetSchema } from '../api/dataset-views.ts'
import { type DiffView, diffSchema } from '../api/dataset-views-diff.ts'
import { isNodeError, type NodeError } from '../base/errors.ts'
import { gather, parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { noteNews } from './dataset-browse.ts'
import { diffText } from './diff-text.ts'
import { shortId } from './output.ts'
import type { Act, Session } from './session.ts'

interface DiffOptions {
  path?: string
  key?: string[]
  stat?: boolean
  limit?: number
}

/** What two members make of the same data. */
export function datasetDiffCommand(dataset: Command, act: Act): void {
  dataset
    .command('diff <name> [from] [to]')
    .description(
      'compare two branches, members or commits, CSV and JSON by rows and values; one alone with the ground truth, none: every branch with it',
    )
    .option('--path <path>', 'only this file, or what lies below this directory')
    .option(
      '--key <column>',
      'a column that tells rows apart; may come several times (default: found out)',
      gather,
    )
    .option('--stat', 'one line a file')
    .option('--limit <count>', 'rows, values and lines told of all files together', parseCount)
    .action(act(diff))
}

async function diff(
  session: Session,
  name: string,
  from: string | undefined,
  to: string | undefined,
  options: DiffOptions,
): Promise<void> {
  const client = await session.connect()
  if (from === undefined) return diffAll(session, client, name, options)
  const [before, after] = to === undefined ? [undefined, from] : [from, to]
  const found = await ask(client, name, before, after, options, options.limit)
  noteNews(session, found.from)
  noteNews(session, found.to)
  session.out.result(found, () => diffText(session.out, found, options.stat === true))
}

/** Each branch beside the ground truth, in one line. */
async function diffAll(
  session: Session,
  client: ApiClient,
  name: string,
  options: DiffOptions,
): Promise<void> {
  const dataset = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
  const compared: ComparedBranch[] = []
  for (const branch of dataset.branches) compared.push(await compareBranch(client, name, branch, options))
  // What one branch has not, another may; what none has was never there.
  const slip = compared.find(({ slip }) => slip !== undefined)?.slip
  if (slip !== undefined && compared.every(({ counts }) => counts === undefined)) throw slip
  const told = compared.map(({ slip: _, ...rest }) => rest)
  session.out.result(told, () => {
    if (compared.length === 0) return `No member has a branch of ${name} yet.`
    const rows = compared.map(({ member, branch, commit, says }) => [member, branch, shortId(commit), says])
    return session.out.table(['member', 'branch', 'commit', 'beside the ground truth'], rows)
  })
}

interface ComparedBranch {
  readonly member: string
  readonly branch: string
  readonly commit: string
  readonly differs?: boolean
  readonly counts?: DiffView['counts']
  readonly summary?: string
  /** Why it could not be compared. */
  readonly code?: string
  /** The path or the key that was asked for is not there. */
  readonly slip?: NodeError
  readonly says: string
}

async function compareBranch(
  client: ApiClient,
  name: string,
  { branch, member, commit }: DatasetView['branches'][number],
  options: DiffOptions,
): Promise<ComparedBranch> {
  try {
    const { counts, summary, to } = await ask(client, name, undefined, branch, options, 0)
    const differs = counts.added + counts.removed + counts.changed + counts.renamed > 0
    // The sentence begins with the branch, which stands in a column of its own here.
    const says = differs ? summary.replace(/^.*? differs from the ground truth(?: in |: )/, '') : 'the same'
    return { member, branch, commit: to.commit, differs, counts, summary, says }
  } catch (error) {
    if (isNodeError(error) && (error.data.path !== undefined || error.data.key !== undefined)) {
      const says = error.data.path === undefined ? 'no table has the key' : 'neither has the path'
      return { member, branch, commit, code: error.code, slip: error, says }
    }
    if (!isNodeError(error, 'COMMIT_NOT_FOUND') && !isNodeError(error, 'DATASET_WITHHELD')) throw error
    const says = isNodeError(error, 'DATASET_WITHHELD') ? 'its data stay where they are' : 'not here yet'
    return { member, branch, commit, code: error.code, says }
  }
}

function ask(
  client: ApiClient,
  name: string,
  from: string | undefined,
  to: string | undefined,
  { path, key }: DiffOptions,
  limit: number | undefined,
): Promise<DiffView> {
  const query = { from, to, path, key: key?.join(','), limit }
  return client.get(`/datasets/${encodeURIComponent(name)}/diff`, diffSchema, query)
}
