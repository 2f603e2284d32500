import { clusterAddress, type RegistrySettings } from './cluster-address.ts'
import type { ClusterReplication, ClusterReplicationParts } from './cluster-replication.ts'

/**
 * Strong mode, where the settings name a cluster. What it needs is loaded then alone: its client is large.
 *
 * @throws NodeError INVALID_CONFIG
 */
export async function inCluster(
  settings: RegistrySettings,
  parts: Omit<ClusterReplicationParts, 'address'>,
): Promise<ClusterReplication | undefined> {
  const address = await clusterAddress(settings)
  if (address === undefined) return undefined
  const { ClusterReplication } = await import('./cluster-replication.ts')
  return new ClusterReplication({ address, ...parts })
}
