import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type DatasetView, datasetSchema } from '../../src/api/dataset-views.ts'
import type { ConfigInput } from '../../src/config.ts'
import { startTestApi, type TestApi } from './api.ts'
import type { BackendKind } from './git-backends.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const TIMEOUT_MS = 60_000

export interface Said {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Stock git that knows nothing of the settings of whoever runs the tests, and asks nobody; told whatever its end. */
export function tryGit(words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Said> {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.invalid',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.invalid',
    ...more,
  }
  return new Promise((resolve) => {
    const options = { env, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile('git', [...words], options, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exit, stdout: stdout.trim(), stderr })
    })
    child.stdin?.end()
  })
}

/** The same for what has to succeed. @returns standard output. */
export async function git(
  words: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { exit, stdout, stderr } = await tryGit(words, more)
  if (exit !== 0) throw new Error(`git ${words.join(' ')} ended with ${exit}: ${stderr}`)
  return stdout
}

export interface GitApi extends TestApi {
  /** The address of a dataset with the token in it, as people paste it. */
  readonly address: (dataset: string, token?: string) => string
  /** The dataset `data` as the API shows it. */
  readonly shown: () => Promise<DatasetView>
}

/** A node alone in the federation `lab`, with the empty dataset `data`. */
export async function startGitApi(
  t: TestContext,
  backend: BackendKind,
  more: ConfigInput = {},
): Promise<GitApi> {
  const api = await startTestApi(t, 'alice', { git: { backend }, ...more })
  await api.node.createFederation({ name: 'lab' })
  await api.node.federation.datasets.add('data')
  const address = (dataset: string, token = api.token) => {
    return `${api.url.replace('http://', `http://x:${token}@`)}/git/${dataset}.git`
  }
  const shown = async () =>
    datasetSchema.parse(JSON.parse((await api.ask('GET', '/api/v1/datasets/data')).body))
  return { ...api, address, shown }
}

export interface Worktree {
  readonly path: string
  /** Runs git there. */
  readonly run: (...words: string[]) => Promise<string>
  readonly try: (...words: string[]) => Promise<Said>
  /** Commits one file. @returns the commit. */
  readonly commit: (name: string, content: string | Uint8Array) => Promise<string>
}

/** A repository of somebody's own, with one commit on `main` and the address as `origin`. */
export async function worktree(t: TestContext, origin: string): Promise<Worktree> {
  const path = await temporaryDirectory(t)
  const run = (...words: string[]) => git(['-C', path, ...words])
  const commit = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(path, name), content)
    await run('add', name)
    await run('commit', '--quiet', '-m', name)
    return run('rev-parse', 'HEAD')
  }
  await run('init', '--quiet', '-b', 'main')
  await run('remote', 'add', 'origin', origin)
  await commit('first', '1\n')
  return { path, run, try: (...words) => tryGit(['-C', path, ...words]), commit }
}

/** What git says became of one ref: the line that names it behind the arrow. */
export function outcomeOf(said: Said, ref: string): string {
  const line = said.stderr.split('\n').find((text) => text.includes(`-> ${ref}`))
  if (line === undefined) throw new Error(`Nothing is said of ${ref}: ${said.stderr}`)
  return line.trim()
}
