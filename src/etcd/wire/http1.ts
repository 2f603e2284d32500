/** HTTP/1.1 on sockets that somebody else has accepted, with a deadline for each head of a request. */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import {
  etcdFirstBytesTimeoutMs,
  etcdHeaderBytesMax,
  etcdHeadersMax,
  etcdKeepAliveMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { HttpAnswer, HttpRequest } from './gateway-duplex.ts'

export class Http1 {
  readonly #server: Server
  readonly #log: Logger
  readonly #keepAliveMs: number
  /** Sockets without a request; each is given a time for the head of the next. */
  readonly #idle = new Map<Socket, NodeJS.Timeout>()
  /** Requests of a socket that are not answered yet: clients may send them in a row. */
  readonly #open = new WeakMap<Socket, number>()
  #stopping = false

  constructor(
    serve: (request: HttpRequest, answer: HttpAnswer) => void,
    log: Logger,
    keepAliveMs = etcdKeepAliveMs,
  ) {
    this.#log = log
    this.#keepAliveMs = keepAliveMs
    this.#server = createServer({ maxHeaderSize: etcdHeaderBytesMax, keepAliveTimeout: keepAliveMs })
    this.#server.maxHeadersCount = etcdHeadersMax
    this.#server.on('request', (request, answer) => {
      const { socket } = request
      this.#busy(socket)
      this.#open.set(socket, this.#openOf(socket) + 1)
      answer.once('close', () => this.#answered(socket))
      serve(request, answer)
    })
    // Requests to become something else are as good as none.
    this.#server.on('connect', (_, socket) => socket.destroy())
    this.#server.on('upgrade', (_, socket) => socket.destroy())
    this.#server.on('clientError', (error, socket) => {
      this.#log.debug({ error: error.message }, 'what an etcd client sent is no HTTP')
      if (socket.writable) socket.write('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
      const given = socket as Socket
      given.destroySoon()
    })
  }

  accept(socket: Socket): void {
    socket.once('close', () => this.#busy(socket))
    this.#awaitRequest(socket, etcdFirstBytesTimeoutMs)
    this.#server.emit('connection', socket)
    socket.resume()
  }

  /** Lets requests come to their end, and takes no more. */
  stop(): void {
    this.#stopping = true
    for (const socket of this.#idle.keys()) socket.destroy()
  }

  #answered(socket: Socket): void {
    const open = this.#openOf(socket) - 1
    this.#open.set(socket, open)
    if (open === 0) this.#awaitRequest(socket, this.#keepAliveMs)
  }

  #openOf(socket: Socket): number {
    return this.#open.get(socket) ?? 0
  }

  #awaitRequest(socket: Socket, ms: number): void {
    if (socket.destroyed) return
    // What was answered last is still on its way to the client.
    if (this.#stopping) socket.destroySoon()
    const timer = setTimeout(() => socket.destroy(), ms)
    this.#idle.set(socket, timer)
  }

  #busy(socket: Socket): void {
    clearTimeout(this.#idle.get(socket))
    this.#idle.delete(socket)
  }
}
