import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { NODE_LABEL } from '../../src/execution/engines/engine.ts'

const run = promisify(execFile)
const dockerTimeoutMs = 30_000

/** Where the nodes find the engine that set-up found: their own default, unless DOCKER_HOST says otherwise. */
export function engineSettings(host = process.env.DOCKER_HOST): Record<string, string> {
  if (host === undefined || host === '') return {}
  const [, socketPath] = /^unix:\/\/(\/.+)$/.exec(host) ?? []
  if (socketPath === undefined) {
    throw new Error(`Nodes reach the engine through a Unix socket, and DOCKER_HOST is ${host}`)
  }
  return { MAO_DOCKER_SOCKET_PATH: socketPath }
}

/** Removes what a node that was ended by force may have left in the engine. @returns how many containers that were. */
export async function removeContainersOf(peerIds: readonly string[]): Promise<number> {
  let removed = 0
  for (const peerId of peerIds) {
    const filter = ['ps', '-aq', '--filter', `label=${NODE_LABEL}=${peerId}`]
    const { stdout } = await run('docker', filter, { timeout: dockerTimeoutMs })
    const ids = stdout.split('\n').filter((id) => id !== '')
    if (ids.length > 0) await run('docker', ['rm', '-f', ...ids], { timeout: dockerTimeoutMs })
    removed += ids.length
  }
  return removed
}
