/**
 * The operator's own word on each run of another member: a program or an address that is given the request as JSON,
 * without secrets, and answers yes or no, with limits that are then the run's (protocols/run.md §5). What happens when
 * it does not answer, the settings say.
 */
import { spawn } from 'node:child_process'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { policyAnswerBytesMax, policyHooksMax, policyHooksWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { RunRequest } from './run-request.ts'
import type { RemoteSettings } from './settings.ts'

const answerSchema = z.object({
  allow: z.boolean(),
  reason: z.string().max(1_000).optional(),
  limits: z
    .object({
      cpus: z.number().min(0.01).optional(),
      memoryBytes: z.int().min(1).optional(),
      stepTimeoutMs: z.int().min(1_000).optional(),
      runTimeoutMs: z.int().min(1_000).optional(),
    })
    .optional(),
})
export type HookAnswer = z.output<typeof answerSchema>

/** What the hook is told. */
export interface HookQuestion {
  /** False where nothing is to come of it but an answer. */
  readonly dry: boolean
  readonly member: { readonly peer: string; readonly name: string; readonly role: string }
  readonly request: RunRequest
}

export class PolicyHook {
  readonly #settings: RemoteSettings['hook']
  readonly #log: Logger
  readonly #turns = new Semaphore(policyHooksMax, policyHooksWaitingMax)

  constructor(settings: RemoteSettings['hook'], log: Logger) {
    this.#settings = settings
    this.#log = log
  }

  /**
   * Its answer; yes without a limit where there is none to ask.
   *
   * @throws NodeError POLICY_UNAVAILABLE when it does not answer and the settings say that this means no.
   */
  async ask(question: HookQuestion): Promise<HookAnswer> {
    const { url, command, failMode } = this.#settings
    if (url === '' && command.length === 0) return { allow: true }
    try {
      const text = JSON.stringify(question)
      const answer = await this.#turns.run(() => (url === '' ? this.#run(text) : this.#post(url, text)))
      return answerSchema.parse(JSON.parse(answer))
    } catch (cause) {
      this.#log.warn({ error: messageOf(cause), failMode }, 'the policy hook did not answer')
      if (failMode === 'allow') return { allow: true }
      const message = "this node's policy could not be asked, and without its word no run is taken"
      throw new NodeError('POLICY_UNAVAILABLE', message, {}, { cause })
    }
  }

  async #post(url: string, body: string): Promise<string> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      // The address is the operator's; wherever it would send us is not.
      redirect: 'error',
      signal: AbortSignal.timeout(this.#settings.timeoutMs),
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`it answered with status ${response.status}`)
    }
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > policyAnswerBytesMax) throw tooLong()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  #run(input: string): Promise<string> {
    const [program = '', ...words] = this.#settings.command
    const { timeoutMs } = this.#settings
    return new Promise((resolve, reject) => {
      // Of the node's environment, which may hold secrets, it gets what a program needs to start.
      const env = { PATH: process.env.PATH ?? '' }
      // A group of its own, so that what it has started ends with it.
      const child = spawn(program, words, { env, stdio: ['pipe', 'pipe', 'ignore'], detached: true })
      const end = (error: Error) => {
        if (child.pid !== undefined) killGroup(child.pid)
        child.stdout.destroy()
        reject(error)
      }
      const timer = setTimeout(() => end(new Error(`it took longer than ${timeoutMs} ms`)), timeoutMs)
      const chunks: Buffer[] = []
      let bytes = 0
      child.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      child.stdout.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= policyAnswerBytesMax) chunks.push(chunk)
        else end(tooLong())
      })
      // A program that decides without reading closes its input early, which is its right.
      child.stdin.on('error', () => undefined)
      child.stdin.end(input)
      child.once('close', (code) => {
        clearTimeout(timer)
        if (code !== 0) return reject(new Error(`it ended with ${code}`))
        resolve(Buffer.concat(chunks).toString('utf8'))
      })
    })
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // It has ended meanwhile.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function tooLong(): Error {
  return new Error(`its answer is longer than ${policyAnswerBytesMax} bytes`)
}
