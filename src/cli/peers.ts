import type { Command } from 'commander'
import { type PeersView, type PeerView, peersSchema } from '../api/registry-views.ts'
import { type Output, spanText, timeText } from './output.ts'
import type { Act } from './session.ts'

export function peerCommands(program: Command, act: Act): void {
  program
    .command('peers')
    .description('list the other members and connected peers, and whether they hold the same registry')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const peers = await client.get('/peers', peersSchema)
        session.out.result(peers, () => render(session.out, peers, Date.now()))
      }),
    )
}

const DIGEST_CHARACTERS_SHOWN = 12
/** Peer ids all begin alike; it is the end that tells one from another. */
const PEER_CHARACTERS_SHOWN = 10

function render(out: Output, told: PeersView, nowMs: number): string {
  const rows = told.peers.map((peer) => [
    peer.name ?? 'a stranger',
    peer.peer.slice(-PEER_CHARACTERS_SHOWN),
    connectionText(peer, nowMs),
    addressText(peer),
    catchUpText(peer, nowMs),
    peer.registry.digest?.slice(0, DIGEST_CHARACTERS_SHOWN) ?? '-',
    registryText(out, peer, nowMs),
  ])
  const head = ['name', 'peer', 'connected', 'address', 'last catch-up', 'digest', 'registry']
  const table = rows.length === 0 ? [] : [out.table(head, rows), '']
  return [...table, ...clusterLines(told), summary(told)].join('\n')
}

function connectionText({ connected, connectedSinceMs, lastSeenMs }: PeerView, nowMs: number): string {
  if (connected) return connectedSinceMs === undefined ? 'yes' : `for ${spanText(nowMs - connectedSinceMs)}`
  return lastSeenMs === undefined ? 'no' : `no, last seen ${timeText(lastSeenMs)}`
}

/** The peer id at the end of an address stands in a column of its own. */
function addressText({ addresses: [first = '-', ...others], peer }: PeerView): string {
  const address = first.replace(`/p2p/${peer}`, '')
  return others.length === 0 ? address : `${address} (+${others.length})`
}

function catchUpText({ catchUp }: PeerView, nowMs: number): string {
  if (catchUp === undefined) return 'none yet'
  const { accepted, refused, pending, done, failure, startedMs, endedMs = nowMs } = catchUp
  const brought = `${accepted} accepted${refused === 0 ? '' : `, ${refused} refused`}`
  if (!done) return `running for ${spanText(nowMs - startedMs)}: ${brought}, ${pending} to compare`
  const ago = `${spanText(Math.max(0, nowMs - endedMs))} ago`
  return failure === undefined ? `${ago}: ${brought}` : `${ago}: ${brought}, then ${failure}`
}

function registryText(out: Output, { registry }: PeerView, nowMs: number): string {
  const { state, sinceMs } = registry
  if (state === 'same') return out.style('green', 'same')
  if (state === 'unknown') return 'not compared'
  return out.style('red', sinceMs === undefined ? 'differs' : `differs since ${spanText(nowMs - sinceMs)}`)
}

function clusterLines({ cluster }: PeersView): string[] {
  if (cluster === null) return []
  const at = cluster.endpoints.join(', ')
  const since = timeText(cluster.sinceMs)
  if (cluster.connected)
    return [`The etcd cluster at ${at} is followed since ${since}, to its revision ${cluster.revision}.`]
  const why = cluster.lastError === undefined ? '' : ` (${cluster.lastError})`
  return [`The etcd cluster at ${at} is out of reach since ${since}${why}; nothing shared can be written.`]
}

function summary({ same, differing, unknown, cluster, digest }: PeersView): string {
  const members = same + differing + unknown
  if (members === 0) return 'There are no other members yet.'
  // Members do not compare with each other where a cluster keeps the records for all of them.
  if (cluster !== null && same + differing === 0) return `${members} other members keep their registry there.`
  const peers = members === 1 ? 'peer holds' : 'peers hold'
  const own = digest.slice(0, DIGEST_CHARACTERS_SHOWN)
  const rest = unknown === 0 ? '' : `; ${unknown} not compared yet`
  return `${same} of ${members} ${peers} the same registry as this node (${own})${rest}.`
}
