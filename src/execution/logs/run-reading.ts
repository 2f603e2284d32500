/**
 * The logs of a run as one text: those of its steps, one behind the other. It only grows at its end, since the steps
 * run one after another, and so a place in it, counted in bytes, stays what it is: whoever was cut reads on from there.
 */
import { NodeError } from '../../base/errors.ts'
import { isEnded, type Run, type Stage } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { LogName, RunLogs } from './logs.ts'

export interface LogWanted {
  /** One step alone; default: all. */
  readonly step?: string | undefined
  /** Default: what the tools printed. */
  readonly stage?: Stage | undefined
  /** The first byte that is wanted. */
  readonly from?: number | undefined
  /** Goes on until the run (or the step) has ended. */
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export class RunReading {
  readonly #store: Pick<RunStore, 'get' | 'until'>
  readonly #logs: Pick<RunLogs, 'read' | 'size' | 'whenOpen'>

  constructor(parts: {
    store: Pick<RunStore, 'get' | 'until'>
    logs: Pick<RunLogs, 'read' | 'size' | 'whenOpen'>
  }) {
    this.#store = parts.store
    this.#logs = parts.logs
  }

  /**
   * How much there is now, and whether more may come.
   *
   * @throws NodeError RUN_NOT_FOUND, NOT_FOUND for a step that is not in the run.
   */
  async state(id: string, wanted: LogWanted = {}): Promise<{ bytes: number; complete: boolean }> {
    const run = this.#store.get(id)
    const names = stepsOf(run, wanted.step)
    // Asked first: what is written between the two questions is more, and not less, than is told.
    const complete = names.every((name) => isOver(run, name))
    const sizes = await Promise.all(names.map((name) => this.#logs.size(logOf(run, name, wanted.stage))))
    return { bytes: sizes.reduce((sum, size) => sum + size, 0), complete }
  }

  /** The bytes. @throws NodeError RUN_NOT_FOUND, NOT_FOUND for a step that is not in the run. */
  async *bytes(id: string, wanted: LogWanted = {}): AsyncGenerator<Uint8Array> {
    const { stage, follow = false, signal } = wanted
    let skip = wanted.from ?? 0
    for (const step of stepsOf(this.#store.get(id), wanted.step)) {
      let at = 0
      for (;;) {
        const run = this.#store.get(id)
        const log = logOf(run, step, stage)
        const [transitions, over] = [run.transitions.length, isOver(run, step)]
        const from = Math.max(at, skip)
        for await (const bytes of this.#logs.read(log, { from, follow, ...given(signal) })) {
          at = Math.max(at, from) + bytes.length
          yield bytes
        }
        if (signal?.aborted) return
        if (over || !follow) {
          // What lies before the wanted place is passed over step by step.
          skip = Math.max(0, skip - Math.max(at, await this.#logs.size(log)))
          break
        }
        await this.#news(
          id,
          log,
          (now) => now.transitions.length !== transitions || isOver(now, step),
          signal,
        )
        if (signal?.aborted) return
      }
    }
  }

  /** The same as text; bytes that are no UTF-8 come as U+FFFD. */
  async *text(id: string, wanted: LogWanted = {}): AsyncGenerator<string> {
    const decoder = new TextDecoder()
    for await (const bytes of this.bytes(id, wanted)) {
      const text = decoder.decode(bytes, { stream: true })
      if (text !== '') yield text
    }
    const rest = decoder.decode()
    if (rest !== '') yield rest
  }

  /** Resolves when the log is being written, or the run has come to what `holds` asks for, or the reader has gone. */
  async #news(
    id: string,
    log: LogName,
    holds: (run: Run) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const done = new AbortController()
    const either = signal === undefined ? done.signal : AbortSignal.any([done.signal, signal])
    const moved = this.#store.until(id, holds, either).catch((error: unknown) => {
      // A reader that has gone is the end of its reading, not a failure of it.
      if (!either.aborted) throw error
    })
    try {
      await Promise.race([moved, this.#logs.whenOpen(log, either)])
    } finally {
      done.abort()
    }
  }
}

function stepsOf(run: Run, wanted: string | undefined): string[] {
  const names = run.steps.map(({ name }) => name)
  if (wanted === undefined) return names
  if (names.includes(wanted)) return [wanted]
  const message = `Run ${run.id} has no step ${wanted}; its steps are ${names.join(', ')}`
  throw new NodeError('NOT_FOUND', message, { id: run.id, step: wanted })
}

/** A step that this run took over was logged by the run that did it. */
function logOf(run: Run, name: string, stage: Stage = 'algorithm'): LogName {
  const doneBy = run.steps.find((step) => step.name === name)?.doneBy
  return { run: doneBy ?? run.id, step: name, stage }
}

function isOver(run: Run, name: string): boolean {
  const step = run.steps.find((other) => other.name === name)
  return isEnded(run) || step === undefined || step.state === 'succeeded'
}

function given(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
