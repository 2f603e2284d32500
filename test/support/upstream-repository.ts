import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { DatasetNode } from './dataset-node.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const run = promisify(execFile)

const ENVIRONMENT = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'upstream',
  GIT_AUTHOR_EMAIL: 'upstream@example.org',
  GIT_COMMITTER_NAME: 'upstream',
  GIT_COMMITTER_EMAIL: 'upstream@example.org',
}

/** A bare repository on a git host, with the work tree of somebody who commits there. */
export interface UpstreamRepository {
  /** Where it lies; its name is `data.git`. */
  readonly path: string
  /** The directory that a git host serves. */
  readonly root: string
  /** Writes these files, commits all and brings it to `main`. @returns the commit. */
  commit(files: Readonly<Record<string, string | Buffer>>): Promise<string>
  /** Replaces the history of `main` by another one. @returns its commit. */
  rewrite(files: Readonly<Record<string, string>>): Promise<string>
  /** Where a branch is, or ''. */
  tip(branch?: string): Promise<string>
  /** git in the bare repository. */
  git(...words: string[]): Promise<string>
}

export async function upstreamRepository(test: Pick<TestContext, 'after'>): Promise<UpstreamRepository> {
  const root = await temporaryDirectory(test)
  const [path, work] = [join(root, 'data.git'), join(root, 'work')]
  const call = async (words: readonly string[]) => {
    const { stdout } = await run('git', [...words], { env: ENVIRONMENT, timeout: 30_000 })
    return stdout.trim()
  }
  await call(['init', '--quiet', '--bare', '--initial-branch=main', path])
  await call(['init', '--quiet', '--initial-branch=main', work])
  const write = async (files: Readonly<Record<string, string | Buffer>>) => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(work, name)), { recursive: true })
      await writeFile(join(work, name), content)
    }
    await call(['-C', work, 'add', '--all'])
  }
  const bring = async () => {
    await call(['-C', work, 'push', '--quiet', '--force', path, 'HEAD:refs/heads/main'])
    return call(['-C', work, 'rev-parse', 'HEAD'])
  }
  return {
    path,
    root,
    commit: async (files) => {
      await write(files)
      await call(['-C', work, 'commit', '--quiet', '-m', 'Somebody works upstream'])
      return bring()
    },
    rewrite: async (files) => {
      await call([
        '-C',
        work,
        'checkout',
        '--quiet',
        '--orphan',
        `again-${Math.random().toString(36).slice(2)}`,
      ])
      await write(files)
      await call(['-C', work, 'commit', '--quiet', '-m', 'Another history'])
      return bring()
    },
    tip: (branch = 'main') =>
      call(['-C', path, 'for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]),
    git: (...words) => call(['-C', path, ...words]),
  }
}

/** Moves the ground truth of `data` forward to these files, as a round does. @returns the commit. */
export async function agreeOn(
  { datasets }: Pick<DatasetNode, 'datasets'>,
  directory: string,
): Promise<string> {
  const repository = await datasets.repository('data')
  const truth = await datasets.truth('data')
  const commit = await repository.writeCommit({
    tree: await repository.writeTreeFromDirectory(directory),
    parents: truth === undefined ? [] : [truth],
    message: 'A round agreed',
    author: { name: 'round', email: 'round@mao.invalid' },
    timeMs: Date.now(),
  })
  await datasets.moveTruth('data', commit)
  return commit
}
