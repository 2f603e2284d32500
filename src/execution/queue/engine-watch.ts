import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { engineStateLifeMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { EngineState } from '../engines/engines.ts'

export type EngineLook = () => Promise<readonly EngineState[]>

export interface EngineWatchParts {
  readonly look: EngineLook
  readonly onLook: () => void
  readonly clock: Clock
  readonly log: Logger
}

/**
 * What the queue knows of the engines. A look asks each of them and takes a while, so nobody waits for one but at the
 * very first: a run that starts on an engine that has just gone learns it from the engine itself, and is tried again.
 */
export class EngineWatch {
  readonly #parts: EngineWatchParts
  #states: readonly EngineState[] | undefined
  #lookedMs = 0
  #downSinceMs: number | undefined
  #askedMs = 0
  #looking = false

  constructor(parts: EngineWatchParts) {
    this.#parts = parts
  }

  /** Undefined before the first look has come back; a look that is rather old is renewed. */
  get states(): readonly EngineState[] | undefined {
    this.lookWhenOlder(engineStateLifeMs)
    return this.#states
  }

  /** Since when at least one engine does not answer, and when it was last asked; undefined while all do. */
  get down(): { readonly sinceMs: number; readonly askedMs: number } | undefined {
    if (this.#downSinceMs === undefined) return undefined
    return { sinceMs: this.#downSinceMs, askedMs: this.#askedMs }
  }

  /** When the look began that all that is known comes from. */
  get askedMs(): number {
    return this.#askedMs
  }

  lookWhenOlder(ageMs: number): void {
    if (this.#states !== undefined && this.#parts.clock.now() - this.#lookedMs >= ageMs) this.look()
  }

  /** Begins a look, unless one is under way. */
  look(): void {
    if (this.#looking) return
    this.#looking = true
    const { look, onLook, clock, log } = this.#parts
    const askedMs = clock.now()
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
        this.#askedMs = askedMs
        this.#lookedMs = clock.now()
        const isDown = (this.#states ?? []).some(({ up }) => !up)
        this.#downSinceMs = isDown ? (this.#downSinceMs ?? this.#lookedMs) : undefined
        onLook()
      })
  }
}
