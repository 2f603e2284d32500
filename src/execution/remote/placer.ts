/** Finds a member that takes a run: asks those that may, the likeliest first, until one has it. */

import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { placeAgainMs, placesAskedMax, remoteRetryFirstMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'
import { readBy } from './data-policy.ts'
import {
  type Answered,
  type Candidate,
  inOrderOfAnswers,
  nobodyText,
  type Place,
  type Placement,
  placementOf,
  type Refusal,
} from './placement.ts'
import type { RemoteRun } from './remote-run.ts'
import { askHost, cancelAt, type Offered, type RunStreams, submitTo } from './run-client.ts'
import { parseWhere } from './where.ts'

export interface PlacerParts {
  readonly streams: RunStreams
  readonly candidates: () => readonly Candidate[]
  readonly isOperator: () => boolean
  readonly save: (run: RemoteRun) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

export type Answer = Place & { readonly offered: Offered }

export interface Asked {
  /** Who would take it, the best first. */
  readonly answers: readonly Answer[]
  readonly refusals: readonly Refusal[]
}

export class Placer {
  readonly #parts: PlacerParts

  constructor(parts: PlacerParts) {
    this.#parts = parts
  }

  /** Who may be asked at all. @throws NodeError INVALID_INPUT for a predicate that cannot be read. */
  placement(run: RemoteRun): Placement {
    const { where, on, atData } = run.asked
    return placementOf({
      request: run.id,
      asked: {
        ...(where === undefined ? {} : { where: parseWhere(where) }),
        ...(on === undefined ? {} : { on }),
        ...(atData === undefined ? {} : { atData }),
      },
      candidates: this.#parts.candidates(),
      reads: readOf(run),
      isOperator: this.#parts.isOperator(),
    })
  }

  /** Asks all who may be asked whether they would take it; nothing comes of it. */
  async ask(run: RemoteRun, signal: AbortSignal): Promise<Asked> {
    const { places, refusals } = this.placement(run)
    const asked = await Promise.all(
      places.slice(0, placesAskedMax).map(async (place): Promise<Answer | Refusal> => {
        try {
          const offered = await askHost(this.#parts.streams, place.peer, requestOf(run), signal)
          return { ...place, offered }
        } catch (error) {
          signal.throwIfAborted()
          return refusalOf(place, error)
        }
      }),
    )
    const answers = asked.filter((one) => 'offered' in one)
    const answered = answers.map((one): Answered => ({ ...one, free: one.offered.free }))
    const ordered = inOrderOfAnswers(answered, run.id).map(({ peer }) => {
      return answers.find((one) => one.peer === peer) as Answer
    })
    return { answers: ordered, refusals: [...refusals, ...asked.filter((one) => 'reason' in one)] }
  }

  /**
   * Gives the run to the first that takes it. Each step is on the disk before it is made, so that a crash in between
   * ends in asking the same member again, which then answers with the same run.
   *
   * @returns the run, placed. @throws NodeError NO_PLACE listing why nobody takes it; the signal's reason.
   */
  async place(run: RemoteRun, signal: AbortSignal): Promise<RemoteRun> {
    let now = run
    if (now.asking !== undefined) {
      const { peer, name } = now.asking
      now = await this.#give(now, { peer, name }, signal)
      if (now.state === 'placed') return now
    }
    const { answers, refusals } = await this.ask(now, signal)
    now = { ...now, refusals: [...now.refusals, ...refusals].slice(-placesAskedMax) }
    for (const { peer, name } of answers) {
      now = await this.#give(now, { peer, name }, signal)
      if (now.state === 'placed') return now
    }
    await this.#parts.save(now)
    throw new NodeError('NO_PLACE', nobodyText(now.refusals, now.asked), { refusals: now.refusals })
  }

  /** The run, placed there, or with one refusal more. */
  async #give(run: RemoteRun, at: { peer: string; name: string }, signal: AbortSignal): Promise<RemoteRun> {
    const { streams, clock, save } = this.#parts
    const sinceMs = run.asking?.peer === at.peer ? run.asking.sinceMs : clock.now()
    const asking: RemoteRun = { ...run, asking: { ...at, sinceMs } }
    await save(asking)
    for (;;) {
      try {
        const { run: hostRun, state: runState } = await submitTo(streams, at.peer, requestOf(run), signal)
        const { asking: _asked, ...rest } = asking
        const placed: RemoteRun = { ...rest, state: 'placed', host: at, hostRun, runState }
        await save(placed)
        await this.#endDoubtful(placed, signal)
        return placed
      } catch (error) {
        signal.throwIfAborted()
        const { asking: _asked, ...rest } = asking
        const refusals = [...rest.refusals, refusalOf(at, error)].slice(-placesAskedMax)
        if (isRefusal(error) || (isNodeError(error, 'PEER_UNREACHABLE') && run.asking === undefined)) {
          return { ...rest, refusals }
        }
        // What broke off may have arrived: only the same member can tell.
        if (clock.now() - sinceMs > placeAgainMs) {
          return { ...rest, refusals, doubtful: [...(rest.doubtful ?? []), at.peer] }
        }
        await delay(remoteRetryFirstMs, signal)
      }
    }
  }

  /** Whoever may have taken the run without our hearing of it is told to end it: one place is enough. */
  async #endDoubtful({ id, doubtful = [], host }: RemoteRun, signal: AbortSignal): Promise<void> {
    for (const peer of doubtful.filter((one) => one !== host?.peer)) {
      try {
        await cancelAt(this.#parts.streams, peer, id, signal)
      } catch (error) {
        this.#parts.log.info(
          { run: id, peer, error: messageOf(error) },
          'a run that may be at a second member was not ended there',
        )
      }
    }
  }
}

function requestOf({ id, pipeline, steps, tools }: RemoteRun) {
  return { request: id, pipeline, steps: [...steps], tools: { ...tools } }
}

/** The datasets that a run reads and does not make itself. */
export function readOf({ steps }: Pick<RemoteRun, 'steps'>): string[] {
  const made = new Set<string>()
  const read = new Set<string>()
  for (const step of steps) {
    for (const dataset of readBy(step)) if (!made.has(dataset)) read.add(dataset)
    made.add(step.output_dataset)
  }
  return [...read]
}

/** Whether a member said no, as against not having been reached. */
export function isRefusal(error: unknown): error is NodeError {
  return isNodeError(error) && error.data.refused === true
}

function refusalOf({ peer, name }: { peer: string; name: string }, error: unknown): Refusal {
  const code = isNodeError(error) ? error.code : 'INTERNAL'
  const reason = isRefusal(error) ? error.message : `it could not be asked: ${messageOf(error)}`
  return { peer, name, code, reason }
}
