import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { upstreamTimeoutMs } from '../../base/limits.ts'
import { GitExit, GitProgram } from '../../datasets/git/git-program.ts'
import { fetchRemote } from '../../datasets/git/native-remote.ts'
import { diagnose } from '../../datasets/upstream/remote-words.ts'
import type { Upstreams } from '../../datasets/upstream/upstreams.ts'
import type { GitReference } from './build.ts'
import { type ContextLimits, takeContext } from './build-context.ts'

export interface GitFetching {
  /** Which places git may call, and how it is let in; the rules of upstreams (protocols/upstreams.md). */
  readonly upstreams: Pick<Upstreams, 'callTo'>
  readonly source: GitReference
  /** Where the files are put; empty or not there yet. */
  readonly directory: string
  readonly limits: ContextLimits
  readonly signal: AbortSignal
}

/**
 * Fetches one commit of a git repository elsewhere, proven by git object by object, and lays out its files.
 *
 * @returns the commit. @throws NodeError INVALID_INPUT, FORBIDDEN, NOT_FOUND, UPSTREAM_FAILED, PACK_REJECTED, PATH_UNSAFE,
 * TOO_LARGE, TIMED_OUT, UNSUPPORTED, the signal's reason.
 */
export async function fetchGitSource(fetching: GitFetching): Promise<string> {
  const { directory, limits, source } = fetching
  const git = await GitProgram.find()
  if (git === undefined)
    throw new NodeError('UNSUPPORTED', 'A build from git needs the git program: install it')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const place = await mkdtemp(`${directory}-git-`)
  const deadline = AbortSignal.timeout(upstreamTimeoutMs)
  const signal = AbortSignal.any([fetching.signal, deadline])
  try {
    await git.run(['init', '--quiet', '--bare', place], { signal })
    // Of the tree as it is committed nothing is left out and nothing filled in, whatever its own attributes say.
    await mkdir(join(place, 'info'), { recursive: true })
    await writeFile(join(place, 'info/attributes'), '* -export-ignore -export-subst\n')
    const commit = await fetchCommit(git, place, { ...fetching, signal })
    await layOut(git, { place, commit, directory, limits, signal })
    if (source.directory !== undefined) await checkDirectory(git, place, commit, source.directory, signal)
    return commit
  } catch (error) {
    if (fetching.signal.aborted) fetching.signal.throwIfAborted()
    if (!deadline.aborted) throw error
    const message = `${source.url} took longer than ${upstreamTimeoutMs / 60_000} minutes`
    throw new NodeError('TIMED_OUT', message, { url: source.url }, { cause: error })
  } finally {
    await rm(place, { recursive: true, force: true })
    await git.stop()
  }
}

/** A name is a branch's, else a tag's. */
async function fetchCommit(git: GitProgram, place: string, fetching: GitFetching): Promise<string> {
  const { source, limits, signal, upstreams } = fetching
  const { address, call } = await upstreams.callTo(source.url)
  const { ref } = source
  const names = ref === undefined ? ['HEAD'] : [`refs/heads/${ref}`, `refs/tags/${ref}`]
  const fetch = { call, branch: ref ?? 'HEAD', isShallow: true, signal, bytesMax: limits.bytesMax }
  for (const [index, name] of names.entries()) {
    try {
      return await fetchRemote(git, place, { ...fetch, ref: name, onBytes: async () => undefined })
    } catch (error) {
      if (!(error instanceof GitExit) || error.data.command !== 'fetch') throw error
      const failure = diagnose(error.stderr, address, ref ?? 'HEAD')
      if (!isNodeError(failure, 'NOT_FOUND')) throw failure
      if (index < names.length - 1) continue
      const message = `${address.url} has no branch or tag ${ref ?? 'HEAD'}`
      throw new NodeError('NOT_FOUND', message, { url: address.url }, { cause: error })
    }
  }
  throw new NodeError('INTERNAL', 'A reference has no name')
}

async function layOut(
  git: GitProgram,
  p: { place: string; commit: string; directory: string; limits: ContextLimits; signal: AbortSignal },
): Promise<void> {
  const { place, commit, directory, limits, signal } = p
  const args = [`--git-dir=${place}`, 'archive', '--format=tar', commit]
  await git.read(args, { signal }, async (stdout) => {
    await takeContext(stdout, directory, limits)
  })
}

async function checkDirectory(
  git: GitProgram,
  place: string,
  commit: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const type = await git
    .run([`--git-dir=${place}`, 'cat-file', '-t', `${commit}:${directory}`], { signal })
    .then(String)
    .catch(() => '')
  if (type.trim() === 'tree') return
  throw new NodeError('NOT_FOUND', `The commit ${commit} has no directory ${directory}`, {
    commit,
    directory,
  })
}
