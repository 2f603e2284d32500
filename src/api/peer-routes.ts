import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { PeerDigest, SyncProgress } from '../registry/sync-ledger.ts'
import type { ApiNode } from './api-node.ts'
import type { PeerConnection } from './meters.ts'
import { type PeersView, type PeerView, peersSchema } from './registry-views.ts'
import { newRoutes, tells, withoutUndefined } from './routing.ts'

const peers = createRoute({
  method: 'get',
  path: '/peers',
  summary: 'With whom this node shares the registry, and who holds the same as it does',
  responses: tells(peersSchema, 'Members but this node, then strangers that are connected'),
})

export function peerRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(peers, (c) => c.json(peersView(node), 200))
  return routes
}

/** What is known here of the other members' registries. A comparison is as old as the last catch-up. */
export function peersView(node: ApiNode): PeersView {
  const { registry, members, presences, sync, cluster } = node.federation
  const digest = registry.digest()
  const connections = connectionsOf(node)
  const pulled = new Map((sync?.progress() ?? []).map((progress) => [progress.peer, progress]))
  const compared = new Map((sync?.digests() ?? []).map((told) => [told.peer, told]))
  const others = members.list().filter((member) => member.peer !== node.peerId)
  const strangers = [...connections.keys()].filter((peer) => members.get(peer) === undefined)
  const view = (peer: string): PeerView => {
    const connection = connections.get(peer)
    const { lastSeenMs, addresses, version } = presences.seen(peer)
    const member = members.get(peer)
    const facts = withoutUndefined({
      name: member?.name,
      role: member?.role,
      connectedSinceMs: connection?.sinceMs,
      lastSeenMs,
      version,
      catchUp: catchUpOf(pulled.get(peer)),
    })
    return {
      peer,
      connected: connection !== undefined,
      // The address that is in use says more than those that it told of itself.
      addresses: connection?.address === undefined ? [...addresses] : [connection.address],
      ...facts,
      registry: comparisonOf(compared.get(peer), digest),
    } as PeerView
  }
  const told = [...others.map(({ peer }) => view(peer)), ...strangers.map(view)]
  const count = (state: PeerView['registry']['state']) =>
    told.filter(({ name, registry }) => name !== undefined && registry.state === state).length
  return {
    digest,
    revision: registry.revision,
    records: registry.index.size,
    same: count('same'),
    differing: count('differs'),
    unknown: count('unknown'),
    cluster: cluster?.state() ?? null,
    peers: told,
  }
}

function connectionsOf(node: ApiNode): Map<string, Partial<PeerConnection>> {
  const connected = node.connectedPeers().map((peer): [string, Partial<PeerConnection>] => [peer, { peer }])
  const known = node.connections()
  return new Map([...connected, ...known.map((each): [string, Partial<PeerConnection>] => [each.peer, each])])
}

function catchUpOf(progress: SyncProgress | undefined): PeerView['catchUp'] | undefined {
  if (progress === undefined) return undefined
  const { peer, ...told } = progress
  return told
}

/**
 * What the peer said last, beside what is here now: the catch-up that found a difference has taken it away since, where
 * it was complete. Two nodes that were the same are taken to be so until the next comparison: what one of them writes in
 * between is on its way to the other.
 */
export function comparisonOf(
  told: (PeerDigest & { readonly sinceMs?: number }) | undefined,
  digest: string,
): PeerView['registry'] {
  if (told === undefined) return { state: 'unknown' }
  const { digest: theirs, seenMs } = told
  if (told.same || theirs === digest) return { state: 'same', digest: theirs, seenMs }
  return { state: 'differs', digest: theirs, seenMs, sinceMs: told.sinceMs ?? seenMs }
}
