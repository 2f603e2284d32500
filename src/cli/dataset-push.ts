import type { Command } from 'commander'
import { statusSchema } from '../api/views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { branchOf, ownerOfBranch } from '../datasets/branches.ts'
import { addressOf, cloneAt } from './clones.ts'
import { shortId } from './output.ts'
import type { Act, Session } from './session.ts'
import { runGit } from './stock-git.ts'
import { askGit, runUserGit } from './user-git.ts'

export function datasetPushCommand(dataset: Command, act: Act): void {
  dataset
    .command('push [directory]')
    .description('in a clone: put HEAD on your own branch <step>-<node>, and announce it to the members')
    .option('--step <step>', 'default: the branch that is checked out')
    .action(act(push))
}

async function push(
  session: Session,
  directory: string | undefined,
  { step }: { step?: string },
): Promise<void> {
  const { path, dataset } = await cloneAt(session, directory)
  const client = await session.connect()
  const { node } = await client.get('/federation', statusSchema)
  const branch = branchTo(step, await checkedOut(session, path), node.name)
  const commit = (await runUserGit(session, ['-C', path, 'rev-parse', '--verify', 'HEAD^{commit}'])).trim()
  const words = ['push', '--porcelain', '--', addressOf(client, dataset), `${commit}:refs/heads/${branch}`]
  let written = ''
  const onStdout = (text: string) => {
    if (written.length < 10_000) written += text
  }
  try {
    await runGit(session, client, words, { directory: path, onStdout })
  } catch (error) {
    throw isNodeError(error, 'GIT_FAILED') ? refusal(written, dataset, branch, error) : error
  }
  await runUserGit(session, ['-C', path, 'update-ref', `refs/remotes/origin/${branch}`, commit])
  const isNew = !/^=/m.test(written)
  session.out.result({ dataset, branch, commit, changed: isNew }, () => {
    if (!isNew) return `Nothing is new: ${branch} of ${dataset} is at ${shortId(commit)} already.`
    return `${branch} of ${dataset} is at ${shortId(commit)} now, and the members hear of it.`
  })
}

/** The name of the branch that is checked out, or undefined for a commit without one. */
async function checkedOut(session: Session, path: string): Promise<string | undefined> {
  const { code, text } = await askGit(session, ['-C', path, 'symbolic-ref', '--quiet', '--short', 'HEAD'])
  return code === 0 ? text.trim() : undefined
}

/** The branch that is pushed to. Pure. @throws NodeError INVALID_INPUT when nothing says which. */
export function branchTo(
  step: string | undefined,
  checkedOutBranch: string | undefined,
  node: string,
): string {
  if (step !== undefined) return branchOf(step, node)
  const here = checkedOutBranch
  if (here !== undefined && ownerOfBranch(here, [node]) === node) return here
  if (here !== undefined && here !== 'ground-truth' && /^[a-z0-9-]+$/.test(here)) return branchOf(here, node)
  const where = here === undefined ? 'No branch is checked out' : `The branch ${here} is no step of yours`
  throw new NodeError(
    'INVALID_INPUT',
    `${where}; say which with --step STEP: the branch is STEP-${node} then`,
  )
}

/** What git reports of a ref that did not move (git-push(1), porcelain), as an error with a way out. */
function refusal(written: string, dataset: string, branch: string, cause: NodeError): NodeError {
  const [, summary = ''] = /^!\t[^\t]*\t(.*)$/m.exec(written) ?? []
  if (/fetch first|non-fast-forward|does not follow/.test(summary)) {
    const message = `${branch} of ${dataset} has commits that are not in yours; "maoctl dataset pull" brings them, "git rebase origin/${branch}" puts yours on top, "maoctl dataset reset" rewrites the branch for everybody`
    return new NodeError('NOT_FAST_FORWARD', message, { dataset, branch }, { cause })
  }
  const reason = /\((.*)\)/.exec(summary)?.[1]
  if (reason === undefined) return cause
  return new NodeError(
    'FORBIDDEN',
    `${branch} of ${dataset} did not move: ${reason}`,
    { dataset, branch },
    { cause },
  )
}
