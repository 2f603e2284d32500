import { type Clock, systemClock } from '../base/clock.ts'
import { revisionMarkMs, revisionMarksMax } from '../base/limits.ts'
import { withRooms } from './with-rooms.ts'

/** A revision, and when this node came to it. */
interface Mark {
  readonly revision: number
  readonly atMs: number
}

/**
 * When this node came to its revisions, which the registry itself does not keep: to the second, since the API started,
 * and as far back as the bound allows.
 */
export class RevisionClock {
  readonly #clock: Clock
  /** Ascending; each stands for the changes of the time after it as well. */
  readonly #marks: Mark[] = []
  /** All revisions up to this one were there at that time, however old they were. */
  #known: Mark | undefined

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Counts from now on; from the moment on at which the node is in a federation, when it is in none yet. */
  follow(node: Parameters<typeof withRooms>[0], signal: AbortSignal): void {
    withRooms(node, signal, ({ registry: { keyValues } }) => {
      this.begin(keyValues.revision)
      return keyValues.onEvents((_, revision) => this.tell(revision))
    })
  }

  begin(revision: number): void {
    this.#marks.length = 0
    this.#known = { revision, atMs: this.#clock.now() }
  }

  tell(revision: number): void {
    const atMs = this.#clock.now()
    const last = this.#marks.at(-1)
    if (last !== undefined && atMs < last.atMs + revisionMarkMs) return
    this.#marks.push({ revision, atMs })
    if (this.#marks.length > revisionMarksMax) this.#known = this.#marks.shift()
  }

  /** Since when times are known. */
  get sinceMs(): number | undefined {
    return this.#known?.atMs
  }

  /** When this node came to `revision`; undefined where that was too long ago. */
  timeOf(revision: number): number | undefined {
    return this.#marks.findLast((mark) => mark.revision <= revision)?.atMs
  }

  /** A revision that this node had come to by `timeMs`, the latest that is known; undefined where none is. */
  revisionAt(timeMs: number): number | undefined {
    const mark = this.#marks.findLast(({ atMs }) => atMs <= timeMs)
    if (mark !== undefined) return mark.revision
    return this.#known !== undefined && this.#known.atMs <= timeMs ? this.#known.revision : undefined
  }
}
