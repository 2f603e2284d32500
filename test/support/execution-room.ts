import { mkdir } from 'node:fs/promises'
import type { z } from 'zod'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { NodeError } from '../../src/base/errors.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { Datasets } from '../../src/datasets/datasets.ts'
import { type DatasetsSettings, datasetsSettingsSchema } from '../../src/datasets/settings.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import type { ContainerEngine } from '../../src/execution/engines/engine.ts'
import { Engines, LOCAL_ENGINE } from '../../src/execution/engines/engines.ts'
import { Execution } from '../../src/execution/execution.ts'
import { SEALING_PURPOSE, SealedValues } from '../../src/execution/secrets/sealed-values.ts'
import { type ExecutionSettings, executionSettingsSchema } from '../../src/execution/settings.ts'
import { createGenesis } from '../../src/federation/genesis.ts'
import { Members } from '../../src/federation/members.ts'
import { FederationMemory } from '../../src/federation/memory.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { derivedKey } from '../../src/identity/derived-key.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { notificationSettingsSchema } from '../../src/monitoring/settings.ts'
import type { Streams } from '../../src/network/network.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'

export const DOCKER_SOCKET = '/var/run/docker.sock'
const MIB = 1024 ** 2

/** The defaults, but small: what reaches a limit in a test does so soon. */
export const SETTINGS: ExecutionSettings = executionSettingsSchema.parse({
  stepTimeoutMs: 20_000,
  memoryBytes: 64 * MIB,
  cpus: 1,
  pids: 64,
  outputBytes: 64 * MIB,
  concurrency: 1,
})

export interface ExecutionRoom {
  readonly execution: Execution
  readonly registry: Registry
  readonly datasets: Datasets
  readonly engine: ContainerEngine
  readonly peer: string
  stop(): Promise<void>
}

export interface ExecutionRoomOptions {
  readonly settings?: Partial<ExecutionSettings>
  readonly datasets?: Partial<DatasetsSettings>
  readonly notifications?: z.input<typeof notificationSettingsSchema>
  readonly socketPath?: string
  /** Instead of the one behind `socketPath`. */
  readonly engines?: Engines
  readonly environment?: Record<string, string>
  readonly log?: Logger
}

/** Options of a room that has the publisher `shelf`, a folder. */
export function shelfIn(directory: string | undefined): ExecutionRoomOptions {
  if (directory === undefined) return {}
  const { publishers } = executionSettingsSchema.parse({
    publishers: { shelf: { kind: 'folder', directory } },
  })
  return { settings: { publishers } }
}

/**
 * A founder's execution on a real registry, real repositories and the real engine, without a network. The same
 * directory may be opened again, as after a crash.
 */
export async function openExecutionRoom(
  directory: string,
  options: ExecutionRoomOptions = {},
): Promise<ExecutionRoom> {
  const [clock, log, running] = [systemClock, options.log ?? silentLogger, new StopStack()]
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const identity = await loadIdentity(directory)
  const database = await openDatabase(directory)
  running.push('database', () => database.close())
  const memory = new FederationMemory(database)
  const founding = { name: 'fed', description: '', founderName: 'alice', createdMs: clock.now() }
  const remembered = await memory.recall()
  const genesis = remembered?.genesis ?? (await createGenesis(founding, identity))
  if (remembered === undefined) await memory.remember({ genesis, contacts: [] })
  const policy = new FederationPolicy()
  const store = new RecordStore(database)
  const { federation } = genesis
  const registry = new Registry({ federation, identity, store, policy, clock, log })
  const members = new Members({ registry, genesis, self: identity.peerId, clock, log })
  policy.use(members)
  await running.start('registry', registry)
  const datasets = new Datasets({
    ...{ registry, members, database, clock, log, streams: nobody(identity.peerId) },
    settings: datasetsSettingsSchema.parse(options.datasets ?? {}),
    upstreams: { sshDirectory: `${directory}/ssh`, credentialsFile: '', caFile: '', allowHttp: false },
    directory: `${directory}/datasets`,
    backend: 'native',
    onConnect: () => () => undefined,
  })
  await running.start('datasets', datasets)
  const socketPath = options.socketPath ?? DOCKER_SOCKET
  const engine = new DockerEngine({ socketPath })
  const execution = new Execution({
    engines: options.engines ?? new Engines(new Map([[LOCAL_ENGINE, engine]])),
    ...{ registry, members, datasets, database, directory, clock, log },
    sealed: new SealedValues({ database, key: derivedKey(identity.privateKey, SEALING_PURPOSE) }),
    settings: { ...SETTINGS, ...options.settings },
    notifications: notificationSettingsSchema.parse(options.notifications ?? {}),
    keyFor: (purpose) => derivedKey(identity.privateKey, purpose),
    dockerSocketPath: socketPath,
    environment: options.environment ?? {},
    peer: identity.peerId,
    live: () => [identity.peerId],
    quorumOf: (count) => count,
  })
  await running.start('execution', execution)
  return { execution, registry, datasets, engine, peer: identity.peerId, stop: () => running.unwind() }
}

/** The network of a node that has no peers. */
function nobody(peerId: string): Streams {
  return {
    peerId,
    handle: async () => async () => undefined,
    open: async (peer) => {
      throw new NodeError('PEER_UNREACHABLE', `${peer} is not connected`)
    },
    connectedPeers: () => [],
  }
}
