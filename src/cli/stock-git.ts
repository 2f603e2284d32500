import { spawn } from 'node:child_process'
import { messageOf, NodeError } from '../base/errors.ts'
import { type ApiClient, isLoopback } from './client.ts'
import type { Session } from './session.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The surroundings in which stock git reaches a node's datasets. [MUST] The token travels in the environment, where
 * other users of the machine do not see it, and never in an argument, a URL or the configuration of a clone
 * (git-config(1), GIT_CONFIG_COUNT; stock-git.md P20).
 */
export function gitSurroundings(
  environment: Environment,
  node: Pick<ApiClient, 'url' | 'token'> & Partial<Pick<ApiClient, 'caFile'>>,
): Record<string, string | undefined> {
  const about = `http.${node.url}/`
  const settings: [key: string, value: string][] = [
    // Empty first: what somebody around us has set already would be sent beside ours.
    [`${about}.extraHeader`, ''],
    [`${about}.extraHeader`, `Authorization: Bearer ${node.token}`],
    // A header that is set by hand goes along to wherever an answer points.
    [`${about}.followRedirects`, 'false'],
    // A token that is not right is no reason to ask people, or their keyrings, for a password.
    [`credential.${node.url}.helper`, ''],
    ...(node.caFile === undefined ? [] : [[`${about}.sslCAInfo`, node.caFile] as [string, string]]),
    ...(isLoopback(node.url) ? [[`${about}.proxy`, ''] as [string, string]] : []),
  ]
  const counted = Number(environment.GIT_CONFIG_COUNT ?? 0)
  const given = Number.isSafeInteger(counted) && counted > 0 ? counted : 0
  const pairs = settings.flatMap(([key, value], i) => [
    [`GIT_CONFIG_KEY_${given + i}`, key],
    [`GIT_CONFIG_VALUE_${given + i}`, value],
  ])
  return {
    ...environment,
    ...Object.fromEntries(pairs),
    GIT_CONFIG_COUNT: String(given + settings.length),
    GIT_TERMINAL_PROMPT: '0',
  }
}

/**
 * Runs stock git with the node's token. What git says is progress and goes to standard error.
 *
 * @param words start with git's own command, such as `clone`.
 * @throws NodeError GIT_FAILED with git's exit code, UNSUPPORTED when there is no git.
 */
export function runGit(
  session: Session,
  client: Pick<ApiClient, 'url' | 'token'> & Partial<Pick<ApiClient, 'caFile'>>,
  words: readonly string[],
  options: {
    readonly directory?: string
    /** Hears what git writes to its standard output, for commands whose output is to be read. */
    readonly onStdout?: (text: string) => void
    /** Further surroundings of git. */
    readonly environment?: Environment
  } = {},
): Promise<void> {
  const { environment } = session.terminal
  const env = { ...gitSurroundings(environment, client), ...options.environment }
  const at = options.directory === undefined ? {} : { cwd: options.directory }
  return new Promise((done, fail) => {
    const child = spawn('git', [...words], { env, stdio: ['ignore', 'pipe', 'pipe'], ...at })
    // Its words may be those of whoever made the repository or runs the server.
    const told = (text: string) => session.out.rawNote(text)
    child.stdout.setEncoding('utf8').on('data', options.onStdout ?? told)
    child.stderr.setEncoding('utf8').on('data', told)
    child.once('error', (cause) => {
      const message = `git does not start (${messageOf(cause)}); install git to work with clones of datasets`
      fail(new NodeError('UNSUPPORTED', message, {}, { cause }))
    })
    child.once('close', (code) => {
      if (code === 0) return done()
      const message = `git ${words[0]} ended with ${code ?? 'a signal'}; what it said stands above`
      fail(new NodeError('GIT_FAILED', message, { exitCode: code }))
    })
  })
}
