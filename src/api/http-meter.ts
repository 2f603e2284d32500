import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { Counter, Histogram, type Registry } from 'prom-client'
import { SECOND_MS } from '../base/limits.ts'

/** From an answer out of memory to a dataset that is read from a slow disk. */
const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** What clients make up is counted together. */
const OTHER = 'other'

/** Counts and times the requests of the API, by the route as the program writes it: never by a path that was asked for. */
export class HttpMeter {
  readonly #requests: Counter
  readonly #seconds: Histogram

  constructor(registry: Registry) {
    this.#requests = new Counter({
      name: 'mao_http_requests_total',
      help: 'Requests of the API that were answered',
      labelNames: ['method', 'route', 'status'],
      registers: [registry],
    })
    this.#seconds = new Histogram({
      name: 'mao_http_request_duration_seconds',
      help: 'From the head of a request to the head of its answer',
      labelNames: ['method', 'route'],
      buckets: BUCKETS_SECONDS,
      registers: [registry],
    })
  }

  middleware(): MiddlewareHandler {
    return async (c, next) => {
      const beganMs = performance.now()
      await next()
      const method = METHODS.has(c.req.method) ? c.req.method : OTHER
      const route = matchedRoutes(c).findLast((matched) => matched.method !== 'ALL')?.path ?? OTHER
      this.#requests.inc({ method, route, status: String(c.res.status) })
      this.#seconds.observe({ method, route }, (performance.now() - beganMs) / SECOND_MS)
    }
  }
}
