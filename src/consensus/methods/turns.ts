import { setImmediate } from 'node:timers/promises'

/** After so long the node does other things, too. */
const TURN_MS = 20

/** Long work that lets others have their turn: entries are of any size, so it goes by the time that they take. */
export class Turns {
  #sinceMs = performance.now()

  /** Asked after each entry, so it costs next to nothing when it is not due. */
  get isDue(): boolean {
    return performance.now() - this.#sinceMs >= TURN_MS
  }

  async pass(): Promise<void> {
    await setImmediate()
    this.#sinceMs = performance.now()
  }
}
