import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Ending } from './etcd-cluster.ts'

/** A way to a server that can be cut, as a network is. */
export interface Door {
  readonly address: string
  /** Ends every connection that goes through it; new ones are let in. */
  cut(): void
}

export async function openDoor(ending: Ending, address: string): Promise<Door> {
  const [host = '', port = ''] = address.split(':')
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // Whoever is cut off may say so; the other side is ended with it.
      socket.on('error', () => socket.destroy())
    }
    near.pipe(far).pipe(near)
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  ending.after(async () => {
    server.close()
    cut()
    await once(server, 'close')
  })
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, cut }
}
