/** Git repositories that are imported: by the user's own git, and with one branch of their history. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../base/errors.ts'
import { countText } from './output.ts'
import type { Session } from './session.ts'
import { ALONE } from './stand-in.ts'
import { askGit, runUserGit, streamGit } from './user-git.ts'

export interface History {
  readonly commit: string
  /** Such as `12 commits of main`. */
  readonly told: string
  /** A git bundle of the whole history of the commit. */
  readonly bytes: () => AsyncIterable<Uint8Array>
}

/** True for a directory with a work tree, or a bare repository. */
export async function isRepository(path: string): Promise<boolean> {
  if (await exists(join(path, '.git'))) return true
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map((name) => exists(join(path, name))))
  return parts.every(Boolean)
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/** Clones one branch of a repository that is elsewhere. @returns where to. @throws NodeError GIT_FAILED, INVALID_INPUT. */
export async function cloneForImport(
  session: Session,
  source: string,
  temporary: string,
  branch: string | undefined,
): Promise<string> {
  const address = source.replace(/^git\+/i, '')
  if (URL.parse(address)?.password) {
    const message =
      'A password does not belong into an address, which others may read; leave it out, and git asks for it or finds it'
    throw new NodeError('INVALID_INPUT', message)
  }
  const target = join(temporary, 'source.git')
  const chosen = branch === undefined ? [] : [`--branch=${branch}`]
  const progress = 'isTTY' in session.terminal.stderr && session.terminal.stderr.isTTY === true
  const words = ['clone', '--bare', '--single-branch', '--no-tags', progress ? '--progress' : '--quiet']
  await runUserGit(session, [...words, ...chosen, '--', address, target], { env: { GIT_NO_LAZY_FETCH: '1' } })
  return target
}

/**
 * The history of a branch, once it is known that a dataset can hold it.
 *
 * @param repository a clone that this program has made: no setting of whoever made the original counts in it.
 * @param shown what the person calls the repository.
 * @param branch where HEAD is by default.
 * @throws NodeError NOT_FOUND, INVALID_INPUT for submodules, Git LFS, shallow clones and SHA-256; GIT_FAILED.
 */
export async function historyOf(
  session: Session,
  repository: string,
  shown: string,
  branch?: string,
): Promise<History> {
  const git = ['-C', repository]
  const ref = branch === undefined ? 'HEAD' : await refOf(session, repository, shown, branch)
  const found = await askGit(session, [...git, 'rev-parse', '--quiet', '--verify', `${ref}^{commit}`], ALONE)
  const commit = found.text.trim()
  if (found.code !== 0) {
    throw new NodeError('INVALID_INPUT', `${shown} has no commit to import`)
  }
  if (
    (await runUserGit(session, [...git, 'rev-parse', '--is-shallow-repository'], ALONE)).trim() === 'true'
  ) {
    const way = `complete it with "git fetch --unshallow", or add --files-only`
    throw new NodeError('INVALID_INPUT', `${shown} is a shallow clone, whose history is cut off; ${way}`)
  }
  if (commit.length !== 40) {
    const message = `${shown} holds SHA-256 objects; datasets hold SHA-1 ones; --files-only imports its files`
    throw new NodeError('INVALID_INPUT', message)
  }
  const name = branch ?? (await branchName(session, repository))
  const count = Number(await runUserGit(session, [...git, 'rev-list', '--count', commit], ALONE))
  await refuseSubmodules(session, repository, commit)
  await refuseLargeFileStorage(session, repository, commit)
  return {
    commit,
    told: `${countText(count, 'commit')} of ${name}`,
    bytes: () => streamGit(session, [...git, 'bundle', 'create', '--quiet', '-', ref], ALONE),
  }
}

/** The files of one commit, as git packs them. */
export function filesOf(
  session: Session,
  repository: string,
  { commit }: History,
): AsyncIterable<Uint8Array> {
  return streamGit(session, ['-C', repository, 'archive', '--format=tar', commit], ALONE)
}

async function refOf(session: Session, repository: string, shown: string, branch: string): Promise<string> {
  for (const ref of [`refs/heads/${branch}`, `refs/tags/${branch}`]) {
    const words = ['-C', repository, 'rev-parse', '--quiet', '--verify', `${ref}^{commit}`]
    if ((await askGit(session, words, ALONE)).code === 0) return ref
  }
  const known = await runUserGit(
    session,
    ['-C', repository, 'for-each-ref', '--format=%(refname:short)', 'refs/heads/'],
    ALONE,
  )
  const names = known.split('\n').filter((name) => name !== '')
  const told = names.length === 0 ? 'it has none' : `it has ${names.slice(0, 10).join(', ')}`
  throw new NodeError('NOT_FOUND', `${shown} has no branch ${branch}; ${told}`, { branch })
}

async function branchName(session: Session, repository: string): Promise<string> {
  const { code, text } = await askGit(
    session,
    ['-C', repository, 'symbolic-ref', '--quiet', '--short', 'HEAD'],
    ALONE,
  )
  return code === 0 ? text.trim() : 'HEAD'
}

async function refuseSubmodules(session: Session, repository: string, commit: string): Promise<void> {
  // Without files: directories, and the commits that submodules stand at.
  const listed = await runUserGit(
    session,
    ['-C', repository, 'ls-tree', '-r', '-d', '-z', '--full-tree', commit],
    ALONE,
  )
  const submodule = listed.split('\0').find((line) => line.startsWith('160000 '))
  if (submodule === undefined) return
  const path = submodule.slice(submodule.indexOf('\t') + 1)
  const message = `${path} is a submodule, which a dataset cannot hold; import it as a dataset of its own, or take the files with --files-only`
  throw new NodeError('INVALID_INPUT', message, { path })
}

async function refuseLargeFileStorage(session: Session, repository: string, commit: string): Promise<void> {
  const search = (text: string, paths: readonly string[]) => {
    const words = ['grep', '-l', '-z', '--full-name', '--fixed-strings', '-e', text, commit, '--', ...paths]
    return askGit(session, ['-C', repository, ...words], ALONE)
  }
  // All files are looked through only where one says that some of them are elsewhere.
  if ((await search('filter=lfs', ['*.gitattributes'])).text === '') return
  const pointers = await search('version https://git-lfs.github.com/spec/v1', ['.'])
  const path = pointers.text.split('\0')[0]?.slice(commit.length + 1)
  if (path === undefined || path === '') return
  const message = `${path} lies in Git LFS, and only a pointer to it in the repository; "git lfs migrate export" brings the files back into the history, or a directory with the files themselves can be imported with --files-only`
  throw new NodeError('INVALID_INPUT', message, { path })
}
