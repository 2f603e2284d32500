import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { DatasetView } from '../../src/api/dataset-views.ts'
import { startTestApi, type TestApi } from './api.ts'
import { type Ended, maoctlHere } from './maoctl.ts'

const run = promisify(execFile)

/** Git that knows nothing of the settings of whoever runs the tests, and asks nobody. */
export async function plainGit(words: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    GIT_CONFIG_NOSYSTEM: '1',
    HOME: '/nonexistent',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
    ...more,
  }
  const { stdout } = await run('git', [...words], { env, timeout: 60_000 })
  return stdout.trim()
}

/** Somebody at a command line, whose node runs in this process. */
export interface Person extends TestApi {
  readonly data: string
  /** Where the repositories of datasets lie. */
  readonly repositories: string
  /** `maoctl …` as they type it. */
  type(...words: string[]): Promise<Ended>
  /** The same in another environment or with something on standard input. */
  typeWith(options: Parameters<typeof maoctlHere>[1], ...words: string[]): Promise<Ended>
  /** The JSON of a command that has to succeed. */
  told<T>(...words: string[]): Promise<T>
  show(dataset: string): Promise<DatasetView>
}

export async function startPerson(
  t: TestContext,
  name: string,
  config: Parameters<typeof startTestApi>[2] = {},
): Promise<Person> {
  const api = await startTestApi(t, name, config)
  const data = api.node.config.dataDirectory
  const typeWith: Person['typeWith'] = (options, ...words) => maoctlHere(['--data', data, ...words], options)
  const type: Person['type'] = (...words) => typeWith({}, ...words)
  const told: Person['told'] = async <T>(...words: string[]) => {
    const ended = await type('--json', ...words)
    if (ended.exit !== 0) throw new Error(`maoctl ${words.join(' ')}: ${ended.exit} ${ended.stderr}`)
    return ended.json<T>()
  }
  const show = (dataset: string) => told<DatasetView>('dataset', 'show', dataset)
  return { ...api, data, repositories: join(data, 'datasets'), type, typeWith, told, show }
}
