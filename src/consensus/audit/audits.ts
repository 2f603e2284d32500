/**
 * Audits of one federation on one node (protocols/audit.md): every member is asked for its newest head of a dataset,
 * and what they hold is compared. All that was said lies in the registry; this class answers for its node, brings the
 * candidates' commits here and keeps the reports that it made.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  auditFetchGraceMs,
  auditLateMs,
  auditLookAgainMs,
  auditReportsKeptMax,
  auditSettleMs,
  auditTickMs,
} from '../../base/limits-audit.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Change } from '../../registry/watchers.ts'
import { Answering } from './answering.ts'
import { AuditBook } from './audit-book.ts'
import { auditOfKey, auditPrefix, formatAuditId, parseAuditId } from './audit-id.ts'
import { AuditOpener, type AuditOptions } from './audit-opener.ts'
import type { SeenOpening } from './audit-records.ts'
import { type AuditReport, allAnswered, type MemberPart, partsOf, reportOf } from './audit-report.ts'
import { type AuditEvent, type AuditState, type AuditView, nextOf } from './audit-views.ts'
import { Candidates, type Wanted } from './candidates.ts'
import { Standing } from './standing.ts'
import { AuditsUnderWay, type UnderWay } from './under-way.ts'

export interface AuditsParts {
  /** This node's peer id. */
  readonly self: string
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'watch'>
  readonly members: Pick<Members, 'list' | 'get' | 'former' | 'onChange'>
  readonly datasets: Pick<
    Datasets,
    'find' | 'follows' | 'mayRead' | 'repository' | 'ensureCommit' | 'onEvent'
  >
  readonly clock: Clock
  readonly log: Logger
}

export class Audits implements Startable {
  readonly #parts: AuditsParts
  readonly #book: AuditBook
  readonly #standing: Standing
  readonly #answering: Answering
  readonly #candidates: Candidates
  readonly #opener: AuditOpener
  readonly #underWay: AuditsUnderWay
  readonly #reports = new Map<string, AuditReport>()
  readonly #listeners = new Set<(event: AuditEvent) => void>()
  #stopped = new AbortController()
  #unwatch: (() => void)[] = []
  #running: Promise<void> | undefined
  #dirty = false
  /** What kept an audit from going on the last time. */
  #complaint = ''
  /** When to look for audits that were left alone, if there were any. */
  #lookAgainMs: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: AuditsParts) {
    this.#parts = parts
    const { datasets, clock, log, registry } = parts
    this.#book = new AuditBook(registry)
    this.#underWay = new AuditsUnderWay(parts)
    this.#standing = new Standing(parts)
    this.#answering = new Answering({ ...parts, book: this.#book })
    this.#opener = new AuditOpener({ ...parts, standing: this.#standing, underWay: this.#underWay })
    this.#candidates = new Candidates({ datasets, clock, log, onLooked: () => this.#touch() })
  }

  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    const { registry, members, datasets } = this.#parts
    this.#stopped = new AbortController()
    this.#underWay.clear()
    this.#unwatch = [
      registry.watch(auditPrefix, (change) => this.#heard(change)),
      members.onChange(() => this.#touch()),
      datasets.onEvent((event) => {
        if (event.type === 'replicated') this.#arrived(event.dataset)
        if (event.type === 'founded' || event.type === 'followed') this.#touch()
      }),
    ]
    for (const opening of this.#book.openings()) this.#follow(opening)
    this.#touch()
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    clearTimeout(this.#timer)
    await this.#running
    await this.#candidates.idle()
  }

  /**
   * Asks every member for its newest head of a dataset.
   *
   * @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD, FORBIDDEN (no grant, or an observer), INVALID_NAME (step),
   * INVALID_INPUT (window), CONFLICT while this node's audit of the same is under way, QUEUE_FULL with too many,
   * TOO_LARGE with too many members.
   */
  async open(dataset: string, options: AuditOptions = {}): Promise<AuditView> {
    return this.show(await this.#opener.open(dataset, options))
  }

  /** The audits of a dataset that are still known, newest first. @throws NodeError DATASET_NOT_FOUND */
  list(dataset: string): AuditView[] {
    this.#standing.known(dataset)
    return this.#book
      .openings(dataset)
      .reverse()
      .map((opening) => this.#view(opening))
  }

  /** One audit with its report; where there is none yet, it is made from now on. @throws NodeError NOT_FOUND */
  show(audit: string): AuditView {
    const id = parseAuditId(audit)
    const opening = id && this.#book.opening(id)
    if (opening === undefined) {
      const message = `No audit is named ${audit}; "maoctl dataset audits ${id?.dataset ?? 'NAME'}" lists them`
      throw new NodeError('NOT_FOUND', message, { audit })
    }
    if (!this.#reports.has(audit) && this.#standing.objection(opening) === undefined) {
      this.#underWay.add(opening, true)
      this.#touch()
    }
    return this.#view(opening)
  }

  /** @returns how to stop hearing. */
  onEvent(listener: (event: AuditEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #heard({ key, entry, previous }: Change): void {
    const found = auditOfKey(key)
    if (found === undefined) return
    const { id, answerer } = found
    const audit = formatAuditId(id)
    // Whatever was found, there is another word now.
    const hadReport = this.#reports.delete(audit)
    if (answerer === undefined) this.#underWay.remove(audit)
    const opening = this.#book.opening(id)
    if (opening !== undefined && this.#follow(opening, hadReport)) {
      const about = { dataset: id.dataset, audit }
      if (answerer === undefined) this.#emit({ type: 'opened', ...about })
      else if (entry !== undefined && previous === undefined)
        this.#emit({ type: 'answered', ...about, member: this.#standing.nameOf(answerer) })
    }
    this.#touch()
  }

  /** @returns whether this node has to do with it: it is not long over, and there is room. */
  #follow(opening: SeenOpening, wanted = false): boolean {
    const { clock, log } = this.#parts
    if (clock.now() >= opening.value.untilMs + auditLateMs) return false
    // It may be in order once more members are known here; until then it takes nobody's place.
    const isOdd = this.#standing.asksStrangers(opening.value)
    const isFollowed = !isOdd && this.#underWay.add(opening, wanted) !== undefined
    if (!isFollowed) {
      log.debug(
        { audit: formatAuditId(opening.id) },
        'too many audits are asked for, or of strangers; it is left alone',
      )
      this.#lookAgainMs ??= clock.now() + auditLookAgainMs
    }
    return isFollowed
  }

  /** There may be room now for what was left alone. */
  #lookAgain(): void {
    const now = this.#parts.clock.now()
    if (now < (this.#lookAgainMs ?? Infinity)) return
    this.#lookAgainMs = undefined
    for (const opening of this.#book.openings()) if (now < opening.value.untilMs) this.#follow(opening)
  }

  #arrived(dataset: string): void {
    this.#candidates.hurry(dataset)
    for (const [audit, { members }] of this.#reports) {
      const isPartial = members.some(({ part }) => part === 'unavailable')
      if (isPartial && audit.startsWith(`${dataset}/`)) this.#reports.delete(audit)
    }
    this.#touch()
  }

  /** Looks at everything again, soon; any number of calls make one look. */
  #touch(): void {
    this.#dirty = true
    if (this.#running !== undefined || this.#stopped.signal.aborted || this.#unwatch.length === 0) return
    this.#running = this.#run()
      .catch((error: unknown) =>
        this.#parts.log.error({ error: messageOf(error) }, 'audits were not looked at'),
      )
      .finally(() => {
        this.#running = undefined
        if (this.#dirty) this.#touch()
      })
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    clearTimeout(this.#timer)
    while (this.#dirty && !this.#stopped.signal.aborted) {
      this.#dirty = false
      this.#lookAgain()
      for (const [audit, followed] of this.#underWay.all()) {
        try {
          await this.#attend(audit, followed)
        } catch (error) {
          if (this.#stopped.signal.aborted) return
          // What one audit cannot do now must not keep the others from their turn; it is tried at the next tick.
          this.#complain(audit, messageOf(error))
        }
      }
      if (this.#stopped.signal.aborted) return
      this.#candidates.keep(this.#underWay.all().flatMap(([, followed]) => this.#wanted(followed)))
    }
    const isIdle = this.#underWay.size === 0 && this.#lookAgainMs === undefined
    if (isIdle || this.#stopped.signal.aborted) return
    this.#timer = setTimeout(() => this.#touch(), auditTickMs)
    this.#timer.unref()
  }

  /** What fails again and again is told once. */
  #complain(audit: string, error: string): void {
    if (error !== this.#complaint) this.#parts.log.warn({ audit, error }, 'an audit has to wait')
    this.#complaint = error
  }

  async #attend(audit: string, followed: UnderWay): Promise<void> {
    const { opening } = followed
    const { clock } = this.#parts
    const isLongOver = clock.now() >= opening.value.untilMs + auditLateMs
    if (this.#standing.objection(opening) !== undefined) {
      // It may be in order once more is known; what is over by then nobody misses.
      if (isLongOver) this.#underWay.remove(audit)
      return
    }
    await this.#answering.answer(opening)
    const members = this.#partsOf(opening)
    const candidates = this.#wanted(followed)
    this.#candidates.begin(candidates, this.#stopped.signal)
    if (!this.#isEnded(opening, members)) return
    followed.endedMs ??= clock.now()
    const isOver = clock.now() >= followed.endedMs + auditFetchGraceMs
    const settled = candidates.every((each) => this.#candidates.isSettled(each))
    if (!this.#isWanted(followed) || settled || isOver) await this.#conclude(audit, followed, candidates)
  }

  async #conclude(audit: string, followed: UnderWay, candidates: readonly Wanted[]): Promise<void> {
    const { opening } = followed
    if (!this.#isWanted(followed)) {
      this.#underWay.remove(audit)
      return
    }
    const findings = await this.#candidates.findings(candidates, this.#stopped.signal)
    const { value, hash } = opening
    const answers = this.#book.answers(opening)
    const report = reportOf({ opening: value, hash, answers, findings, nameOf: this.#standing.nameOf })
    this.#underWay.remove(audit)
    this.#reports.set(audit, report)
    const [oldest] = this.#reports.keys()
    if (this.#reports.size > auditReportsKeptMax && oldest !== undefined) this.#reports.delete(oldest)
    const commit = report.winner === undefined ? {} : { commit: report.winner.commit }
    this.#emit({
      type: 'ended',
      dataset: opening.id.dataset,
      audit,
      outcome: report.outcome,
      ...commit,
    })
  }

  /** The heads that are to be compared here. */
  #wanted(followed: UnderWay): Wanted[] {
    const { dataset } = followed.opening.id
    if (!this.#isWanted(followed)) return []
    return this.#partsOf(followed.opening).flatMap(({ peer, part, head }) =>
      part === 'candidate' && head !== undefined ? [{ dataset, peer, head }] : [],
    )
  }

  /** Who copies a dataset compares; else only who has asked, or is asked by its people. */
  #isWanted({ opening, wanted }: UnderWay): boolean {
    const { self, datasets } = this.#parts
    return wanted || opening.id.opener === self || datasets.follows(opening.id.dataset)
  }

  #partsOf(opening: SeenOpening): MemberPart[] {
    const { value, hash } = opening
    const answers = this.#book.answers(opening)
    return partsOf({ opening: value, hash, answers, nameOf: this.#standing.nameOf })
  }

  #isEnded({ value }: SeenOpening, members: readonly MemberPart[]): boolean {
    return allAnswered(members) || this.#parts.clock.now() >= value.untilMs + auditSettleMs
  }

  #view(opening: SeenOpening): AuditView {
    const { id, value } = opening
    const audit = formatAuditId(id)
    const members = this.#partsOf(opening)
    const report = this.#reports.get(audit)
    const objection = this.#standing.objection(opening)
    const state = this.#stateOf(opening, members)
    const closed = 'nobody at this node has asked for its report yet'
    const note = objection ?? (state === 'closed' ? closed : undefined)
    return {
      id: audit,
      dataset: id.dataset,
      ...(value.step === undefined ? {} : { step: value.step }),
      openedBy: { peer: id.opener, name: this.#standing.nameOf(id.opener) },
      openedMs: value.openedMs,
      untilMs: value.untilMs,
      state,
      ...(report === undefined ? this.#progress(opening, members) : { members: report.members }),
      notAsked: this.#standing.notAsked(opening),
      ...(note === undefined ? {} : { note }),
      ...(report === undefined
        ? {}
        : { report, next: nextOf({ dataset: id.dataset, step: value.step }, report) }),
    }
  }

  /** Before there is a report: how many candidates were looked into, and why others wait. */
  #progress({ id: { dataset } }: SeenOpening, members: readonly MemberPart[]) {
    let looked = 0
    const told = members.map((member) => {
      const { part, head, peer } = member
      if (part !== 'candidate' || head === undefined) return member
      const candidate = { dataset, peer, head }
      if (this.#candidates.isSettled(candidate)) looked += 1
      const reason = this.#candidates.lastReason(candidate)
      return reason === undefined ? member : { ...member, reason }
    })
    return { looked, members: told }
  }

  #stateOf(opening: SeenOpening, members: readonly MemberPart[]): AuditState {
    const audit = formatAuditId(opening.id)
    if (this.#reports.has(audit)) return 'ended'
    if (!this.#isEnded(opening, members)) return 'open'
    const isRefused = this.#standing.objection(opening) !== undefined
    return this.#underWay.get(audit) === undefined || isRefused ? 'closed' : 'comparing'
  }

  #emit(event: AuditEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#parts.log.error({ event: event.type, error: messageOf(error) }, 'a listener failed')
      }
    }
  }
}
