/**
 * Who asks, and whether that is enough: a token as a bearer (RFC 6750), and below `/git/` also as the password of HTTP
 * Basic (RFC 7617), which is how stock git sends what it was given in a URL, by a credential helper or at its prompt
 * (stock-git.md P4).
 */
import type { Context, MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { NodeError } from '../base/errors.ts'
import { includes, type Principal } from '../identity/scopes.ts'
import type { TokenBook } from '../identity/token-book.ts'
import { isMaoPath } from './mao/door.ts'
import type { RateLimits } from './rate-limits.ts'
import { scopeOf } from './scopes.ts'
import type { MayStay } from './token-watch.ts'

const GIT = '/git/'

export interface AuthParts {
  readonly tokens: Pick<TokenBook, 'check'>
  readonly limits: Pick<RateLimits, 'failure' | 'request'>
}

declare module 'hono' {
  interface ContextVariableMap {
    /** Who asks, behind `requireToken`. */
    principal: Principal
    /** Whether the token that was brought still opens anything; absent where none was asked for. */
    mayStay: MayStay | undefined
  }
}

/**
 * [MUST] Lets through only who brings a token that opens the route (scopes.ts), and no more often than its share.
 *
 * @throws NodeError UNAUTHORIZED, TOKEN_EXPIRED, NOT_FOUND, FORBIDDEN, RATE_LIMITED
 */
export function requireToken(parts: AuthParts): MiddlewareHandler {
  return async (c, next) => {
    const principal = await authenticate(c, parts)
    const routes = matchedRoutes(c)
    // Nothing but what stands before all routes: a slip of the path asks for no stronger token.
    if (routes.every(({ method }) => method === 'ALL')) {
      throw new NodeError('NOT_FOUND', `There is nothing at ${c.req.path} for ${c.req.method}`)
    }
    const template = routes.at(-1)?.path ?? c.req.path
    const needed = scopeOf(c.req.method, template)
    if (!includes(principal.scope, needed)) {
      const message = `The token ${principal.name} is for ${principal.scope}s; this needs one for ${needed}s (maoctl token create --scope ${needed})`
      throw new NodeError('FORBIDDEN', message, { scope: principal.scope, needed })
    }
    c.set('principal', principal)
    c.set('mayStay', () => isStillGood(parts.tokens, presentedIn(c)))
    await next()
  }
}

function isStillGood(tokens: AuthParts['tokens'], presented: string | undefined): boolean {
  try {
    return presented !== undefined && tokens.check(presented) !== undefined
  } catch (error) {
    if (error instanceof NodeError && error.code === 'TOKEN_EXPIRED') return false
    throw error
  }
}

function presentedIn(c: Context): string | undefined {
  return tokenIn(c.req.header('authorization'), c.req.path.startsWith(GIT))
}

/** Who asks. @throws NodeError UNAUTHORIZED, TOKEN_EXPIRED, RATE_LIMITED */
export async function authenticate(c: Context, parts: AuthParts): Promise<Principal> {
  const { tokens, limits } = parts
  const isGit = c.req.path.startsWith(GIT)
  const presented = presentedIn(c)
  try {
    if (presented === undefined) throw missing(c.req.path, isGit)
    const principal = tokens.check(presented)
    if (principal === undefined) throw new NodeError('UNAUTHORIZED', 'The token is not right')
    await limits.request(principal.id)
    return principal
  } catch (error) {
    // Who brings a good token is never kept out by who guesses from the same address.
    const isRefused = error instanceof NodeError && ['UNAUTHORIZED', 'TOKEN_EXPIRED'].includes(error.code)
    if (isRefused) await limits.failure(c)
    throw error
  }
}

function missing(path: string, isGit: boolean): NodeError {
  const message = isGit
    ? "This needs the node's token: as the password of any user, or as Authorization: Bearer <token>"
    : 'This needs the token: Authorization: Bearer <token of the data directory>'
  return new NodeError('UNAUTHORIZED', message + withoutToken(path))
}

/** Old clients send no token; which setting lets them in is for the node's owner to know. */
function withoutToken(path: string): string {
  if (path.startsWith('/hub/')) {
    return '; its owner can let everybody read these files (the setting marketplace.hub is open)'
  }
  if (path === '/' || !isMaoPath(path)) return ''
  return '; its owner can let programs on that machine do without (the setting maoApi is open)'
}

function tokenIn(header: string | undefined, isBasicTaken: boolean): string | undefined {
  const [, scheme, credentials] = /^(Bearer|Basic) +([^ ]+) *$/i.exec(header ?? '') ?? []
  if (scheme === undefined || credentials === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return credentials
  if (!isBasicTaken) return undefined
  const pair = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : pair.slice(colon + 1)
}
