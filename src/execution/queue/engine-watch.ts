import { type Clock, steadyClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { engineStateLifeMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { EngineState } from '../engines/engines.ts'

export type EngineLook = () => Promise<readonly EngineState[]>

export interface EngineWatchParts {
  readonly look: EngineLook
  readonly onLook: () => void
  readonly clock: Clock
  /** Measures ages, whatever becomes of the other clock. Default: the process's own. */
  readonly steady?: Clock | undefined
  readonly log: Logger
}

/**
 * What the queue knows of the engines. A look asks each of them and takes a while, so nobody waits for one but at the
 * very first: a run that starts on an engine that has just gone learns it from the engine itself, and is tried again.
 */
export class EngineWatch {
  readonly #parts: EngineWatchParts
  readonly #steady: Clock
  #states: readonly EngineState[] | undefined
  /** By the steady clock: when the last look ended and began, and since when each engine does not answer. */
  #lookedMs = 0
  #beganMs = 0
  #downSinceMs: ReadonlyMap<string, number> = new Map()
  #looking = false

  constructor(parts: EngineWatchParts) {
    this.#parts = parts
    this.#steady = parts.steady ?? steadyClock
  }

  /** Undefined before the first look has come back; a look that is rather old is renewed. */
  get states(): readonly EngineState[] | undefined {
    this.lookWhenOlder(engineStateLifeMs)
    return this.#states
  }

  /**
   * Since when the engine that went last does not answer, and when it was asked last; undefined while all do. One that
   * has been gone for days says nothing of another that is being restarted.
   */
  get down(): { readonly sinceMs: number; readonly askedMs: number } | undefined {
    if (this.#downSinceMs.size === 0) return undefined
    return { sinceMs: this.#timeOf(Math.max(...this.#downSinceMs.values())), askedMs: this.askedMs }
  }

  /** When the look began that all that is known comes from, ms since the epoch as the clock is now. */
  get askedMs(): number {
    return this.#timeOf(this.#beganMs)
  }

  lookWhenOlder(ageMs: number): void {
    if (this.#states !== undefined && this.#steady.now() - this.#lookedMs >= ageMs) this.look()
  }

  /** Begins a look, unless one is under way. */
  look(): void {
    if (this.#looking) return
    this.#looking = true
    const { look, onLook, log } = this.#parts
    const beganMs = this.#steady.now()
    look()
      .then((states) => {
        this.#states = states
      })
      .catch((error: unknown) => {
        this.#states ??= []
        log.error({ error: messageOf(error) }, 'the container engines could not be looked at')
      })
      .finally(() => {
        this.#looking = false
        this.#beganMs = beganMs
        this.#lookedMs = this.#steady.now()
        const down = (this.#states ?? []).filter(({ up }) => !up)
        const since = down.map(({ id }) => [id, this.#downSinceMs.get(id) ?? this.#lookedMs] as const)
        this.#downSinceMs = new Map(since)
        onLook()
      })
  }

  /** Rounded down, so that whoever came within the same millisecond counts as later. */
  #timeOf(steadyMs: number): number {
    return Math.floor(this.#parts.clock.now() - (this.#steady.now() - steadyMs))
  }
}
