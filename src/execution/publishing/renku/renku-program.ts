import { spawn } from 'node:child_process'
import { NodeError } from '../../../base/errors.ts'
import { reasonCharactersMax, renkuTimeoutMs } from '../../../base/limits.ts'
import { printable } from '../../../base/strangers-words.ts'

/**
 * Runs the `renku` program of this machine in a project, which does the project's own workflow again where its inputs
 * have changed. It gets the machine's PATH and a home of its own, and nothing else of the node's environment.
 *
 * @throws NodeError UNSUPPORTED when there is no such program, PUBLISH_FAILED with its last words when it fails,
 * TIMED_OUT, the signal's reason.
 */
export async function runRenku(p: {
  program: string
  args: readonly string[]
  project: string
  home: string
  author: { readonly name: string; readonly email: string }
  signal: AbortSignal
}): Promise<void> {
  const { program, args, project, home, author, signal } = p
  const deadline = AbortSignal.timeout(renkuTimeoutMs)
  const who = (role: string) => ({ [`GIT_${role}_NAME`]: author.name, [`GIT_${role}_EMAIL`]: author.email })
  const child = spawn(program, [...args], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      LANG: 'C.UTF-8',
      HOME: home,
      GIT_TERMINAL_PROMPT: '0',
      ...who('AUTHOR'),
      ...who('COMMITTER'),
    },
    // A group of its own, so that what it has started ends with it.
    detached: true,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      said = (said + printable(text, '\n', ' ')).slice(-4 * reasonCharactersMax)
    })
  }
  const kill = () => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      // It has ended between the signal and this.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
  const cut = AbortSignal.any([signal, deadline])
  cut.addEventListener('abort', kill, { once: true })
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
      if (cut.aborted) kill()
    })
    signal.throwIfAborted()
    if (deadline.aborted) {
      throw new NodeError('TIMED_OUT', `"${program} ${args.join(' ')}" took longer than ${renkuTimeoutMs} ms`)
    }
    if (code === 0) return
    const last = said.trim().split('\n').slice(-3).join('; ').slice(0, reasonCharactersMax)
    throw new NodeError(
      'PUBLISH_FAILED',
      `"${program} ${args.join(' ')}" failed with exit code ${code}: ${last}`,
    )
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const message = `There is no program ${program} on this machine; install Renku's command line, or name it in the publisher's setting "program"`
    throw new NodeError('UNSUPPORTED', message, { program }, { cause: error })
  } finally {
    cut.removeEventListener('abort', kill)
  }
}
