/** The records of audits as the registry has them; read anew each time, so that nothing has to be kept in step. */
import { auditsListedMax, auditsListedPerOpenerMax } from '../../base/limits-audit.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Entry } from '../../registry/watchers.ts'
import { type AuditId, answerKey, auditOfKey, auditPrefix, formatAuditId, openingKey } from './audit-id.ts'
import { readAnswer, readOpening, type SeenAnswer, type SeenOpening } from './audit-records.ts'

export class AuditBook {
  readonly #registry: Pick<Registry, 'get' | 'list'>
  /** What an entry says, by its bytes: audits are looked at often, and records never change. */
  readonly #openings = new WeakMap<Uint8Array, SeenOpening | null>()
  readonly #answers = new WeakMap<Uint8Array, SeenAnswer | null>()

  constructor(registry: Pick<Registry, 'get' | 'list'>) {
    this.#registry = registry
  }

  opening(id: AuditId): SeenOpening | undefined {
    const entry = this.#registry.get(openingKey(formatAuditId(id)))
    return entry === undefined ? undefined : this.#read(id, entry)
  }

  /** The answers of those who are asked. */
  answers({ id, value }: SeenOpening): SeenAnswer[] {
    const audit = formatAuditId(id)
    return value.electorate.flatMap((peer) => {
      const entry = this.#registry.get(answerKey(audit, peer))
      if (entry === undefined) return []
      const known = this.#answers.get(entry.value)
      const answer = known === undefined ? (readAnswer(entry) ?? null) : known
      this.#answers.set(entry.value, answer)
      return answer ?? []
    })
  }

  hasAnswered(id: AuditId, peer: string): boolean {
    return this.#registry.get(answerKey(formatAuditId(id), peer)) !== undefined
  }

  /** All audits, or those of one dataset, the newest of each opener; in the order in which they were opened. */
  openings(dataset?: string): SeenOpening[] {
    const under = dataset === undefined ? auditPrefix : `${auditPrefix}${dataset}/`
    const all = this.#registry.list(under).flatMap((entry) => {
      const found = auditOfKey(entry.key)
      if (found === undefined || found.answerer !== undefined) return []
      return this.#read(found.id, entry) ?? []
    })
    all.sort((a, b) => a.id.openedMs - b.id.openedMs || (a.id.opener < b.id.opener ? -1 : 1))
    if (dataset === undefined) return all
    // Nobody's audits push those of the others out of sight.
    const counts = new Map<string, number>()
    const listed = all.reverse().filter(({ id: { opener } }) => {
      const count = (counts.get(opener) ?? 0) + 1
      counts.set(opener, count)
      return count <= auditsListedPerOpenerMax
    })
    return listed.slice(0, auditsListedMax).reverse()
  }

  #read(id: AuditId, entry: Entry): SeenOpening | undefined {
    const known = this.#openings.get(entry.value)
    if (known !== undefined) return known ?? undefined
    const opening = readOpening(id, entry)
    this.#openings.set(entry.value, opening ?? null)
    return opening
  }
}
