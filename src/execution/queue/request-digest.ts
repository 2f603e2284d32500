import { createHash } from 'node:crypto'

/**
 * What was asked, as one digest: the same whatever the order in which a client wrote its fields, another as soon as one
 * value differs. It stands for the "fingerprint" of draft-ietf-httpapi-idempotency-key-header §2.4.
 */
export function requestDigestOf(subject: object, options: object): string {
  const { requestKey: _key, ...asked } = options as { requestKey?: string }
  return createHash('sha256')
    .update(JSON.stringify(sorted({ ...subject, ...asked })))
    .digest('hex')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sorted(each)]),
  )
}
