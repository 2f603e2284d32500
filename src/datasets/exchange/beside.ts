import { NodeError } from '../../base/errors.ts'
import { delay } from '../../base/wait.ts'

export interface BesideLimits {
  /** How long one may send nothing before another is asked as well. */
  readonly afterMs: number
  /** How long one of two may before it makes room for a third. */
  readonly silentMaxMs: number
}

/** One that is asked. */
export interface Asked {
  readonly signal: AbortSignal
  /** To be called when it has begun to send. */
  readonly begun: () => void
}

interface Attempt {
  readonly sinceMs: number
  readonly cut: AbortController
  readonly ended: Promise<{ readonly attempt: Attempt; readonly error: unknown; readonly isDone: boolean }>
  readonly hasBegun: () => boolean
}

/**
 * Asks one after another until one has given all. Whoever has not begun to send for a while is no reason to wait: the next
 * is asked beside it, at most two at once, and the first that is done ends the other.
 *
 * @param onFailure hears what each has failed with; throws when nobody else needs to be asked.
 * @returns whether one of them has given it.
 */
export async function askBeside(
  peers: readonly string[],
  ask: (peer: string, asked: Asked) => Promise<void>,
  { signal, limits, onFailure }: AskingBeside,
): Promise<boolean> {
  const waiting = [...peers]
  const atWork = new Set<Attempt>()
  const cutAll = () => {
    for (const { cut } of atWork)
      cut.abort(signal.aborted ? signal.reason : new Error('Another one was faster'))
  }
  signal.addEventListener('abort', cutAll, { once: true })
  try {
    while (waiting.length > 0 || atWork.size > 0) {
      signal.throwIfAborted()
      const silent = [...atWork].filter(({ hasBegun }) => !hasBegun())
      const patienceMs = atWork.size < 2 ? limits.afterMs : limits.silentMaxMs
      const leftMs = ({ sinceMs }: Attempt) => sinceMs + patienceMs - performance.now()
      const late = silent.find((attempt) => leftMs(attempt) <= 0)
      const peer = late !== undefined || atWork.size === 0 ? waiting.shift() : undefined
      if (peer !== undefined) {
        if (late !== undefined && atWork.size >= 2) {
          late.cut.abort(tooSilent(limits.silentMaxMs))
          const { isDone, error } = await late.ended
          atWork.delete(late)
          if (isDone) return true
          onFailure(error)
        }
        atWork.add(begin(peer, ask))
        continue
      }
      const isPatient = waiting.length === 0 || silent.length === 0
      const end = await firstEnd(atWork, isPatient ? undefined : Math.min(...silent.map(leftMs)))
      if (end === undefined) continue
      atWork.delete(end.attempt)
      if (end.isDone) return true
      signal.throwIfAborted()
      onFailure(end.error)
    }
    return false
  } finally {
    signal.removeEventListener('abort', cutAll)
    cutAll()
    await Promise.all([...atWork].map(({ ended }) => ended))
  }
}

export interface AskingBeside {
  readonly signal: AbortSignal
  readonly limits: BesideLimits
  readonly onFailure: (error: unknown) => void
}

function begin(peer: string, ask: (peer: string, asked: Asked) => Promise<void>): Attempt {
  const cut = new AbortController()
  let hasBegun = false
  const begun = () => {
    hasBegun = true
  }
  const end = ask(peer, { signal: cut.signal, begun }).then(
    () => ({ error: undefined, isDone: true }),
    (error: unknown) => ({ error, isDone: false }),
  )
  const attempt: Attempt = {
    sinceMs: performance.now(),
    cut,
    ended: end.then((how) => ({ attempt, ...how })),
    hasBegun: () => hasBegun,
  }
  return attempt
}

/** The first of them that ends, if one does within `ms`. */
async function firstEnd(atWork: ReadonlySet<Attempt>, ms: number | undefined) {
  const ends = [...atWork].map(({ ended }) => ended)
  if (ms === undefined) return Promise.race(ends)
  const over = new AbortController()
  try {
    return await Promise.race([...ends, delay(Math.max(0, ms), over.signal).then(() => undefined)])
  } finally {
    over.abort()
  }
}

function tooSilent(ms: number): NodeError {
  return new NodeError('TIMED_OUT', `A member has sent nothing for ${ms} ms; another one is asked`)
}
