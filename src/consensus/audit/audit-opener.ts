/** How this node opens an audit: it writes whom it asks, what about, and until when (protocols/audit.md [A1]). */
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import {
  auditMembersMax,
  auditRecordsLifeMs,
  auditsPerOpenerMax,
  auditWindowDefaultMs,
  auditWindowMaxMs,
  auditWindowMinMs,
} from '../../base/limits-audit.ts'
import { parseName } from '../../base/names.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import { isReservedStep } from '../../datasets/branches.ts'
import { encodeJson } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import { formatAuditId, openingKey } from './audit-id.ts'
import type { AuditOpening } from './audit-records.ts'
import type { Standing } from './standing.ts'
import type { AuditsUnderWay } from './under-way.ts'

export interface AuditOptions {
  /** The heads of this step's branches alone. */
  readonly step?: string
  /** How long members may answer, ms. */
  readonly windowMs?: number
}

export interface AuditOpenerParts {
  readonly self: string
  readonly registry: Pick<Registry, 'get' | 'put'>
  readonly standing: Standing
  readonly underWay: AuditsUnderWay
  readonly clock: Clock
}

/** Audits that are asked for at this node and wait for those before them. */
const openingsWaitingMax = 100

export class AuditOpener {
  readonly #parts: AuditOpenerParts
  /** Requests come one after the other, so that each sees the audit that the one before it opened. */
  readonly #openings = new SerialQueue(openingsWaitingMax)

  constructor(parts: AuditOpenerParts) {
    this.#parts = parts
  }

  /** @returns the audit's id. @throws NodeError, see `Audits.open`. */
  open(dataset: string, options: AuditOptions): Promise<string> {
    return this.#openings.run(() => this.#open(dataset, options))
  }

  async #open(dataset: string, { step, windowMs = auditWindowDefaultMs }: AuditOptions): Promise<string> {
    const { self, registry, standing, clock } = this.#parts
    const { id } = standing.openable(dataset)
    if (step !== undefined) checkStep(step)
    if (!Number.isInteger(windowMs) || windowMs < auditWindowMinMs || windowMs > auditWindowMaxMs) {
      const message = `An audit waits for ${auditWindowMinMs} to ${auditWindowMaxMs} ms, not ${windowMs}`
      throw new NodeError('INVALID_INPUT', message, { windowMs })
    }
    this.#checkRoom(dataset, step)
    const electorate = standing.electorate(dataset)
    if (electorate.length > auditMembersMax) {
      const message = `${electorate.length} members cannot be asked at once, ${auditMembersMax} can`
      throw new NodeError('TOO_LARGE', message, { members: electorate.length })
    }
    let openedMs = clock.now()
    while (registry.get(openingKey(formatAuditId({ dataset, openedMs, opener: self }))) !== undefined)
      openedMs += 1
    const untilMs = openedMs + windowMs
    const value = { dataset: id, ...(step && { step }), openedMs, untilMs, electorate } satisfies AuditOpening
    const audit = formatAuditId({ dataset, openedMs, opener: self })
    await registry.put(openingKey(audit), encodeJson(value), { expiresMs: openedMs + auditRecordsLifeMs })
    return audit
  }

  /** @throws NodeError CONFLICT, QUEUE_FULL */
  #checkRoom(dataset: string, step: string | undefined): void {
    const { self, underWay } = this.#parts
    const same = underWay.all().find(([, { opening, endedMs }]) => {
      const { id, value } = opening
      return endedMs === undefined && id.opener === self && id.dataset === dataset && value.step === step
    })
    if (same !== undefined) {
      const [audit, { opening }] = same
      const message = `This node's audit ${audit} is under way; "maoctl dataset audits ${dataset} ${opening.id.openedMs}" shows it`
      throw new NodeError('CONFLICT', message, { audit })
    }
    if (underWay.hasRoom({ dataset, opener: self })) return
    const message = `This node has ${auditsPerOpenerMax} audits under way, as many as one member may have; wait until one has ended`
    throw new NodeError('QUEUE_FULL', message, { dataset })
  }
}

/** @throws NodeError INVALID_NAME */
function checkStep(step: string): void {
  parseName('step', step)
  if (!isReservedStep(step)) return
  const message = `${step} is what other members had made at a host, and so no host's own result`
  throw new NodeError('INVALID_NAME', message, { step })
}
