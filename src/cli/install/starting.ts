/** Starts an installed node in the way that was chosen, and waits until it answers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { messageOf, NodeError } from '../../base/errors.ts'
import { installPollMs, installStartWaitMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import { ApiClient, findNode } from '../client.ts'
import { spanText } from '../output.ts'
import type { Session } from '../session.ts'
import type { Answers } from './answers.ts'
import type { Facts } from './checks.ts'
import { runningAt } from './facts.ts'
import type { NextCommands } from './next-commands.ts'
import type { pathsOf } from './plan.ts'

export interface Starting {
  readonly session: Session
  readonly answers: Answers
  readonly paths: ReturnType<typeof pathsOf>
  readonly systemd: Facts['systemd']
  readonly next: NextCommands
}

/** @throws NodeError CHECK_FAILED when the way of starting fails, TIMED_OUT when the node does not answer. */
export async function startNode(starting: Starting): Promise<ApiClient> {
  const { session, answers, next } = starting
  const { data } = answers
  const running = await runningAt(data)
  if (running !== undefined) {
    session.out.note(`The node runs already, at ${running}.`)
  } else {
    await begin(starting)
    await answering(data, next.watch)
  }
  return new ApiClient(await findNode({ data }))
}

async function begin({ session, answers, paths, systemd, next }: Starting): Promise<void> {
  const { runner } = answers
  const hasSystemd = runner === 'user-service' ? systemd.userRuns : systemd.runs
  if (runner === 'compose') {
    await run(session, ['docker', 'compose', '--file', paths.compose, 'up', '--detach'])
  } else if (runner !== 'hand' && hasSystemd) {
    const systemctl = runner === 'user-service' ? ['systemctl', '--user'] : ['systemctl']
    await run(session, [...systemctl, 'daemon-reload'])
    await run(session, [...systemctl, 'enable', '--now', paths.unitName])
  } else {
    const command = runner === 'hand' ? next.start[0] : `maoctl --data ${answers.data} instance start`
    const why = runner === 'hand' ? '' : ' (systemd does not run here)'
    session.out.note(`Start the node in another terminal${why}:\n\n  ${command}\n\nWaiting for it …`)
  }
}

/** A program that says what it does on standard error. */
async function run(session: Session, words: readonly string[]): Promise<void> {
  const [program = '', ...rest] = words
  session.out.note(`$ ${words.join(' ')}`)
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => session.out.note(String(bytes).trimEnd()))
  }
  const failed = (why: string, cause?: unknown) => {
    const message = `"${words.join(' ')}" failed: ${why}. What was written stays; mend that and run it, or "maoctl instance install --start", again`
    return new NodeError('CHECK_FAILED', message, {}, { cause })
  }
  const [exit] = await once(child, 'close').catch((cause: unknown) => {
    throw failed(messageOf(cause), cause)
  })
  if (exit !== 0) throw failed(`it ended with ${exit}`)
}

async function answering(data: string, watch: string): Promise<void> {
  const deadline = Date.now() + installStartWaitMs
  while ((await runningAt(data)) === undefined) {
    if (Date.now() > deadline) {
      const message = `No node answered for ${data} in ${spanText(installStartWaitMs)}; "${watch}" may tell why. What was written stays`
      throw new NodeError('TIMED_OUT', message, { data })
    }
    await delay(installPollMs)
  }
}
