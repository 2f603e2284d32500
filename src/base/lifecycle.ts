import { messageOf, NodeError } from './errors.ts'

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
  #unwound = 0

  push(name: string, stop: () => Promise<void> | void): void {
    this.#undo.push({ name, stop })
  }

  /**
   * Starts `part` and remembers how to stop it.
   *
   * @throws NodeError CANCELLED when all was undone meanwhile: the part, which nobody would stop any more, is stopped.
   */
  async start(name: string, part: Startable): Promise<void> {
    const unwound = this.#unwound
    await part.start()
    if (this.#unwound === unwound) return this.push(name, () => part.stop())
    await part.stop()
    throw new NodeError('CANCELLED', `${name} was stopped while it started`)
  }

  /** @throws AggregateError naming each part that would not stop. */
  async unwind(): Promise<void> {
    this.#unwound += 1
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
