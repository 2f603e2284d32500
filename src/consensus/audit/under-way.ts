/** The audits that a node looks at because something may still change them; whoever opens them without end is bounded. */
import { auditsPerDatasetMax, auditsPerOpenerMax, auditsUnderWayMax } from '../../base/limits-audit.ts'
import { formatAuditId } from './audit-id.ts'
import type { SeenOpening } from './audit-records.ts'

export interface UnderWay {
  readonly opening: SeenOpening
  /** Somebody at this node wants the report. */
  wanted: boolean
  /** When this node saw that nobody's answer is awaited any more. */
  endedMs: number | undefined
}

export class AuditsUnderWay {
  readonly #audits = new Map<string, UnderWay>()

  get size(): number {
    return this.#audits.size
  }

  get(audit: string): UnderWay | undefined {
    return this.#audits.get(audit)
  }

  all(): [string, UnderWay][] {
    return [...this.#audits]
  }

  /** Looks at an audit from now on. @returns undefined when its opener, its dataset or the node has too many. */
  add(opening: SeenOpening): UnderWay | undefined {
    const audit = formatAuditId(opening.id)
    const known = this.#audits.get(audit)
    if (known !== undefined) return known
    if (!this.hasRoom(opening.id)) return undefined
    const added: UnderWay = { opening, wanted: false, endedMs: undefined }
    this.#audits.set(audit, added)
    return added
  }

  hasRoom({ dataset, opener }: Pick<SeenOpening['id'], 'dataset' | 'opener'>): boolean {
    const ids = [...this.#audits.values()].map(({ opening }) => opening.id)
    if (ids.length >= auditsUnderWayMax) return false
    if (ids.filter((id) => id.dataset === dataset).length >= auditsPerDatasetMax) return false
    return ids.filter((id) => id.opener === opener).length < auditsPerOpenerMax
  }

  remove(audit: string): void {
    this.#audits.delete(audit)
  }

  clear(): void {
    this.#audits.clear()
  }
}
