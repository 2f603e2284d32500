/**
 * The operator's own word on each run of another member: a program or an address that is given the request as JSON,
 * without secrets, and answers yes or no, with limits that are then the run's (protocols/run.md §5). What happens when
 * it does not answer, the settings say.
 */
import { spawn } from 'node:child_process'
import { z } from 'zod'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { policyAnswerBytesMax, policyHooksMax, policyHooksWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { RunRequest } from './run-request.ts'
import type { RemoteSettings } from './settings.ts'

const reasonCharactersMax = 1_000

const yesSchema = z.object({
  allow: z.literal(true),
  // A limit that is not known here is not passed over: it was meant to be kept.
  limits: z
    .strictObject({
      cpus: z.number().min(0.01).optional(),
      memoryBytes: z.int().min(1).optional(),
      diskBytes: z.int().min(1).optional(),
      pids: z.int().min(1).optional(),
      stepTimeoutMs: z.int().min(1_000).optional(),
      runTimeoutMs: z.int().min(1_000).optional(),
    })
    .optional(),
})

export type HookAnswer =
  | { readonly allow: false; readonly reason?: string }
  | (z.output<typeof yesSchema> & { readonly reason?: undefined })

/** What came of asking. */
interface Heard {
  readonly text: string
  /** Why this is no answer, where it is none; a no within it is one all the same. */
  readonly lacking?: string
  /** The hook was there and answered, and not with a yes. */
  readonly isNo?: boolean
}

/** An answer as it was meant: a no is a no, whatever else is odd about it. Undefined for what cannot be read. Pure. */
export function readAnswer(text: string): HookAnswer | undefined {
  const value = jsonOf(text)
  if (typeof value !== 'object' || value === null) return undefined
  if ('allow' in value && value.allow === false) {
    const reason = 'reason' in value && typeof value.reason === 'string' ? value.reason : undefined
    return { allow: false, ...(reason === undefined ? {} : { reason: reason.slice(0, reasonCharactersMax) }) }
  }
  return yesSchema.safeParse(value).data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

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
   * @throws NodeError POLICY_UNAVAILABLE when it does not answer and the settings say that this means no, and always when
   * it answers with what cannot be read.
   */
  async ask(question: HookQuestion): Promise<HookAnswer> {
    const { url, command, failMode } = this.#settings
    if (url === '' && command.length === 0) return { allow: true }
    const { text, lacking, isNo } = await this.#hear(JSON.stringify(question))
    const said = readAnswer(text)
    if (said?.allow === false) return said
    if (isNo) return { allow: false }
    if (lacking === undefined && said !== undefined) return said
    this.#log.warn({ lacking, failMode }, 'the policy hook did not answer, or with what cannot be read')
    // [MUST] Silence is what failMode is about; what was said and cannot be read is no yes (run.md R24).
    if (lacking !== undefined && failMode === 'allow') return { allow: true }
    const what = lacking === undefined ? 'answered with what cannot be read' : 'could not be asked'
    throw new NodeError(
      'POLICY_UNAVAILABLE',
      `this node's policy ${what}, and without its word no run is taken`,
    )
  }

  async #hear(question: string): Promise<Heard> {
    const { url } = this.#settings
    try {
      return await this.#turns.run(() => (url === '' ? this.#run(question) : this.#post(url, question)))
    } catch (cause) {
      // That many are being asked about is no silence of the hook.
      if (isNodeError(cause, 'QUEUE_FULL')) throw cause
      return { text: '', lacking: messageOf(cause) }
    }
  }

  async #post(url: string, body: string): Promise<Heard> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      // The address is the operator's; wherever it would send us is not.
      redirect: 'manual',
      signal: AbortSignal.timeout(this.#settings.timeoutMs),
    })
    const { status } = response
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > policyAnswerBytesMax) return { text: '' }
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString('utf8')
    if (status >= 500) return { text, lacking: `it answered with status ${status}` }
    if (status >= 400) return { text, isNo: true }
    return status >= 300 ? { text: '' } : { text }
  }

  #run(input: string): Promise<Heard> {
    const [program = '', ...words] = this.#settings.command
    const { timeoutMs } = this.#settings
    return new Promise((resolve, reject) => {
      // Of the node's environment, which may hold secrets, it gets what a program needs to start.
      const env = { PATH: process.env.PATH ?? '' }
      // A group of its own, so that what it has started ends with it.
      const child = spawn(program, words, { env, stdio: ['pipe', 'pipe', 'ignore'], detached: true })
      const chunks: Buffer[] = []
      const text = () => Buffer.concat(chunks).toString('utf8')
      const end = (heard: Heard) => {
        if (child.pid !== undefined) killGroup(child.pid)
        child.stdout.destroy()
        resolve(heard)
      }
      const late = () => end({ text: text(), lacking: `it took longer than ${timeoutMs} ms` })
      const timer = setTimeout(late, timeoutMs)
      let bytes = 0
      child.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      child.stdout.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= policyAnswerBytesMax) chunks.push(chunk)
        else end({ text: '' })
      })
      // A program that decides without reading closes its input early, which is its right.
      child.stdin.on('error', () => undefined)
      child.stdin.end(input)
      child.once('close', (code) => {
        clearTimeout(timer)
        resolve(code === 0 ? { text: text() } : { text: text(), lacking: `it ended with ${code}` })
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
