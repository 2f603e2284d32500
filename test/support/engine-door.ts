import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { DOCKER_SOCKET } from './execution-room.ts'

/** A way to the real engine that can be shut, as when its service ends, and opened again. */
export interface EngineDoor {
  readonly socketPath: string
  open(): Promise<void>
  shut(): Promise<void>
}

export async function engineDoor(t: Pick<TestContext, 'after'>, socketPath: string): Promise<EngineDoor> {
  const through = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = createConnection({ path: DOCKER_SOCKET, allowHalfOpen: true })
    for (const socket of [near, far]) {
      through.add(socket)
      // A cut is what this is for.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        through.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  const open = async () => {
    server.listen(socketPath)
    await once(server, 'listening')
  }
  const shut = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of through) socket.destroy()
    await closed
  }
  t.after(shut)
  await open()
  return { socketPath, open, shut }
}
