import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  apiConnectionsMax,
  apiStopTimeoutMs,
  requestHeadersTimeoutMs,
  requestTimeoutMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { NodeEvent } from '../node.ts'
import type { ApiNode } from './api-node.ts'
import { createApp } from './app.ts'
import { eventView } from './event-view.ts'
import { EventHub } from './events.ts'
import { allowedHosts } from './host-allow-list.ts'
import { openRefusal } from './mao/door.ts'
import { RateLimits } from './rate-limits.ts'
import { TEMPORARY_DIRECTORY } from './temporary-directory.ts'
import { WHEREABOUTS_FILE } from './whereabouts.ts'

const IDLE_SWEEP_MS = 20

export interface ApiServerParts {
  node: ApiNode
  log: Logger
}

/** The HTTP API of one node on its socket. */
export class ApiServer implements Startable {
  readonly #node: ApiNode
  readonly #log: Logger
  readonly #events: EventHub<NodeEvent>
  #stopping = new AbortController()
  #server: Server | undefined
  #url = ''

  constructor(parts: ApiServerParts) {
    this.#node = parts.node
    this.#log = parts.log.child({ room: 'api' })
    this.#events = new EventHub({ source: parts.node, view: eventView })
  }

  /** Such as `http://127.0.0.1:8080`; empty while the server does not run. */
  get url(): string {
    return this.#url
  }

  /**
   * @throws NodeError PORT_IN_USE, or INVALID_CONFIG when the address cannot be listened on, or when routes that are for
   * this machine alone are open where others are meant to come.
   */
  async start(): Promise<void> {
    if (this.#server !== undefined) return
    const { api, dataDirectory } = this.#node.config
    const refusal = openRefusal(this.#node.config)
    if (refusal !== undefined) throw new NodeError('INVALID_CONFIG', refusal)
    const server = createServer({
      headersTimeout: requestHeadersTimeoutMs,
      requestTimeout: requestTimeoutMs,
    })
    server.maxConnections = apiConnectionsMax
    const address = await listen(server, api.host, api.port)
    // Such as too many open files: the server goes on, and an error that nobody hears would end the process.
    server.on('error', (error) =>
      this.#log.error({ error: messageOf(error) }, 'the API could not take a connection'),
    )
    // What an import that a crash cut off had unpacked.
    await rm(join(dataDirectory, TEMPORARY_DIRECTORY), { recursive: true, force: true })
    this.#stopping = new AbortController()
    await this.#events.start()
    const app = createApp({
      node: this.#node,
      tokens: this.#node.tokens,
      limits: new RateLimits(api.rateLimit),
      events: this.#events,
      hosts: allowedHosts({ host: api.host, port: address.port }, api.allowedHosts),
      stopping: this.#stopping.signal,
      log: this.#log,
    })
    server.on('request', getRequestListener(app.fetch, { overrideGlobalObjects: false }))
    this.#server = server
    this.#url = urlOf(address)
    try {
      const whereabouts = JSON.stringify({ url: this.#url, pid: process.pid })
      await writeFile(join(dataDirectory, WHEREABOUTS_FILE), `${whereabouts}\n`, { mode: 0o600 })
    } catch (cause) {
      await this.stop()
      const message = `${WHEREABOUTS_FILE} cannot be written: ${messageOf(cause)}`
      throw new NodeError('STORE_FAILED', message, {}, { cause })
    }
    this.#log.info({ url: this.#url }, 'the API listens')
  }

  /** Lets requests in flight end, within a deadline; streams that would follow for ever end at once. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    this.#url = ''
    await rm(join(this.#node.config.dataDirectory, WHEREABOUTS_FILE), { force: true })
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    this.#stopping.abort()
    // A connection whose last request has ended would be kept for another one.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
    const late = setTimeout(() => server.closeAllConnections(), apiStopTimeoutMs)
    await closed
    clearInterval(idle)
    clearTimeout(late)
    await this.#events.stop()
  }
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error) => reject(listenFailure(cause, host, port))
    server.once('error', refuse)
    server.listen({ host, port }, () => {
      server.off('error', refuse)
      const address = server.address()
      if (address === null || typeof address === 'string') {
        return reject(new NodeError('INTERNAL', 'the API listens on no IP address'))
      }
      resolve(address)
    })
  })
}

function listenFailure(cause: Error, host: string, port: number): NodeError {
  if ('code' in cause && cause.code === 'EADDRINUSE') {
    const message = `Port ${port} of ${host} is taken; stop what listens there, or choose another with --port`
    return new NodeError('PORT_IN_USE', message, { host, port }, { cause })
  }
  const message = `The API cannot listen on ${host} port ${port}: ${messageOf(cause)}`
  return new NodeError('INVALID_CONFIG', message, { host, port }, { cause })
}

/** An address that can be typed into a browser: what listens everywhere is told as loopback. */
function urlOf({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `http://127.0.0.1:${port}`
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`
}
