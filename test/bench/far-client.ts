import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { withDeadline } from '../../src/base/wait.ts'
import type { Workplace } from './harness.ts'

export type Verb = 'put' | 'get' | 'range of 1,000'

/** Calls to make: `count` in all from `callers` loops at once, over a thousand keys below `prefix`. */
export interface ClientQuestion {
  /** `host:port`. */
  readonly endpoint: string
  readonly verb: Verb
  readonly prefix: string
  readonly count: number
  readonly callers: number
}

export interface ClientAnswer {
  /** Calls a second. */
  readonly rate?: number
  readonly error?: string
}

const CALLS_TIMEOUT_MS = 120_000

/** An etcd client in a process of its own. @returns what has it make calls. */
export function startFarClient(work: Workplace): (question: ClientQuestion) => Promise<number> {
  // Standard output belongs to the rows.
  const child = fork(join(import.meta.dirname, 'client-process.ts'), { stdio: ['ignore', 2, 2, 'ipc'] })
  const ended = once(child, 'exit')
  work.after(async () => {
    if (child.connected) child.disconnect()
    await ended
  })
  return async (question) => {
    const answered = once(child, 'message')
    child.send(question)
    const [answer] = (await withDeadline(answered, CALLS_TIMEOUT_MS, question.verb)) as [ClientAnswer]
    if (answer.rate === undefined) throw new Error(`A client could not ${question.verb}: ${answer.error}`)
    return answer.rate
  }
}
