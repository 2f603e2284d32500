/**
 * Loaded into a node's process before the node itself (`node --import`): a door from the rest of the machine to the API
 * that the node serves on the loopback of its namespace. Paths of Unix sockets are the same in all network namespaces.
 */
import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const { NAMESPACE_DOOR: path = '', NAMESPACE_DOOR_PORT: port } = process.env

// A process that was killed leaves its socket behind.
rmSync(path, { force: true })
const door = createServer((caller) => {
  const api = connect(Number(port), '127.0.0.1')
  // Before the API is there, callers are hung up on; so are they when the node ends.
  api.on('error', () => caller.destroy()).on('close', () => caller.destroy())
  caller.on('error', () => api.destroy()).on('close', () => api.destroy())
  caller.pipe(api).pipe(caller)
})
// The node ends when it has nothing left to do, whoever may still come to the door.
door.listen(path).unref()
