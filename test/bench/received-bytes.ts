import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

const CHANNELS = ['net.client.socket', 'net.server.socket']

/**
 * What all TCP connections of this process have received since it began to count, without what TCP itself adds. Of a
 * connection within the process both ends count, each what it received; what else the machine does does not.
 */
export class ReceivedBytes {
  readonly #open = new Set<Socket>()
  #closed = 0

  constructor() {
    for (const channel of CHANNELS) subscribe(channel, this.#see)
  }

  get now(): number {
    let sum = this.#closed
    for (const { bytesRead } of this.#open) sum += bytesRead
    return sum
  }

  async during(work: () => Promise<unknown>): Promise<number> {
    const before = this.now
    await work()
    return this.now - before
  }

  /** Sees no further connections. */
  end(): void {
    for (const channel of CHANNELS) unsubscribe(channel, this.#see)
  }

  readonly #see = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#closed += socket.bytesRead
    })
  }
}
