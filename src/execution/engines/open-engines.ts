import { statfs } from 'node:fs/promises'
import type { Logger } from '../../base/logger.ts'
import { DockerConnection } from './docker-connection.ts'
import { DockerEngine } from './docker-engine.ts'
import type { ContainerEngine } from './engine.ts'
import { Engines, LOCAL_ENGINE } from './engines.ts'
import { NetworkGuard } from './network-guard.ts'
import { type DockerSettings, plainEngine } from './settings.ts'
import { SwarmEngine } from './swarm-engine.ts'

/**
 * The engines of the settings; none of them has to be there.
 *
 * @throws NodeError INVALID_CONFIG when a certificate cannot be read.
 */
export async function openEngines(parts: {
  settings: DockerSettings
  /** The node's data directory. */
  directory: string
  /** This node's peer id. */
  peer: string
  log: Logger
}): Promise<Engines> {
  const { settings, directory, peer, log } = parts
  const { socketPath, bridge } = settings
  const named = new Map(Object.entries({ [LOCAL_ENGINE]: plainEngine(socketPath), ...settings.engines }))
  const engines = new Map<string, ContainerEngine>()
  const guards: NetworkGuard[] = []
  for (const [name, engine] of named) {
    const connection = await DockerConnection.open(engine, socketPath)
    const isLocal = engine.host === undefined
    const guard = new NetworkGuard({
      ...{ connection, peer, bridge, isLocal },
      engine: name,
      isVouched: engine.networkGuarded,
    })
    const sharesFiles = engine.sharedDirectory ?? isLocal
    const docker = new DockerEngine({ connection, sharesFiles, guard })
    const isSwarm = engine.swarm === 'auto'
    engines.set(name, isSwarm ? new SwarmEngine({ docker, connection, settings: engine, log }) : docker)
    if (isLocal) guards.push(guard)
  }
  const diskBytes = async () => {
    const { blocks, bsize } = await statfs(directory)
    return blocks * bsize
  }
  return new Engines(engines, { settings: named, diskBytes, guards, log })
}
