import type { MiddlewareHandler } from 'hono'
import { NodeError } from '../base/errors.ts'
import { tokenCheck } from '../identity/access-token.ts'

/**
 * Lets through only who brings the token: as a bearer (RFC 6750), or as the password of HTTP Basic (RFC 7617), which is
 * how stock git sends what it was given in a URL or by a credential helper.
 */
export function requireToken(token: string): MiddlewareHandler {
  const isToken = tokenCheck(token)
  return async (c, next) => {
    const presented = tokenIn(c.req.header('authorization'))
    if (presented === undefined) {
      throw new NodeError(
        'UNAUTHORIZED',
        'This needs the token: Authorization: Bearer <token of the data directory>',
      )
    }
    if (!isToken(presented)) throw new NodeError('UNAUTHORIZED', 'The token is not right')
    await next()
  }
}

function tokenIn(header: string | undefined): string | undefined {
  const [, scheme, credentials] = /^(Bearer|Basic) +([^ ]+) *$/i.exec(header ?? '') ?? []
  if (scheme === undefined || credentials === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return credentials
  const pair = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : pair.slice(colon + 1)
}
