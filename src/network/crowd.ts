/** Who gets a connection when many want one (network.md [W7]). Pure. */
import {
  connectionsPerMemberMax,
  idleStrangerMs,
  strangersMax,
  strangersPerAddressMax,
  strangersPerPeerMax,
} from '../base/limits.ts'

export interface Guest {
  readonly peer: string
  /** Multiaddress of the other end. */
  readonly address: string
  readonly sinceMs: number
  readonly outbound: boolean
  readonly busy: boolean
}

export interface CrowdFacts {
  readonly peer: string
  readonly address: string
  readonly connections: readonly Guest[]
  readonly isMember: (peer: string) => boolean
  readonly nowMs: number
}

/**
 * Whether a peer that comes in is let in, and whom that costs its place. Strangers never have more than half of the
 * places, so that there is always one for a member; when theirs are taken, one of them who asks for nothing goes.
 */
export function roomFor(facts: CrowdFacts): { admitted: boolean; ends?: string } {
  const { peer, address, connections, isMember, nowMs } = facts
  const own = connections.filter((one) => one.peer === peer).length
  if (isMember(peer)) return { admitted: own < connectionsPerMemberMax }
  if (own >= strangersPerPeerMax) return { admitted: false }
  const strangers = connections.filter((one) => !one.outbound && !isMember(one.peer))
  const source = sourceOf(address)
  if (strangers.filter((one) => sourceOf(one.address) === source).length >= strangersPerAddressMax)
    return { admitted: false }
  if (strangers.length < strangersMax) return { admitted: true }
  const [idle] = strangers
    .filter(({ busy, sinceMs }) => !busy && sinceMs + idleStrangerMs <= nowMs)
    .sort((a, b) => a.sinceMs - b.sinceMs)
  return idle === undefined ? { admitted: false } : { admitted: true, ends: idle.peer }
}

/** Where a connection comes from: an IPv4 address, or the network of 64 bits that one customer is given of IPv6. */
function sourceOf(address: string): string {
  const [, family, ip = ''] = /^\/(ip[46])\/([^/]+)/.exec(address) ?? []
  if (family !== 'ip6' || ip.startsWith('::ffff:')) return ip
  const [head = '', tail] = ip.split('::')
  const left = head.split(':').filter((group) => group !== '')
  const right = (tail ?? '').split(':').filter((group) => group !== '')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':')
}
