import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { z } from 'zod'
import { orDiskFull } from '../base/disk-space.ts'
import { type ErrorCode, type ErrorData, NodeError } from '../base/errors.ts'
import { problemsToldMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { gitProblem } from './git-problems.ts'

/**
 * The one map from our codes to HTTP. A code without a line here does not compile.
 */
export const STATUS_OF: Readonly<Record<ErrorCode, ContentfulStatusCode>> = {
  INVALID_INPUT: 400,
  INVALID_NAME: 400,
  INVALID_CONFIG: 400,
  INVALID_CRON: 400,
  NOT_FOUND: 404,
  TOOL_NOT_FOUND: 404,
  DATASET_NOT_FOUND: 404,
  PIPELINE_NOT_FOUND: 404,
  SCHEDULE_NOT_FOUND: 404,
  RUN_NOT_FOUND: 404,
  PUBLISHER_NOT_FOUND: 404,
  ROUND_NOT_FOUND: 404,
  LISTING_NOT_FOUND: 404,
  COMMIT_NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  CONFLICT: 409,
  REGISTRY_MOVED: 409,
  NOT_FAST_FORWARD: 409,
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  HOST_FORBIDDEN: 403,
  ORIGIN_FORBIDDEN: 403,
  NOT_OPERATOR: 403,
  NOT_A_MEMBER: 403,
  DATASET_WITHHELD: 403,
  REVISION_COMPACTED: 410,
  REVISION_FUTURE: 400,
  LEASE_NOT_FOUND: 404,
  LEASE_EXISTS: 409,
  NO_FEDERATION: 409,
  ALREADY_FEDERATED: 409,
  INVITATION_INVALID: 400,
  INVITATION_EXPIRED: 410,
  INVITATION_USED: 410,
  MEMBER_NOT_FOUND: 404,
  REQUEST_NOT_FOUND: 404,
  REQUEST_PENDING: 409,
  REQUEST_DENIED: 403,
  MEMBERSHIP_ENDED: 403,
  TOO_LARGE: 413,
  QUOTA_EXCEEDED: 507,
  QUEUE_FULL: 503,
  RATE_LIMITED: 429,
  TIMED_OUT: 504,
  CANCELLED: 409,
  DATA_IN_USE: 409,
  STORE_INCOMPATIBLE: 500,
  STORE_FAILED: 500,
  PORT_IN_USE: 500,
  PEER_UNREACHABLE: 502,
  CHECK_FAILED: 424,
  STREAM_CLOSED: 502,
  NODE_UNREACHABLE: 502,
  REGISTRY_UNREACHABLE: 503,
  ENGINE_UNAVAILABLE: 503,
  IMAGE_NOT_FOUND: 422,
  IMAGE_MOVED: 409,
  IMAGE_FORBIDDEN: 403,
  NO_PLACE: 409,
  BUILD_FAILED: 422,
  SOURCE_UNAVAILABLE: 502,
  CHECKSUM_MISMATCH: 422,
  PUBLISH_FAILED: 502,
  POLICY_UNAVAILABLE: 503,
  DISK_FULL: 507,
  GIT_FAILED: 500,
  UPSTREAM_FAILED: 502,
  UNSUPPORTED: 501,
  SIGNATURE_INVALID: 422,
  PACK_REJECTED: 502,
  PATH_UNSAFE: 422,
  CERTIFICATE_INVALID: 422,
  INTERNAL: 500,
}

/** An error as RFC 9457 tells it; `code` is for programs, `detail` for people, `data` for both. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' })

export type Problem = z.output<typeof problemSchema>

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** A code as words: `DATASET_NOT_FOUND` is titled "Dataset not found". */
function titleOf(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function problemOf(code: ErrorCode, status: number, detail: string, data: ErrorData = {}): Problem {
  const type = `urn:mao:problem:${code.toLowerCase().replaceAll('_', '-')}`
  const problem: Problem = { type, title: titleOf(code), status, detail, code }
  return Object.keys(data).length === 0 ? problem : { ...problem, data }
}

/**
 * Any failure of a request as its answer: what we foresaw keeps its code and its sentence, everything else is told as
 * INTERNAL with a number that stands in the log beside the stack, and never with the stack.
 */
export function problemResponse(error: unknown, c: Context, log: Logger): Response {
  const problem = toProblem(error, c, log)
  const agent = c.req.header('user-agent')
  const toGit = gitProblem({ method: c.req.method, path: c.req.path, agent }, problem)
  const headers: Record<string, string> = { 'content-type': toGit?.type ?? PROBLEM_MEDIA_TYPE }
  if (problem.status === 401) headers['www-authenticate'] = challengeFor(c.req.path)
  if (problem.code === 'QUEUE_FULL') headers['retry-after'] = '1'
  const seconds = problem.data?.retryAfterSeconds
  if (typeof seconds === 'number') headers['retry-after'] = String(seconds)
  // The rest of a body that was refused may still be on its way, so its connection carries no further request.
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') headers.connection = 'close'
  const { status, body } = toGit ?? { status: problem.status, body: JSON.stringify(problem) }
  return c.body(body, status as ContentfulStatusCode, headers)
}

/** Stock git asks for a name and password only when it is challenged with Basic. */
function challengeFor(path: string): string {
  return path.startsWith('/git/') ? 'Basic realm="mao"' : 'Bearer realm="mao"'
}

function toProblem(failure: unknown, c: Context, log: Logger): Problem {
  // A full disk that a room has not met itself is no defect either.
  const error = failure instanceof NodeError ? failure : orDiskFull(failure, 'this node')
  if (error instanceof NodeError && error.code !== 'INTERNAL') {
    const status = STATUS_OF[error.code]
    if (status >= 500) log.warn({ path: c.req.path, code: error.code, err: error }, 'a request failed')
    return problemOf(error.code, status, error.message, error.data)
  }
  if (error instanceof HTTPException && error.status < 500) {
    return problemOf('INVALID_INPUT', error.status, error.message || 'The request cannot be read')
  }
  const incident = randomUUID()
  log.error({ incident, path: c.req.path, err: error }, 'a request met a defect')
  const detail = `The node met a defect of its own; its log tells more under incident ${incident}`
  return problemOf('INTERNAL', 500, detail, { incident })
}

/** What a schema refused, as INVALID_INPUT that lists every place. */
export function invalidInput(error: z.core.$ZodError, where: string): NodeError {
  const all = error.issues.map((issue) => {
    const path = issue.path.map(String).join('.')
    return { path, message: issue.message }
  })
  const problems = all.slice(0, problemsToldMax)
  const told = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  return new NodeError('INVALID_INPUT', `The ${where} is not valid: ${told}`, { problems })
}
