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

/** How runc says that there is no such program, or none that this machine can run. */
const NO_PROGRAM = /exec format error|executable file not found|exec: "/

/**
 * Whose fault it is that a container does not start. The engine answers 400 where the command is to blame, and 500 for
 * most else (daemon/start.go, translateContainerdStartErr), a program for other processors among it.
 */
export function startError(error: unknown, container: string): unknown {
  const status = statusOf(error)
  if (status === undefined) return error
  const words = messageOf(error)
  if (status === 404) {
    const message = `The container was removed before it began, by somebody else: ${words}`
    return new NodeError('ENGINE_UNAVAILABLE', message, { container }, { cause: error })
  }
  if (status >= 500 && !NO_PROGRAM.test(words)) return error
  return new NodeError('INVALID_INPUT', `The command does not start: ${words}`, { container })
}

/** The engine's own sentence, without dockerode's frame around it. */
function reasonOf(cause: unknown): string {
  const json = typeof cause === 'object' && cause !== null && 'json' in cause ? cause.json : undefined
  const said = typeof json === 'object' && json !== null && 'message' in json ? json.message : undefined
  return (typeof said === 'string' ? said : messageOf(cause).replace(/^\(HTTP code \d+\) [^-]*- /, '')).trim()
}
