import { isNodeError, NodeError } from '../base/errors.ts'
import type { StopStack } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import { isLoopback } from '../base/loopback.ts'
import type { Members } from '../federation/members.ts'
import { includes } from '../identity/scopes.ts'
import type { TokenBook } from '../identity/token-book.ts'
import type { Registry } from '../registry/registry.ts'
import { type ExposureSettings, readCertificate } from './exposure.ts'
import { EtcdSurface } from './surface.ts'

/** The settings `etcd.…`. */
export interface EtcdSettings extends ExposureSettings {
  readonly port: number
  readonly requireToken: boolean
  readonly allowedHosts: readonly string[]
}

export interface ServeEtcdParts {
  readonly settings: EtcdSettings
  /** Who a token is of; etcd's calls may write whatever the node may. */
  readonly tokens: Pick<TokenBook, 'check'>
  readonly registry: Registry
  readonly members: Members
  readonly self: string
  /** Whether the registry is kept in an etcd cluster. */
  readonly strong: boolean
  /** The endpoints of that cluster: none of them is to be this surface. */
  readonly clusterEndpoints?: readonly string[]
  readonly running: StopStack
  readonly log: Logger
}

/** What counts nothing, since nobody is served. */
export const NO_CALLS: ReadonlyMap<string, number> = new Map()

/**
 * Starts the etcd surface as the settings say. Where it was not asked for and another program has the port (a second
 * node, an etcd), the node goes without and says so.
 *
 * @returns how many calls ended with which status; the map goes on counting.
 * @throws NodeError INVALID_CONFIG, PORT_IN_USE
 */
export async function serveEtcd(parts: ServeEtcdParts): Promise<ReadonlyMap<string, number>> {
  const { settings, tokens, registry, members, self, strong, clusterEndpoints = [], running, log } = parts
  const { serve, host, port, requireToken, allowedHosts } = settings
  if (serve === 'never') return NO_CALLS
  const taken = clusterEndpoints.find((endpoint) => isHere(endpoint, settings))
  if (taken !== undefined) {
    // Where the cluster is not up yet, the node would take its place, and itself for the cluster.
    const why = `the registry is to be kept in an etcd at ${taken}; set etcd.port (MAO_ETCD_PORT) to another`
    if (serve === 'always') throw new NodeError('INVALID_CONFIG', `etcd clients cannot be served: ${why}`)
    log.warn({ host, port }, `etcd clients are not served: ${why}, or etcd.serve to never`)
    return NO_CALLS
  }
  const tls = await readCertificate(settings)
  const authenticate = (token: string) => {
    const principal = tokens.check(token)
    return principal !== undefined && includes(principal.scope, 'operator')
  }
  const who = { registry, members, self, strong, log }
  const where = { host, port, requireToken, allowedHosts, authenticate }
  const surface = new EtcdSurface({ ...who, ...where, ...(tls === undefined ? {} : { tls }) })
  try {
    await running.start('etcd', surface)
    return surface.calls()
  } catch (error) {
    if (serve === 'always' || !isNodeError(error, 'PORT_IN_USE')) throw error
    log.warn(
      { host, port },
      'etcd clients are not served: the port is taken; set etcd.port (MAO_ETCD_PORT) to another, or etcd.serve to never',
    )
    return NO_CALLS
  }
}

/** Whether an endpoint leads to where the surface would be. */
function isHere(endpoint: string, { host, port }: EtcdSettings): boolean {
  const [, name = '', at] = /^\w+:\/\/\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? []
  return Number(at) === port && (isLoopback(name) || name === host)
}
