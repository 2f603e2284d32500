/** The audits that a node looks at because something may still change them; whoever opens them without end is bounded. */
import type { Clock } from '../../base/clock.ts'
import {
  auditsPerDatasetMax,
  auditsPerHourMax,
  auditsPerOpenerMax,
  auditsUnderWayMax,
} from '../../base/limits-audit.ts'
import { HOUR_MS } from '../../base/units.ts'
import { formatAuditId } from './audit-id.ts'
import type { SeenOpening } from './audit-records.ts'

export interface UnderWay {
  readonly opening: SeenOpening
  /** Somebody at this node wants the report. */
  wanted: boolean
  /** When this node saw that nobody's answer is awaited any more. */
  endedMs: number | undefined
}

export interface UnderWayParts {
  readonly self: string
  readonly clock: Clock
}

export class AuditsUnderWay {
  readonly #parts: UnderWayParts
  readonly #audits = new Map<string, UnderWay>()
  /** Others' audits that this node took part in within the last hour, in their order: at most so many of each opener. */
  readonly #recent = new Map<string, { readonly opener: string; readonly sinceMs: number }>()

  constructor(parts: UnderWayParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#audits.size
  }

  get(audit: string): UnderWay | undefined {
    return this.#audits.get(audit)
  }

  all(): [string, UnderWay][] {
    return [...this.#audits]
  }

  /**
   * Looks at an audit from now on.
   *
   * @param wanted somebody at this node wants its report, whoever opened how many.
   * @returns undefined when its opener, its dataset or the node has too many.
   */
  add(opening: SeenOpening, wanted = false): UnderWay | undefined {
    const audit = formatAuditId(opening.id)
    const known = this.#audits.get(audit)
    if (known !== undefined) {
      known.wanted ||= wanted
      return known
    }
    const isRoom = (wanted && this.#audits.size < auditsUnderWayMax) || this.#mayTake(audit, opening.id)
    if (!isRoom) return undefined
    const added: UnderWay = { opening, wanted, endedMs: undefined }
    this.#audits.set(audit, added)
    return added
  }

  /** [A12] Others share the places; this node's own are beside them, so that nobody can take them. */
  hasRoom({ dataset, opener }: Pick<SeenOpening['id'], 'dataset' | 'opener'>): boolean {
    const { self } = this.#parts
    const ids = [...this.#audits.values()].map(({ opening }) => opening.id)
    if (ids.filter((id) => id.opener === opener).length >= auditsPerOpenerMax) return false
    if (opener === self) return true
    const others = ids.filter((id) => id.opener !== self)
    if (others.length >= auditsUnderWayMax) return false
    return others.filter((id) => id.dataset === dataset).length < auditsPerDatasetMax
  }

  remove(audit: string): void {
    this.#audits.delete(audit)
  }

  clear(): void {
    this.#audits.clear()
  }

  /** [A12] */
  #mayTake(audit: string, id: SeenOpening['id']): boolean {
    const { self, clock } = this.#parts
    if (!this.hasRoom(id)) return false
    const { opener } = id
    if (opener === self || this.#recent.has(audit)) return true
    const sinceMs = clock.now()
    for (const [each, recent] of this.#recent) {
      if (recent.sinceMs <= sinceMs - HOUR_MS) this.#recent.delete(each)
    }
    const own = [...this.#recent.values()].filter((recent) => recent.opener === opener)
    if (own.length >= auditsPerHourMax) return false
    this.#recent.set(audit, { opener, sinceMs })
    return true
  }
}
