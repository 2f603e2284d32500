import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { CHALLENGE } from '../identity/access-token.ts'
import type { TokenBook } from '../identity/token-book.ts'
import { docsPage } from '../web/docs-page.ts'
import { page } from '../web/page.ts'
import type { ApiNode } from './api-node.ts'
import { auditRoutes } from './audit-routes.ts'
import { type AuthParts, requireToken } from './auth.ts'
import { buildRoutes } from './build-routes.ts'
import { crateRoutes } from './crate-routes.ts'
import { datasetBrowseRoutes } from './dataset-browse-routes.ts'
import { datasetDiffRoutes } from './dataset-diff-routes.ts'
import { datasetImportRoutes } from './dataset-import-routes.ts'
import { datasetLocalRoutes } from './dataset-local-routes.ts'
import { datasetRoutes } from './dataset-routes.ts'
import { datasetWorkRoutes } from './dataset-work-routes.ts'
import { doctorRoutes } from './doctor-routes.ts'
import { engineRoutes } from './engine-routes.ts'
import { eventRoutes } from './event-routes.ts'
import type { EventHub, Happening } from './events.ts'
import { invitationRoutes } from './federation-invitation-routes.ts'
import { federationPolicyRoutes } from './federation-policy-routes.ts'
import { membershipRequestRoutes } from './federation-request-routes.ts'
import { federationRoutes } from './federation-routes.ts'
import { gitRoutes } from './git-routes.ts'
import { grantRoutes } from './grant-routes.ts'
import { healthSchema } from './health-view.ts'
import { hostAllowList } from './host-allow-list.ts'
import { HttpMeter } from './http-meter.ts'
import { hubRoutes } from './hub-routes.ts'
import { imageRoutes } from './image-routes.ts'
import { insightRoutes } from './insight-routes.ts'
import { lineageRoutes } from './lineage-routes.ts'
import { besidesOpen, withoutLastSlash } from './mao/door.ts'
import { maoRoutes } from './mao/mao-routes.ts'
import { marketInstallRoutes } from './market-install-routes.ts'
import { marketRoutes } from './market-routes.ts'
import { NodeMetrics } from './metrics.ts'
import { metricsRoutes } from './metrics-routes.ts'
import { notificationRoutes } from './notification-routes.ts'
import { offerRoutes } from './offer-routes.ts'
import { serveOpenApi } from './openapi.ts'
import { peerRoutes } from './peer-routes.ts'
import { pipelineRoutes } from './pipeline-routes.ts'
import { presenceRoutes } from './presence-routes.ts'
import { problemResponse } from './problems.ts'
import { publicationRoutes } from './publication-routes.ts'
import type { RateLimits } from './rate-limits.ts'
import { registryRoutes } from './registry-routes.ts'
import { registryWatchRoutes, Watches } from './registry-watch-routes.ts'
import { registryWriteRoutes } from './registry-write-routes.ts'
import { reliabilityRoutes } from './reliability-routes.ts'
import { remoteRunRoutes } from './remote-run-routes.ts'
import { RevisionClock } from './revision-clock.ts'
import { roundRoutes } from './round-routes.ts'
import { newRoutes, tells } from './routing.ts'
import { ruleRoutes } from './rule-routes.ts'
import { runResultRoutes } from './run-result-routes.ts'
import { runRoutes } from './run-routes.ts'
import { scheduleRoutes } from './schedule-routes.ts'
import { secretRoutes } from './secret-routes.ts'
import { statusRoutes } from './status-routes.ts'
import { submitRoutes } from './submit-routes.ts'
import { tokenRoutes } from './token-routes.ts'
import { toolRoutes } from './tool-routes.ts'
import { trustRoutes } from './trust-routes.ts'
import { discardBody, limitBody } from './upload.ts'
import { upstreamRoutes } from './upstream-routes.ts'
import { voteRoutes } from './vote-routes.ts'

export interface AppParts<E extends Happening> {
  node: ApiNode
  tokens: AuthParts['tokens'] & Pick<TokenBook, 'prove'>
  limits: RateLimits
  events: Pick<EventHub<E>, 'read' | 'checkRoom'>
  /** Values of the Host header that are answered; see host-allow-list.ts. */
  hosts: ReadonlySet<string>
  /** Aborts when the server stops. */
  stopping: AbortSignal
  log: Logger
}

/** Bodies that are streams, and are bounded by who reads them. */
const STREAMED = [
  /^\/api\/v1\/datasets\/(?:import|[^/]+\/commits)$/,
  /^\/api\/v1\/builds$/,
  /^\/git\/[^/]+\/git-(?:upload|receive)-pack$/,
]

const alive = createRoute({
  method: 'get',
  path: '/healthz',
  summary: 'Whether the process answers, and whether it is the node that a client means',
  security: [],
  request: { query: z.object({ challenge: z.string().regex(CHALLENGE).optional() }) },
  responses: tells(healthSchema, 'It does'),
})

const ready = createRoute({
  method: 'get',
  path: '/readyz',
  summary: 'Whether the node takes work',
  security: [],
  responses: tells(z.object({ status: z.literal('ready'), federated: z.boolean() }), 'It does'),
})

/**
 * The whole API without a port: who may ask at all, the page that says nothing yet, then the token, then one set of routes per noun.
 */
export function createApp<E extends Happening>(parts: AppParts<E>): OpenAPIHono {
  const { node, log, stopping } = parts
  const app = newRoutes()
  const revisions = new RevisionClock()
  revisions.follow(node, stopping)
  const watches = new Watches()
  const metrics = new NodeMetrics({ node, watches })
  metrics.follow(stopping)
  app.onError(async (error, c) => {
    await discardBody(c.req.raw)
    return problemResponse(error, c, log)
  })
  app.notFound((c) => {
    return problemResponse(new NodeError('NOT_FOUND', `There is nothing at ${c.req.path}`), c, log)
  })
  app.use(new HttpMeter(metrics.registry).middleware())
  app.use(hostAllowList(parts.hosts))
  app.openapi(alive, (c) => {
    const { challenge } = c.req.valid('query')
    const proof =
      challenge === undefined ? undefined : parts.tokens.prove(challenge, c.req.header('host') ?? '')
    return c.json({ status: 'ok' as const, ...(proof === undefined ? {} : { proof }) }, 200)
  })
  app.openapi(ready, (c) => {
    if (parts.stopping.aborted) throw new NodeError('CANCELLED', 'The node is stopping')
    return c.json({ status: 'ready' as const, federated: node.hasFederation }, 200)
  })
  // Before the token is asked for: the page is how a browser comes to send one.
  app.route('/', page())
  app.route('/', docsPage())
  const { hub } = node.config.marketplace
  if (hub === 'open') app.use('/hub/*', parts.limits.middleware()).route('/', hubRoutes(node))
  app.use(withoutLastSlash(node.config.maoApi))
  app.use(besidesOpen(node.config.maoApi, { guard: requireToken(parts), limits: parts.limits }))
  if (hub === 'token') app.route('/', hubRoutes(node))
  app.use(limitBody((path) => STREAMED.some((streamed) => streamed.test(path))))
  const api = newRoutes()
  for (const routes of [
    tokenRoutes(node),
    federationRoutes(node),
    invitationRoutes(node),
    membershipRequestRoutes(node),
    federationPolicyRoutes(node),
    datasetRoutes(node),
    datasetImportRoutes(node),
    datasetLocalRoutes(node),
    grantRoutes(node),
    datasetWorkRoutes(node),
    datasetBrowseRoutes(node, parts),
    datasetDiffRoutes(node, parts),
    upstreamRoutes(node),
    engineRoutes(node),
    toolRoutes(node),
    imageRoutes(node),
    buildRoutes(node, parts),
    pipelineRoutes(node),
    scheduleRoutes(node),
    runRoutes(node, parts),
    secretRoutes(node),
    submitRoutes(node),
    remoteRunRoutes(node, parts),
    offerRoutes(node),
    trustRoutes(node),
    runResultRoutes(node, parts),
    publicationRoutes(node),
    crateRoutes(node),
    lineageRoutes(node),
    insightRoutes(node),
    roundRoutes(node),
    auditRoutes(node),
    voteRoutes(node),
    ruleRoutes(node),
    reliabilityRoutes(node),
    marketRoutes(node),
    marketInstallRoutes(node),
    notificationRoutes(node),
    registryRoutes(node, revisions),
    registryWriteRoutes(node, revisions),
    registryWatchRoutes(node, { stopping, log, watches }),
    presenceRoutes(node),
    peerRoutes(node),
    statusRoutes(node),
    doctorRoutes(node),
    eventRoutes(parts.events, parts),
  ]) {
    api.route('/', routes)
  }
  app.route('/api/v1', api)
  app.route('/', metricsRoutes(metrics))
  app.route('/', gitRoutes(node, parts))
  app.route('/', maoRoutes(node, parts))
  serveOpenApi(app)
  return app
}
