import { messageOf } from './errors.ts'

/** A part with a life: both calls may come twice, and a start that fails leaves nothing behind. */
export interface Startable {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Undoes in reverse order what was done in order. Every step is tried even when one fails; the failures come out
 * together at the end.
 */
export class StopStack {
  #undo: { name: string; stop: () => Promise<void> | void }[] = []

  push(name: string, stop: () => Promise<void> | void): void {
    this.#undo.push({ name, stop })
  }

  /** Starts `part` and remembers how to stop it. */
  async start(name: string, part: Startable): Promise<void> {
    await part.start()
    this.push(name, () => part.stop())
  }

  /** @throws AggregateError naming each part that would not stop. */
  async unwind(): Promise<void> {
    const failures: Error[] = []
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      try {
        await step.stop()
      } catch (cause) {
        failures.push(new Error(`${step.name} did not stop: ${messageOf(cause)}`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map((f) => f.message).join('; '))
  }
}
