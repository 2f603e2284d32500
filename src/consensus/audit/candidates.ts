/**
 * Brings the commits of candidates here and looks into them, a few at a time and one of each member, so that nobody who
 * names what is nowhere holds up the others. What a commit holds is read again for the report: of an audit nothing large
 * is kept in memory.
 */
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf } from '../../base/errors.ts'
import { candidateFetchTimeoutMs } from '../../base/limits.ts'
import { auditFetchesMax, auditRetryFirstMs, auditRetryLongestMs } from '../../base/limits-audit.ts'
import type { Logger } from '../../base/logger.ts'
import { strangersWords } from '../../base/strangers-words.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { AuditHead } from './audit-records.ts'
import { candidateName, type Finding } from './audit-report.ts'

export interface CandidatesParts {
  readonly datasets: Pick<Datasets, 'repository' | 'ensureCommit'>
  /** Told after each attempt. */
  readonly onLooked: () => void
  readonly clock: Clock
  readonly log: Logger
}

/** A head to be looked into. */
export interface Wanted {
  readonly dataset: string
  readonly peer: string
  readonly head: AuditHead
}

interface Look {
  state: 'waiting' | 'here' | 'failed'
  /** Why it cannot be compared, or could not be had the last time. */
  reason: string
  attempts: number
  notBeforeMs: number
}

export class Candidates {
  readonly #parts: CandidatesParts
  readonly #looks = new Map<string, Look>()
  /** Members whose commit is being fetched or read. */
  readonly #busy = new Map<string, Promise<void>>()

  constructor(parts: CandidatesParts) {
    this.#parts = parts
  }

  /** Begins what is due of these, as far as there are places; to be asked again after `onLooked`. */
  begin(wanted: Iterable<Wanted>, signal: AbortSignal): void {
    const now = this.#parts.clock.now()
    for (const each of wanted) {
      if (this.#busy.size >= auditFetchesMax || signal.aborted) return
      const look = this.#lookAt(each)
      if (look.state !== 'waiting' || now < look.notBeforeMs || this.#busy.has(each.peer)) continue
      const work = this.#lookInto(each, look, signal).finally(() => {
        this.#busy.delete(each.peer)
        if (!signal.aborted) this.#parts.onLooked()
      })
      this.#busy.set(each.peer, work)
    }
  }

  /** Whether nothing more is to be found out about it. */
  isSettled(wanted: Wanted): boolean {
    return this.#looks.get(nameOf(wanted))?.state !== 'waiting' && this.#looks.has(nameOf(wanted))
  }

  /** Why it could not be had the last time, if it was tried. */
  lastReason(wanted: Wanted): string | undefined {
    return this.#looks.get(nameOf(wanted))?.reason || undefined
  }

  /** Commits came by themselves: what waits for its next attempt may be here. */
  hurry(dataset: string): void {
    for (const [name, look] of this.#looks) if (name.startsWith(`${dataset} `)) look.notBeforeMs = 0
  }

  /** All that these heads hold, by name, as far as it is here; commits are read one after another. */
  async findings(wanted: readonly Wanted[], signal: AbortSignal): Promise<Map<string, Finding>> {
    const findings = new Map<string, Finding>()
    const byTree = new Map<string, ReadonlyMap<string, string>>()
    for (const each of wanted) {
      signal.throwIfAborted()
      const look = this.#looks.get(nameOf(each))
      const name = candidateName(each.head)
      if (look?.state === 'failed') findings.set(name, { defect: look.reason })
      else if (look?.state === 'here') {
        // Those that hold the same share their entries.
        const entries = byTree.get(each.head.tree) ?? (await this.#entries(each))
        byTree.set(each.head.tree, entries)
        findings.set(name, { entries })
      } else findings.set(name, { unavailable: look?.reason || 'it was not fetched in time' })
    }
    return findings
  }

  /** What was found out about heads that nobody wants any more is forgotten. */
  keep(wanted: Iterable<Wanted>): void {
    const names = new Set([...wanted].map(nameOf))
    for (const name of this.#looks.keys()) if (!names.has(name)) this.#looks.delete(name)
  }

  async idle(): Promise<void> {
    await Promise.all(this.#busy.values())
  }

  async #entries({ dataset, head }: Wanted): Promise<ReadonlyMap<string, string>> {
    const repository = await this.#parts.datasets.repository(dataset)
    const files = await repository.listFiles(head.commit)
    return new Map(files.map(({ path, mode, oid }) => [path, `${mode} ${oid}`]))
  }

  async #lookInto({ dataset, peer, head }: Wanted, look: Look, signal: AbortSignal): Promise<void> {
    const { datasets, clock, log } = this.#parts
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
      await datasets.ensureCommit(dataset, head.commit, { signal: bounded })
      const repository = await datasets.repository(dataset)
      const { tree } = await repository.readCommit(head.commit)
      if (tree !== head.tree) return settle(look, 'failed', 'its commit does not hold the tree that it names')
      await repository.listFiles(head.commit)
      settle(look, 'here', '')
    } catch (error) {
      if (signal.aborted) return
      const reason = strangersWords(messageOf(error))
      // A hostile tree is the fault of who named it, wherever it is looked into; all else may yet go right.
      if (isNodeError(error, 'PATH_UNSAFE')) return settle(look, 'failed', reason)
      look.reason = reason
      look.notBeforeMs = clock.now() + Math.min(auditRetryLongestMs, auditRetryFirstMs * 2 ** look.attempts)
      look.attempts += 1
      log.info({ dataset, peer, commit: head.commit, error: reason }, 'a candidate cannot be had yet')
    }
  }

  #lookAt(wanted: Wanted): Look {
    const name = nameOf(wanted)
    const look = this.#looks.get(name) ?? { state: 'waiting', reason: '', attempts: 0, notBeforeMs: 0 }
    this.#looks.set(name, look)
    return look
  }
}

function settle(look: Look, state: 'here' | 'failed', reason: string): void {
  look.state = state
  look.reason = reason
}

function nameOf({ dataset, head }: Wanted): string {
  return `${dataset} ${candidateName(head)}`
}
