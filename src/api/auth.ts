import type { MiddlewareHandler } from 'hono'
import { NodeError } from '../base/errors.ts'
import { tokenCheck } from '../identity/access-token.ts'

const GIT = '/git/'

/**
 * [MUST] Lets through only who brings the token: as a bearer (RFC 6750), and below `/git/` also as the password of HTTP
 * Basic (RFC 7617), which is how stock git sends what it was given in a URL, by a credential helper or at its prompt
 * (stock-git.md P4).
 */
export function requireToken(token: string): MiddlewareHandler {
  const isToken = tokenCheck(token)
  return async (c, next) => {
    const isGit = c.req.path.startsWith(GIT)
    const presented = tokenIn(c.req.header('authorization'), isGit)
    if (presented === undefined) {
      const message = isGit
        ? "This needs the node's token: as the password of any user, or as Authorization: Bearer <token>"
        : 'This needs the token: Authorization: Bearer <token of the data directory>'
      throw new NodeError('UNAUTHORIZED', message)
    }
    if (!isToken(presented)) throw new NodeError('UNAUTHORIZED', 'The token is not right')
    await next()
  }
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
