/** Who may use the predecessor's routes without the token (protocols/gateway.md W1). */
import type { Context, MiddlewareHandler } from 'hono'
import { isLoopback } from '../../base/loopback.ts'
import type { Config } from '../../config.ts'
import type { Principal } from '../../identity/scopes.ts'
import type { RateLimits } from '../rate-limits.ts'

const ROUTES = [
  /^\/$/,
  /^\/registry\/(?:tools|datasets)(?:\/[^/]*)?$/,
  /^\/registry\/pipelines\/[^/]*$/,
  /^\/pipeline(?:\/(?:init|run))?$/,
  /^\/bare-repo\/init$/,
  /^\/jobs(?:\/[^/]*)?$/,
  /^\/(?:write|read|inspect)$/,
]

/** Whoever passes requests on speaks for others, who need not be on this machine. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** Whether the predecessor answered at this path; a slash at its end says nothing. */
export function isMaoPath(path: string): boolean {
  const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  return ROUTES.some((route) => route.test(plain))
}

/** What a browser says of a request that nobody else's page made it send. */
const OWN_PAGES = [undefined, 'none', 'same-origin']

/**
 * Why the routes cannot be open: an API that is meant for others is reached through something that stands between, a
 * port forward or a proxy, and what comes through that looks as if it came from this machine. Pure.
 */
export function openRefusal({
  maoApi,
  api,
}: {
  readonly maoApi: Config['maoApi']
  readonly api: Pick<Config['api'], 'host' | 'allowedHosts'>
}): string | undefined {
  if (maoApi !== 'open') return undefined
  const wayOut = 'set maoApi to token'
  if (!isLoopback(api.host)) {
    return `maoApi is open, which is for this machine alone, and the API listens on ${api.host}; ${wayOut}, or api.host to 127.0.0.1`
  }
  const further = api.allowedHosts.find((host) => !isLoopback(host.replace(/:\d+$/, '')))
  if (further === undefined) return undefined
  return `maoApi is open, which is for this machine alone, and api.allowedHosts names ${further}: whoever comes by that name would need no token; ${wayOut}, or take the name out`
}

/** Lets a request go without the token: only where the settings say `open`, and only from this very machine. */
export function maoOpen(mode: Config['maoApi']): (c: Context) => boolean {
  if (mode !== 'open') return () => false
  return (c) => {
    if (!isMaoPath(c.req.path)) return false
    // Who brings a token is to be told when it is wrong.
    if (c.req.header('authorization') !== undefined) return false
    // A page elsewhere may make a browser of this machine ask, though it does not get to read the answer.
    if (!OWN_PAGES.includes(c.req.header('sec-fetch-site'))) return false
    if (FORWARDED.some((header) => c.req.header(header) !== undefined)) return false
    return isLoopback(remoteAddress(c))
  }
}

/** What the server knows of the other end; nothing where a request came by no socket. */
function remoteAddress(c: Context): string | undefined {
  const { incoming } = (c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress
}

/**
 * Who comes without a token where none is asked for. Some of the predecessor's routes do what takes an operator's token
 * elsewhere, and are open all the same; whatever else is decided by scope is decided as for a member.
 */
const SOMEBODY_HERE: Principal = { id: 'loopback', name: 'somebody on this machine', scope: 'member' }

/** What asks for the token, for all but those who need none, who share the pace of one token. */
export function besidesOpen(
  mode: Config['maoApi'],
  { guard, limits }: { guard: MiddlewareHandler; limits: Pick<RateLimits, 'request'> },
): MiddlewareHandler {
  const isOpen = maoOpen(mode)
  return async (c, next) => {
    if (!isOpen(c)) return guard(c, next)
    await limits.request(SOMEBODY_HERE.id)
    c.set('principal', SOMEBODY_HERE)
    return next()
  }
}

const TEMPORARY_REDIRECT = 307

/** [W2] A slash at the end of a path leads to the path without it. */
export function withoutLastSlash(mode: Config['maoApi']): MiddlewareHandler {
  return (c, next) => {
    const { path } = c.req
    if (mode === 'off' || path === '/' || !path.endsWith('/') || !isMaoPath(path)) return next()
    // Relative, so that it leads nowhere else, whatever name the request came under.
    const to = path.slice(0, -1) + new URL(c.req.url).search
    return Promise.resolve(c.redirect(to, TEMPORARY_REDIRECT))
  }
}
