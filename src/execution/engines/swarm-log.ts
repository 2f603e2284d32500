import { Demultiplexer } from './demultiplexer.ts'
import type { OnOutput } from './engine.ts'
import type { SwarmCalls } from './swarm-calls.ts'

/**
 * The output of a job. It is followed while the job runs; that stream has no end of its own and may be behind when the
 * job ends, so the whole is read once more then and what is new of it is told. Each of the two outputs keeps its order
 * from one reading to the next, but not the order of one against the other. The machine keeps some times as much as a
 * log takes; of a tool that prints more than that, a part at the end may be missing.
 */
export class SwarmLog {
  readonly #calls: Pick<SwarmCalls, 'logs'>
  readonly #name: string
  readonly #onOutput: OnOutput
  readonly #told = { stdout: 0, stderr: 0 }
  readonly #stopped = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(calls: Pick<SwarmCalls, 'logs'>, name: string, onOutput: OnOutput) {
    this.#calls = calls
    this.#name = name
    this.#onOutput = onOutput
  }

  follow(): void {
    // A line that breaks is no loss: everything is read again at the end.
    this.#following = this.#read(true, this.#stopped.signal).catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#following
  }

  /** Tells what has not been told yet of a job that has ended. */
  async finish(): Promise<void> {
    await this.stop()
    await this.#read(false, new AbortController().signal)
  }

  async #read(follow: boolean, signal: AbortSignal): Promise<void> {
    const stream = await this.#calls.logs(this.#name, { follow, signal })
    const seen = { stdout: 0, stderr: 0 }
    const demultiplexer = new Demultiplexer()
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array)) continue
      for (const { stream: output, bytes } of demultiplexer.push(chunk)) {
        const from = Math.max(0, this.#told[output] - seen[output])
        seen[output] += bytes.length
        if (from >= bytes.length) continue
        await this.#onOutput(output, bytes.subarray(from))
        this.#told[output] = seen[output]
        if (signal.aborted) return
      }
    }
  }
}
