import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { Ending } from './etcd-cluster.ts'

/** A piece of network before a server, which can be cut without a word, as a pulled cable is. */
export class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #target: number
  #toServer = true
  #toClient = true

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((client) => {
      const server = createConnection(this.#target, '127.0.0.1')
      this.#carry(client, server, () => this.#toServer)
      this.#carry(server, client, () => this.#toClient)
    })
  }

  static async to(ending: Ending, target: number): Promise<Wire> {
    const wire = new Wire(target)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    ending.after(() => wire.#close())
    return wire
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** What the server says is lost from now on; `both`: what it is told as well. */
  cut(which: 'answers' | 'both'): void {
    this.#toClient = false
    if (which === 'both') this.#toServer = false
  }

  /** Carries new connections again; those that were cut have lost bytes and break. */
  mend(): void {
    this.#toClient = true
    this.#toServer = true
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Leads to another server from now on. */
  turnTo(target: number): void {
    this.#target = target
    this.mend()
  }

  #carry(from: Socket, to: Socket, carries: () => boolean): void {
    this.#sockets.add(from)
    from.on('data', (chunk) => {
      if (carries()) to.write(chunk)
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }

  async #close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
