/** What an audit is called, and the keys of its records (protocols/audit.md §2). */
import { isName } from '../../base/names.ts'

export interface AuditId {
  readonly dataset: string
  /** When it was opened, ms, by its opener's clock. */
  readonly openedMs: number
  readonly opener: string
}

export const auditPrefix = '/audit/'

/** Decimal without leading zeros, so that one time has one spelling. */
const TIME = /^(?:0|[1-9][0-9]{0,15})$/
const PEER = /^[A-Za-z0-9]{1,100}$/

/** `<dataset>/<openedMs>/<opener>` */
export function formatAuditId({ dataset, openedMs, opener }: AuditId): string {
  return `${dataset}/${openedMs}/${opener}`
}

/** Undefined when the text names no audit. */
export function parseAuditId(text: string): AuditId | undefined {
  const [dataset = '', time = '', opener = '', ...rest] = text.split('/')
  if (rest.length > 0 || !isName(dataset) || !TIME.test(time) || !PEER.test(opener)) return undefined
  const openedMs = Number(time)
  return Number.isSafeInteger(openedMs) ? { dataset, openedMs, opener } : undefined
}

export function openingKey(audit: string): string {
  return auditPrefix + audit
}

export function answerKey(audit: string, peer: string): string {
  return `${auditPrefix}${audit}/${peer}`
}

/** What a key below `/audit/` is about; undefined for every other key. */
export function auditOfKey(
  key: string,
): { readonly id: AuditId; readonly answerer: string | undefined } | undefined {
  if (!key.startsWith(auditPrefix)) return undefined
  const [dataset, time, opener, answerer, ...rest] = key.slice(auditPrefix.length).split('/')
  if (rest.length > 0) return undefined
  const id = parseAuditId(`${dataset}/${time}/${opener}`)
  return id === undefined ? undefined : { id, answerer }
}
