import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase, table } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { DatasetAccess } from '../../src/datasets/dataset-access.ts'
import type { DatasetEvent } from '../../src/datasets/dataset-events.ts'
import type { Pace } from '../../src/datasets/dataset-rooms.ts'
import { Datasets } from '../../src/datasets/datasets.ts'
import type { HeadRecord } from '../../src/datasets/heads.ts'
import { type DatasetsSettings, datasetsSettingsSchema } from '../../src/datasets/settings.ts'
import type { BackendChoice } from '../../src/datasets/shelf.ts'
import type { UpstreamSettings } from '../../src/datasets/upstream/upstreams.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import { type RegistryNode, type RegistryNodeOptions, startRegistryNode } from './registry-node.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A member with a registry, a network and its datasets, and nothing above. */
export interface DatasetNode extends RegistryNode {
  readonly access: DatasetAccess
  readonly datasets: Datasets
  readonly events: DatasetEvent[]
}

export interface DatasetNodeOptions extends RegistryNodeOptions {
  readonly backend?: BackendChoice
  readonly settings?: Partial<DatasetsSettings>
  readonly upstreams?: Partial<UpstreamSettings>
  /** How fast copies change hands, ms. */
  readonly pace?: Pace
  readonly usedBy?: (dataset: string) => string | undefined
  /** The members that are there; without it those that are connected. */
  readonly live?: () => readonly string[]
}

export async function startDatasetNode(
  test: TestContext,
  options: DatasetNodeOptions = {},
): Promise<DatasetNode> {
  // Before the node below has said the same, so that what stands on it stops first.
  let stop = async (): Promise<void> => undefined
  test.after(() => stop())
  const node = await startRegistryNode(test, options)
  const { network, registry, members, database } = node
  const self = node.identity.peerId
  const clock = options.clock ?? systemClock
  const access = new DatasetAccess({ registry, members, self, clock, log: silentLogger })
  const datasets = new Datasets({
    directory: join(node.directory, 'datasets'),
    backend: options.backend ?? 'native',
    settings: datasetsSettingsSchema.parse(options.settings ?? {}),
    upstreams: {
      sshDirectory: join(node.directory, 'ssh'),
      credentialsFile: '',
      caFile: '',
      allowHttp: false,
      ...options.upstreams,
    },
    database,
    registry,
    members,
    access,
    streams: network,
    onConnect: (connected) => network.onConnect(connected),
    ...(options.pace === undefined ? {} : { pace: options.pace }),
    ...(options.usedBy === undefined ? {} : { usedBy: options.usedBy }),
    ...(options.live === undefined ? {} : { live: options.live }),
    clock,
    log: silentLogger,
  })
  const events: DatasetEvent[] = []
  datasets.onEvent((event) => events.push(event))
  await datasets.start()
  let stopped: Promise<void> | undefined
  stop = () => {
    stopped ??= datasets.stop().then(() => node.stop())
    return stopped
  }
  return { ...node, access, datasets, events, stop }
}

/** Admits a new node and connects it; it knows all that the founder knows. */
export async function joinDatasetNode(
  test: TestContext,
  founder: DatasetNode,
  name: string,
  options: DatasetNodeOptions = {},
): Promise<DatasetNode> {
  const node = await startDatasetNode(test, { genesis: founder.genesis, ...options })
  await founder.members.admit(node.identity.peerId, name, 'member')
  await meet(node, founder)
  return node
}

export async function meet(node: DatasetNode, other: DatasetNode): Promise<void> {
  await node.network.dial(other.network.addresses())
  await node.sync.pullNow(other.identity.peerId)
}

/** The same node again, on the disk of one that was stopped. */
export function restartDatasetNode(
  test: TestContext,
  { genesis, directory }: DatasetNode,
  options: DatasetNodeOptions = {},
): Promise<DatasetNode> {
  return startDatasetNode(test, { genesis, directory, ...options })
}

/** Empties the registry of a node that is stopped, and leaves all else that it remembers. */
export async function loseRegistry({ directory }: DatasetNode): Promise<void> {
  const database = await openDatabase(directory)
  for (const name of ['registry', 'versions', 'leases', 'progress']) await table(database, name).clear()
  await database.close()
}

/** Writes a head as a member would that keeps no rules; what is not named is as it should be. */
export async function forgeHead(
  node: DatasetNode,
  dataset: string,
  head: Partial<HeadRecord>,
): Promise<HeadRecord> {
  const key = `/heads/${dataset}/${node.identity.peerId}`
  const before = node.registry.get(key)
  const { sequence = 0 } = before === undefined ? {} : (decodeJson(before.value) as HeadRecord)
  const { id } = await node.datasets.show(dataset)
  const forged = { dataset: id, sequence: sequence + 1, branches: {}, previous: null, ...head }
  await node.registry.put(key, encodeJson(forged))
  return forged
}

/** A new directory with these files. */
export async function directoryOf(
  test: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<string> {
  const directory = await temporaryDirectory(test)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), content)
  }
  return directory
}

export const noise = (bytes: number): Buffer => randomBytes(bytes)
