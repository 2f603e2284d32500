/**
 * How refusals are said to etcd clients. Where etcd knows the case, its own code and text are used, since clients
 * compare them; where only this node knows it, the code is the nearest and the text says what to do.
 */
import { status } from '@grpc/grpc-js'
import { type ErrorCode, isNodeError, messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'

/** A gRPC status on its way to the client. */
export class EtcdError extends Error {
  readonly code: status

  constructor(code: status, details: string) {
    super(details)
    this.name = 'EtcdError'
    this.code = code
  }

  get details(): string {
    return this.message
  }
}

/** etcd's own answers, letter by letter (etcd: api/v3rpc/rpctypes/error.go). */
export const refusals = {
  emptyKey: () => new EtcdError(status.INVALID_ARGUMENT, 'etcdserver: key is not provided'),
  keyNotFound: () => new EtcdError(status.INVALID_ARGUMENT, 'etcdserver: key not found'),
  valueProvided: () => new EtcdError(status.INVALID_ARGUMENT, 'etcdserver: value is provided'),
  leaseProvided: () => new EtcdError(status.INVALID_ARGUMENT, 'etcdserver: lease is provided'),
  tooLarge: () => new EtcdError(status.INVALID_ARGUMENT, 'etcdserver: request is too large'),
  compacted: () => {
    return new EtcdError(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted')
  },
  futureRevision: () => {
    return new EtcdError(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision')
  },
  leaseNotFound: () => new EtcdError(status.NOT_FOUND, 'etcdserver: requested lease not found'),
  tooManyRequests: () => new EtcdError(status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests'),
} as const

/** What this node alone refuses. */
export function refuse(code: status, details: string): EtcdError {
  return new EtcdError(code, `mao: ${details}`)
}

const CODES: Partial<Record<ErrorCode, status>> = {
  INVALID_INPUT: status.INVALID_ARGUMENT,
  INVALID_NAME: status.INVALID_ARGUMENT,
  FORBIDDEN: status.PERMISSION_DENIED,
  NOT_OPERATOR: status.PERMISSION_DENIED,
  NOT_A_MEMBER: status.PERMISSION_DENIED,
  CERTIFICATE_INVALID: status.PERMISSION_DENIED,
  CONFLICT: status.FAILED_PRECONDITION,
  STORE_FAILED: status.UNAVAILABLE,
}

/** Whatever was thrown, as a status; what nobody foresaw is logged. */
export function toStatus(error: unknown, log: Logger): EtcdError {
  if (error instanceof EtcdError) return error
  if (isNodeError(error, 'TOO_LARGE')) return refusals.tooLarge()
  if (isNodeError(error, 'QUEUE_FULL')) return refusals.tooManyRequests()
  const code = isNodeError(error) ? CODES[error.code] : undefined
  if (code !== undefined) return refuse(code, messageOf(error))
  log.error({ error: messageOf(error) }, 'a call of an etcd client failed')
  return refuse(status.INTERNAL, messageOf(error))
}
