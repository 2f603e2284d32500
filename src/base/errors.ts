/**
 * Every failure that a user, a peer or a client can meet has one of these codes. The set is closed: the API maps each
 * code to an HTTP status (api/problems.ts) and the CLI each to an exit code (cli/exit-codes.ts).
 */
export type ErrorCode =
  // What was asked for is wrong.
  | 'INVALID_INPUT'
  | 'INVALID_NAME'
  | 'INVALID_CONFIG'
  | 'INVALID_CRON'
  | 'NOT_FOUND'
  | 'TOOL_NOT_FOUND'
  | 'DATASET_NOT_FOUND'
  | 'PIPELINE_NOT_FOUND'
  | 'SCHEDULE_NOT_FOUND'
  | 'RUN_NOT_FOUND'
  | 'PUBLISHER_NOT_FOUND'
  | 'NO_PLACE'
  | 'ROUND_NOT_FOUND'
  | 'LISTING_NOT_FOUND'
  | 'COMMIT_NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONFLICT'
  | 'REGISTRY_MOVED'
  | 'NOT_FAST_FORWARD'
  // Who asks may not.
  | 'UNAUTHORIZED'
  | 'TOKEN_EXPIRED'
  | 'FORBIDDEN'
  | 'HOST_FORBIDDEN'
  | 'ORIGIN_FORBIDDEN'
  | 'NOT_OPERATOR'
  | 'NOT_A_MEMBER'
  | 'DATASET_WITHHELD'
  // The registry's revisions and leases.
  | 'REVISION_COMPACTED'
  | 'REVISION_FUTURE'
  | 'LEASE_NOT_FOUND'
  | 'LEASE_EXISTS'
  // The federation.
  | 'NO_FEDERATION'
  | 'ALREADY_FEDERATED'
  | 'INVITATION_INVALID'
  | 'INVITATION_EXPIRED'
  | 'INVITATION_USED'
  | 'MEMBER_NOT_FOUND'
  | 'REQUEST_NOT_FOUND'
  | 'REQUEST_PENDING'
  | 'REQUEST_DENIED'
  | 'MEMBERSHIP_ENDED'
  // Limits.
  | 'TOO_LARGE'
  | 'QUOTA_EXCEEDED'
  | 'QUEUE_FULL'
  | 'RATE_LIMITED'
  | 'TIMED_OUT'
  | 'CANCELLED'
  // The surroundings.
  | 'DATA_IN_USE'
  | 'STORE_INCOMPATIBLE'
  | 'STORE_FAILED'
  | 'PORT_IN_USE'
  | 'PEER_UNREACHABLE'
  | 'CHECK_FAILED'
  | 'STREAM_CLOSED'
  | 'NODE_UNREACHABLE'
  | 'REGISTRY_UNREACHABLE'
  | 'ENGINE_UNAVAILABLE'
  | 'IMAGE_NOT_FOUND'
  | 'IMAGE_MOVED'
  | 'IMAGE_FORBIDDEN'
  | 'BUILD_FAILED'
  | 'SOURCE_UNAVAILABLE'
  | 'CHECKSUM_MISMATCH'
  | 'PUBLISH_FAILED'
  | 'POLICY_UNAVAILABLE'
  | 'DISK_FULL'
  | 'GIT_FAILED'
  | 'UPSTREAM_FAILED'
  | 'UNSUPPORTED'
  // What came from a peer does not hold.
  | 'SIGNATURE_INVALID'
  | 'PACK_REJECTED'
  | 'PATH_UNSAFE'
  | 'CERTIFICATE_INVALID'
  // A defect of ours.
  | 'INTERNAL'

export type ErrorData = Readonly<Record<string, unknown>>

/** The one error class: a code for programs, a sentence with a way out for people, and data for both. */
export class NodeError extends Error {
  readonly code: ErrorCode
  readonly data: ErrorData

  constructor(code: ErrorCode, message: string, data: ErrorData = {}, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'NodeError'
    this.code = code
    this.data = data
  }
}

/** What `error` says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** True for a NodeError, of that code when one is named. */
export function isNodeError(error: unknown, code?: ErrorCode): error is NodeError {
  return error instanceof NodeError && (code === undefined || error.code === code)
}
