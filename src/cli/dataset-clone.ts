import { access, constants, readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { type DatasetView, datasetSchema, fetchedSchema } from '../api/dataset-views.ts'
import { statusSchema } from '../api/views.ts'
import { NodeError } from '../base/errors.ts'
import { TOKEN_FILE } from '../identity/access-token.ts'
import type { ApiClient } from './client.ts'
import { addressOf, cloneAt, DATASET_KEY } from './clones.ts'
import { FetchProgress } from './fetch-progress.ts'
import { reasonOf } from './files.ts'
import { countText, shortId } from './output.ts'
import type { Act, Session } from './session.ts'
import { runGit } from './stock-git.ts'
import { askGit, runUserGit } from './user-git.ts'

/** The remote-tracking branch that stands for what the federation agreed on. */
const TRUTH = 'refs/remotes/origin/ground-truth'

export function datasetCloneCommands(dataset: Command, act: Act): void {
  dataset
    .command('clone <name> [directory]')
    .description('clone a dataset with git, to work in')
    .action(act(clone))

  dataset
    .command('pull [directory]')
    .description(
      'in a clone: bring what members announced, and go on to the ground truth if nothing is in the way',
    )
    .action(act(pull))
}

async function clone(session: Session, name: string, directory: string | undefined): Promise<void> {
  const target = resolve(directory ?? name)
  // Before anything is fetched, which may take long.
  await checkFree(target, name)
  const client = await session.connect()
  const { truth } = await bringHere(session, client, name)
  const { url, note } = await originFor(session, client, name)
  // Of all nodes this one, wherever git's helper would look for it.
  const certificates = client.caFile === undefined ? {} : { MAO_CA_FILE: client.caFile }
  const environment = { MAO_URL: client.url, MAO_TOKEN: client.token, ...certificates }
  await runGit(session, client, ['clone', '--', url, target], { environment })
  await runUserGit(session, ['-C', target, 'config', DATASET_KEY, name])
  session.out.result({ name, directory: target, url, truth: truth ?? null }, () => {
    return `${name} is cloned to ${target}.`
  })
  session.out.note(`In there: "maoctl dataset pull", "maoctl dataset push --step STEP". ${note}`)
}

/** git clones into what is not there, or is empty. @throws NodeError ALREADY_EXISTS. */
async function checkFree(target: string, name: string): Promise<void> {
  try {
    if ((await readdir(target)).length === 0) return
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT') return
    if (code !== 'ENOTDIR') {
      const message = `${target} cannot be read: ${reasonOf(cause)}`
      throw new NodeError('INVALID_INPUT', message, { directory: target }, { cause })
    }
  }
  const message = `${target} is there already; name another place for the clone: maoctl dataset clone ${name} DIRECTORY`
  throw new NodeError('ALREADY_EXISTS', message, { directory: target })
}

/** What a node does not copy, it fetches first: git can only be given what is there. @throws NodeError DATASET_WITHHELD. */
async function bringHere(session: Session, client: ApiClient, name: string): Promise<DatasetView> {
  const path = `/datasets/${encodeURIComponent(name)}`
  const shown = await client.get(path, datasetSchema)
  const announced = shown.branches.filter((branch) => branch.announced)
  if (announced.length === 0 || announced.some(({ present }) => present)) return shown
  session.out.note(`${name} is not here yet (${shown.why}); it is fetched first.`)
  const progress = new FetchProgress(session, client, name)
  try {
    return (await client.work(`${path}/fetch`, fetchedSchema)).dataset
  } finally {
    await progress.end()
  }
}

/** The address that stays in a clone: one that plain git can go on with, where its helper for mao:// is installed. */
async function originFor(
  session: Session,
  client: ApiClient,
  name: string,
): Promise<{ url: string; note: string }> {
  const { PATH = '', MAO_DATA } = session.terminal.environment
  const { federation } = await client.get('/federation', statusSchema)
  if (federation === null || !(await isOnPath('git-remote-mao', PATH))) {
    const header = `-c http.extraHeader="Authorization: Bearer $(cat ${join(session.data, TOKEN_FILE)})"`
    return { url: addressOf(client, name), note: `Plain git is to be given the token: git ${header} fetch` }
  }
  const usual = resolve(MAO_DATA ?? join(homedir(), '.mao'))
  const where = session.data === usual ? '' : `, with MAO_DATA=${session.data} in its environment`
  return {
    url: `mao://${federation.name}/${name}`,
    note: `Plain git works as well${where}: git fetch, git push.`,
  }
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  for (const directory of path.split(delimiter).filter((each) => each !== '')) {
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}

async function pull(session: Session, directory: string | undefined): Promise<void> {
  const { path, dataset } = await cloneAt(session, directory)
  const client = await session.connect()
  // By its address now: the node may listen elsewhere than when this was cloned.
  const url = addressOf(client, dataset)
  const words = ['fetch', '--prune', '--', url, '+refs/heads/*:refs/remotes/origin/*']
  await runGit(session, client, words, { directory: path })
  const git = ['-C', path]
  const [head, truth] = await Promise.all(
    ['HEAD', TRUTH].map(async (ref) => {
      const { code, text } = await askGit(session, [
        ...git,
        'rev-parse',
        '--quiet',
        '--verify',
        `${ref}^{commit}`,
      ])
      return code === 0 ? text.trim() : undefined
    }),
  )
  const told = { dataset, directory: path, head: head ?? null, truth: truth ?? null }
  if (truth === undefined) {
    session.out.result(
      { ...told, merged: false },
      () => `${dataset} has no ground truth yet; its branches are below origin/.`,
    )
    return
  }
  if (head === truth) {
    session.out.result({ ...told, merged: false }, () => `${dataset} is up to date, at ${shortId(truth)}.`)
    return
  }
  await mergeTruth(session, path, dataset, head, truth)
  const count =
    head === undefined
      ? 0
      : Number(await runUserGit(session, [...git, 'rev-list', '--count', `${head}..${truth}`]))
  session.out.result({ ...told, head: truth, merged: true }, () => {
    return `${dataset} is at ${shortId(truth)} now${count === 0 ? '' : `, ${countText(count, 'commit')} further`}.`
  })
}

/** @throws NodeError NOT_FAST_FORWARD when HEAD has what the ground truth has not, GIT_FAILED when files are in the way. */
async function mergeTruth(
  session: Session,
  path: string,
  dataset: string,
  head: string | undefined,
  truth: string,
) {
  const git = ['-C', path]
  if (head !== undefined) {
    const ahead = Number(await runUserGit(session, [...git, 'rev-list', '--count', `${truth}..${head}`]))
    const related = (await askGit(session, [...git, 'merge-base', head, truth])).code === 0
    if (ahead > 0) {
      const what = related ? `${countText(ahead, 'commit')} here` : 'the history here'
      const message = `All branches are fetched, but ${what} ${ahead === 1 && related ? 'is' : 'are'} not in the ground truth of ${dataset}; "git rebase origin/ground-truth" puts them on top of it, "maoctl dataset push" offers them to the others`
      throw new NodeError('NOT_FAST_FORWARD', message, { dataset, head, truth, ahead })
    }
  }
  await runUserGit(session, [...git, 'merge', '--ff-only', '--quiet', truth])
}
