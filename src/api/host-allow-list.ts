import { isIP } from 'node:net'
import type { MiddlewareHandler } from 'hono'
import { NodeError } from '../base/errors.ts'

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]']
const ANY_ADDRESS = ['0.0.0.0', '::']
const HTTP_PORT = 80

/**
 * The values of the Host header that this API answers to, in lower case. Loopback is no boundary: a web page can make a
 * browser ask 127.0.0.1 under a name of its own, and then only this list stands between the page and the node.
 */
export function allowedHosts(
  listening: { host: string; port: number },
  further: readonly string[],
): Set<string> {
  const names = [...LOOPBACK_NAMES]
  if (!ANY_ADDRESS.includes(listening.host)) {
    names.push(isIP(listening.host) === 6 ? `[${listening.host}]` : listening.host)
  }
  const hosts = names.map((name) => `${name}:${listening.port}`)
  // Clients leave out the port that the scheme implies.
  if (listening.port === HTTP_PORT) hosts.push(...names)
  return new Set([...hosts, ...further].map((host) => host.toLowerCase()))
}

/**
 * Answers only requests that name us exactly, come from no foreign page, and spell their path in one way.
 */
export function hostAllowList(hosts: ReadonlySet<string>): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host')?.toLowerCase()
    if (host === undefined || !hosts.has(host)) {
      const message = `This node does not answer to the name "${host ?? ''}"; api.allowedHosts may name it`
      throw new NodeError('HOST_FORBIDDEN', message)
    }
    const origin = c.req.header('origin')
    if (origin !== undefined && !hosts.has(hostOf(origin))) {
      throw new NodeError('ORIGIN_FORBIDDEN', 'Pages of other origins may not use this node')
    }
    // A second spelling of a path could pass a check that was written for the first.
    if (c.req.path.includes('//')) throw new NodeError('NOT_FOUND', `There is nothing at ${c.req.path}`)
    await next()
  }
}

/** The host of an origin; an opaque or unreadable one (`null`) has none, and is foreign. */
function hostOf(origin: string): string {
  return /^https?:\/\/([^/?#@]+)$/i.exec(origin)?.[1]?.toLowerCase() ?? ''
}
