/** This node's own answers to audits (protocols/audit.md [A4], [A5]): one each, and to no member without end. */
import type { Clock } from '../../base/clock.ts'
import { auditAnswersPerHourMax, auditLateMs, auditRecordsLifeMs } from '../../base/limits-audit.ts'
import type { Logger } from '../../base/logger.ts'
import { HOUR_MS } from '../../base/units.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { headSchema, isOf } from '../../datasets/heads.ts'
import type { Members } from '../../federation/members.ts'
import { decodeJson, encodeJson } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import type { AuditBook } from './audit-book.ts'
import { answerKey, formatAuditId } from './audit-id.ts'
import type { AuditAnswer, AuditHead, SeenOpening } from './audit-records.ts'
import { datedBranches, newestOf, ownBranches } from './newest-head.ts'

export interface AnsweringParts {
  readonly self: string
  readonly book: AuditBook
  readonly registry: Pick<Registry, 'get' | 'put'>
  readonly members: Pick<Members, 'list' | 'get'>
  readonly datasets: Pick<Datasets, 'find' | 'repository'>
  readonly clock: Clock
  readonly log: Logger
}

export class Answering {
  readonly #parts: AnsweringParts
  /** Whom this node has answered in the last hour, and when. */
  #answered: { readonly opener: string; readonly timeMs: number }[] = []
  #complained = new Set<string>()

  constructor(parts: AnsweringParts) {
    this.#parts = parts
  }

  /** Takes up what an earlier life of the node has answered. */
  recall(): void {
    const { book, self, clock } = this.#parts
    this.#answered = book.answeredSince(self, clock.now() - HOUR_MS)
  }

  /** Answers, unless this node has, is not asked, or it is long over. */
  async answer(opening: SeenOpening): Promise<void> {
    const { id, value, hash } = opening
    const { self, book, registry, clock } = this.#parts
    const isAsked = value.electorate.includes(self) && clock.now() < value.untilMs + auditLateMs
    if (!isAsked || book.hasAnswered(id, self) || !this.#hasPatience(id.opener)) return
    const answer: AuditAnswer = { opening: hash, head: await this.#newest(opening) }
    this.#answered.push({ opener: id.opener, timeMs: clock.now() })
    const key = answerKey(formatAuditId(id), self)
    await registry.put(key, encodeJson(answer), { expiresMs: value.openedMs + auditRecordsLifeMs })
  }

  #hasPatience(opener: string): boolean {
    const { self, clock, log } = this.#parts
    const sinceMs = clock.now() - HOUR_MS
    this.#answered = this.#answered.filter(({ timeMs }) => timeMs >= sinceMs)
    if (opener === self) return true
    const count = this.#answered.filter((each) => each.opener === opener).length
    if (count < auditAnswersPerHourMax) {
      this.#complained.delete(opener)
      return true
    }
    if (!this.#complained.has(opener))
      log.warn({ opener }, 'a member asks for audits without end; it is not answered for a while')
    this.#complained.add(opener)
    return false
  }

  /** The newest of this node's own branches, as it has announced them. */
  async #newest({ id, value }: SeenOpening): Promise<AuditHead | null> {
    const { self, registry, members, datasets } = this.#parts
    const known = datasets.find(id.dataset)
    const name = members.get(self)?.name
    const entry = registry.get(`/heads/${id.dataset}/${self}`)
    const head = headSchema.safeParse(entry && decodeJson(entry.value)).data
    if (known === undefined || name === undefined || head === undefined) return null
    if (!isOf(head, id.dataset, known.record)) return null
    const names = members.list().map((member) => member.name)
    const own = ownBranches(head.branches, { name, names, ...(value.step && { step: value.step }) })
    // Who has announced nothing lays out no copy to say so.
    if (own.length === 0) return null
    return newestOf(await datedBranches(await datasets.repository(id.dataset), own))
  }
}
