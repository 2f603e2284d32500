/** This node's own answers to audits, one each (protocols/audit.md [A4], [A5]). */
import type { Clock } from '../../base/clock.ts'
import { auditLateMs, auditRecordsLifeMs } from '../../base/limits-audit.ts'
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
}

export class Answering {
  readonly #parts: AnsweringParts

  constructor(parts: AnsweringParts) {
    this.#parts = parts
  }

  /** Answers, unless this node has, is not asked, or it is long over. */
  async answer(opening: SeenOpening): Promise<void> {
    const { id, value, hash } = opening
    const { self, book, registry, clock } = this.#parts
    const isAsked = value.electorate.includes(self) && clock.now() < value.untilMs + auditLateMs
    if (!isAsked || book.hasAnswered(id, self)) return
    const answer: AuditAnswer = { opening: hash, head: await this.#newest(opening) }
    const key = answerKey(formatAuditId(id), self)
    await registry.put(key, encodeJson(answer), { expiresMs: value.openedMs + auditRecordsLifeMs })
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
