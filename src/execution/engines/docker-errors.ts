import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'

/** What the socket says when no engine is behind it, or it went away in the middle. */
const UNREACHABLE = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTSOCK', 'EACCES', 'EPERM'])
/** The same of an engine on another machine. */
const OFF_THE_NET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ENOTFOUND',
])

/** The HTTP status with which the engine refused a call, where it answered at all. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const inner = isNodeError(error) ? error.data : error
  return 'statusCode' in inner && typeof inner.statusCode === 'number' ? inner.statusCode : undefined
}

export function isStatus(error: unknown, status: number): boolean {
  return statusOf(error) === status
}

/** One of ours for whatever a call to the engine threw; the status stays readable by `statusOf`. */
export function engineError(cause: unknown, place: string): NodeError {
  if (isNodeError(cause, 'TIMED_OUT')) return unavailable(cause.message, place, cause)
  if (isNodeError(cause)) return cause
  const statusCode = statusOf(cause)
  if (statusCode !== undefined) {
    if (statusCode < 500) return new NodeError('INVALID_INPUT', reasonOf(cause), { statusCode }, { cause })
    const message = `The container engine failed: ${reasonOf(cause)}`
    return new NodeError('ENGINE_UNAVAILABLE', message, { statusCode }, { cause })
  }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return unavailable(wayOut(code, place) ?? messageOf(cause), place, cause)
}

function unavailable(why: string, place: string, cause: unknown): NodeError {
  const message = `No container engine answers at ${place}: ${why}`
  return new NodeError('ENGINE_UNAVAILABLE', message, { place }, { cause })
}

function wayOut(code: string, place: string): string | undefined {
  if (!place.startsWith('/')) {
    if (!OFF_THE_NET.has(code)) return undefined
    return `${code}; see whether the machine is on, Docker runs there (dockerd --tlsverify) and its certificates are valid, or correct docker.engines in the settings`
  }
  if (!UNREACHABLE.has(code)) return undefined
  if (code === 'EACCES' || code === 'EPERM') {
    return `this user may not use it; add the user to the group that owns ${place} (usually docker)`
  }
  return 'start Docker (systemctl start docker), or name its socket in the setting docker.socketPath'
}

/** The engine's own sentence, without dockerode's frame around it. */
function reasonOf(cause: unknown): string {
  const json = typeof cause === 'object' && cause !== null && 'json' in cause ? cause.json : undefined
  const said = typeof json === 'object' && json !== null && 'message' in json ? json.message : undefined
  return (typeof said === 'string' ? said : messageOf(cause).replace(/^\(HTTP code \d+\) [^-]*- /, '')).trim()
}
