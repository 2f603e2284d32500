/**
 * How refusals are said to etcd clients. Where etcd knows the case, its own code and text are used, since clients
 * compare them; where only this node knows it, the code is the nearest and the text says what to do.
 */
import { type ErrorCode, isNodeError, messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'

/** The status codes of gRPC (grpc: doc/statuscodes.md). */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

/** A gRPC status on its way to the client. */
export class EtcdError extends Error {
  readonly code: number

  constructor(code: number, details: string) {
    super(details)
    this.name = 'EtcdError'
    this.code = code
  }

  get details(): string {
    return this.message
  }
}

const said = (code: number, details: string) => () => new EtcdError(code, details)

/** etcd's own answers, letter by letter (etcd: api/v3rpc/rpctypes/error.go). */
export const refusals = {
  emptyKey: said(STATUS.INVALID_ARGUMENT, 'etcdserver: key is not provided'),
  keyNotFound: said(STATUS.INVALID_ARGUMENT, 'etcdserver: key not found'),
  valueProvided: said(STATUS.INVALID_ARGUMENT, 'etcdserver: value is provided'),
  leaseProvided: said(STATUS.INVALID_ARGUMENT, 'etcdserver: lease is provided'),
  tooManyOperations: said(STATUS.INVALID_ARGUMENT, 'etcdserver: too many operations in txn request'),
  duplicateKey: said(STATUS.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request'),
  tooLarge: said(STATUS.INVALID_ARGUMENT, 'etcdserver: request is too large'),
  compacted: said(STATUS.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'),
  futureRevision: said(STATUS.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'),
  noSpace: said(STATUS.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'),
  leaseNotFound: said(STATUS.NOT_FOUND, 'etcdserver: requested lease not found'),
  leaseExists: said(STATUS.FAILED_PRECONDITION, 'etcdserver: lease already exists'),
  leaseTooLong: said(STATUS.OUT_OF_RANGE, 'etcdserver: too large lease TTL'),
  tooManyRequests: said(STATUS.RESOURCE_EXHAUSTED, 'etcdserver: too many requests'),
  memberNotFound: said(STATUS.NOT_FOUND, 'etcdserver: member not found'),
  badTransferee: said(STATUS.FAILED_PRECONDITION, 'etcdserver: bad leader transferee'),
  timedOut: said(STATUS.UNAVAILABLE, 'etcdserver: request timed out'),
  stopped: said(STATUS.UNAVAILABLE, 'etcdserver: server stopped'),
  notAuthenticated: said(STATUS.INVALID_ARGUMENT, 'etcdserver: user name is empty'),
  invalidToken: said(STATUS.UNAUTHENTICATED, 'etcdserver: invalid auth token'),
  authenticationFailed: said(
    STATUS.INVALID_ARGUMENT,
    'etcdserver: authentication failed, invalid user ID or password',
  ),
  authenticationOff: said(STATUS.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'),
} as const

/** What this node alone refuses. */
export function refuse(code: number, details: string): EtcdError {
  return new EtcdError(code, `mao: ${details}`)
}

/** The cases that etcd knows too. */
const SAME: Partial<Record<ErrorCode, () => EtcdError>> = {
  REVISION_COMPACTED: refusals.compacted,
  REVISION_FUTURE: refusals.futureRevision,
  LEASE_NOT_FOUND: refusals.leaseNotFound,
  LEASE_EXISTS: refusals.leaseExists,
  TOO_LARGE: refusals.tooLarge,
  QUEUE_FULL: refusals.tooManyRequests,
}

const CODES: Partial<Record<ErrorCode, number>> = {
  INVALID_INPUT: STATUS.INVALID_ARGUMENT,
  INVALID_NAME: STATUS.INVALID_ARGUMENT,
  FORBIDDEN: STATUS.PERMISSION_DENIED,
  NOT_OPERATOR: STATUS.PERMISSION_DENIED,
  NOT_A_MEMBER: STATUS.PERMISSION_DENIED,
  CERTIFICATE_INVALID: STATUS.PERMISSION_DENIED,
  CONFLICT: STATUS.PERMISSION_DENIED,
  UNSUPPORTED: STATUS.UNIMPLEMENTED,
  REGISTRY_MOVED: STATUS.UNAVAILABLE,
  REGISTRY_UNREACHABLE: STATUS.UNAVAILABLE,
  TIMED_OUT: STATUS.UNAVAILABLE,
  STORE_FAILED: STATUS.UNAVAILABLE,
}

/** As the operating system says it. */
const DISK_FULL = /no space left on device|ENOSPC/i

/** Whatever was thrown, as a status; what nobody foresaw is logged. */
export function toStatus(error: unknown, log: Logger): EtcdError {
  if (error instanceof EtcdError) return error
  if (isNodeError(error)) {
    const same = SAME[error.code]
    if (same !== undefined) return same()
    if (error.code === 'STORE_FAILED' && DISK_FULL.test(error.message)) return refusals.noSpace()
    const code = CODES[error.code]
    if (code !== undefined) return refuse(code, messageOf(error))
  }
  log.error({ error: messageOf(error) }, 'a call of an etcd client failed')
  return refuse(STATUS.INTERNAL, messageOf(error))
}
