/**
 * Local repositories that are imported. Whoever made one may have named programs in its settings (a file system monitor,
 * hooks, filters, a helper that fetches what is missing), and git runs them. So nothing is asked of git there but to
 * list references for a clone, which it answers without any of them ("git help git", SECURITY); the rest is asked of
 * that clone, which takes its objects from the original.
 */
import { copyFile, lstat, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Session } from './session.ts'
import { askGit, type GitOptions, runUserGit } from './user-git.ts'

/** Missing objects are missing: nobody is called for them. */
export const ALONE: GitOptions = { env: { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' } }
const FROM_DISK: GitOptions = { env: { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'file' } }
/** Of no repository is more read into a line: where another directory is. */
const POINTER_BYTES_MAX = 4_096

/** Clones a local repository without its objects and settings. @returns where to. @throws NodeError GIT_FAILED. */
export async function standInFor(session: Session, path: string, temporary: string): Promise<string> {
  const target = join(temporary, 'source.git')
  await runUserGit(session, ['clone', '--quiet', '--bare', '--shared', '--', path, target], FROM_DISK)
  return target
}

/**
 * Whether something is in the work tree and in no commit, and so stays behind; false as well where that cannot be told.
 * git looks with the stand-in's settings, at a copy of the index.
 */
export async function hasUncommitted(
  session: Session,
  path: string,
  standIn: string,
  temporary: string,
): Promise<boolean> {
  const directory = await gitDirectory(path)
  const index = join(temporary, 'index')
  if (directory === undefined || !(await copied(join(directory, 'index'), index))) return false
  const common = await pointer(join(directory, 'commondir'))
  await copied(join(resolve(directory, common ?? ''), 'info', 'exclude'), join(standIn, 'info', 'exclude'))
  // Whether a file may be run is told apart on some file systems alone, which the settings would say.
  const settings = [
    'core.bare=false',
    'core.fsmonitor=false',
    'core.hooksPath=/dev/null',
    'core.fileMode=false',
  ]
  const words = [
    ...['-C', path, `--git-dir=${standIn}`, `--work-tree=${path}`],
    ...settings.flatMap((setting) => ['-c', setting]),
    // A submodule would be asked with its own settings.
    ...['status', '--porcelain', '--ignore-submodules=all'],
  ]
  const env = { ...ALONE.env, GIT_INDEX_FILE: index, GIT_OPTIONAL_LOCKS: '0' }
  const { code, text } = await askGit(session, words, { env, isSilent: true })
  return code === 0 && text !== ''
}

/** `.git`, or where a linked work tree says that it is. */
async function gitDirectory(path: string): Promise<string | undefined> {
  const here = join(path, '.git')
  if ((await lstat(here).catch(() => undefined))?.isDirectory()) return here
  const [, place] = /^gitdir: (.+)$/s.exec((await pointer(here)) ?? '') ?? []
  return place === undefined ? undefined : resolve(path, place)
}

async function pointer(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined)
  if (!found?.isFile() || found.size > POINTER_BYTES_MAX) return undefined
  return (await readFile(file, 'utf8')).trimEnd()
}

/** Only a plain file: anything else may never end. */
async function copied(from: string, to: string): Promise<boolean> {
  if (!(await lstat(from).catch(() => undefined))?.isFile()) return false
  await copyFile(from, to)
  return true
}
