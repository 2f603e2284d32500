import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { notifyCatchUpMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Deliveries } from './deliveries.ts'
import { runMessage, type Teller, type ToldRun } from './message.ts'

export interface NotifierParts {
  readonly deliveries: Pick<Deliveries, 'tell' | 'list'>
  /** All runs that are remembered. */
  readonly runs: () => readonly ToldRun[]
  /** Tells of every stored transition of a run. @returns how to stop. */
  readonly onRun: (heard: (run: ToldRun) => void) => () => void
  readonly self: () => Teller
  readonly clock: Clock
  readonly log: Logger
}

/** The states of a run, as far as people outside care: what another member has run here is no news to them. Pure. */
export function eventOf(
  run: Pick<ToldRun, 'state' | 'endedMs' | 'owner'>,
): 'run.started' | 'run.ended' | undefined {
  if (run.owner !== undefined && run.owner !== 'node') return undefined
  if (run.endedMs !== undefined) return 'run.ended'
  return run.state === 'pulling' ? 'run.started' : undefined
}

/** Turns what happens to runs into messages. */
export class Notifier implements Startable {
  readonly #parts: NotifierParts
  #deaf: (() => void) | undefined

  constructor(parts: NotifierParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#deaf !== undefined) return
    this.#deaf = this.#parts.onRun((run) => this.#hear(run))
    this.#catchUp()
  }

  async stop(): Promise<void> {
    this.#deaf?.()
    this.#deaf = undefined
  }

  /** A run may have ended in the instant of a crash; what was told already is known by its id. */
  #catchUp(): void {
    const { deliveries, runs } = this.#parts
    const [newest] = deliveries.list()
    if (newest === undefined) return
    const sinceMs = newest.createdMs - notifyCatchUpMs
    for (const run of runs()) if ((run.endedMs ?? 0) >= sinceMs) this.#hear(run)
  }

  #hear(run: ToldRun): void {
    const { deliveries, self, clock, log } = this.#parts
    const event = eventOf(run)
    if (event === undefined) return
    // The run goes on whoever is told of it.
    deliveries.tell(runMessage(run, event, self(), clock.now())).catch((error: unknown) => {
      log.error({ run: run.id, event, error: messageOf(error) }, 'nobody is told of a run')
    })
  }
}
