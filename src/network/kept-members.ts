import { createHash } from 'node:crypto'
import { idleConnectionMs, membersKeptMax, operatorsKeptMax, peersConnectedMax } from '../base/limits.ts'
import type { Wanted } from './supervisor.ts'

export interface MembersToKeep {
  readonly self: string
  /** The other members. */
  readonly members: readonly Wanted[]
  readonly connected: ReadonlySet<string>
  readonly isOperator: (peer: string) => boolean
  /** Connections that this node keeps by itself. */
  readonly kept?: number
}

/**
 * Which members to dial now (network.md N1). In a small federation everybody is connected with everybody; in a large one
 * each node keeps a bounded number of connections: a few operators, and others chosen at random but the same each time,
 * by the hash of both ids, so that both ends choose alike and nothing is dropped and dialled anew. Pure.
 *
 * @returns those without a connection in the order of choice, and how many of them are wanted: who does not answer makes
 * room for the next.
 */
export function membersToDial(facts: MembersToKeep): { missing: Wanted[]; most: number } {
  const { self, members, connected, isOperator, kept = membersKeptMax } = facts
  const bonds = new Map(members.map(({ peer }) => [peer, bond(self, peer)]))
  const ranked = [...members].sort((a, b) => compare(bonds.get(a.peer) ?? '', bonds.get(b.peer) ?? ''))
  const operators = ranked.filter(({ peer }) => isOperator(peer)).slice(0, operatorsKeptMax)
  const first = new Set(operators)
  const isMissing = ({ peer }: Wanted) => !connected.has(peer)
  const missingOperators = operators.filter(isMissing)
  const others = ranked.filter((one) => !first.has(one) && isMissing(one))
  const standing = ranked.filter(({ peer }) => connected.has(peer)).length
  const room = Math.max(0, kept - standing - missingOperators.length)
  return { missing: [...missingOperators, ...others], most: missingOperators.length + room }
}

export interface Standing {
  readonly peer: string
  /** We dialled it. */
  readonly outbound: boolean
  /** Something of ours goes over it at the moment. */
  readonly busy: boolean
  readonly sinceMs: number
}

export interface ConnectionsToRelease extends MembersToKeep {
  readonly connections: readonly Standing[]
  /** Others that are to stay: relays, first contacts. */
  readonly needed: ReadonlySet<string>
  readonly nowMs: number
}

/**
 * Whom to hang up on: searches of the distributed table and single requests leave connections behind, which nobody else
 * ends. Only what this node opened itself, did not choose to keep and does not use goes, and only above the bound, so
 * that the other end, which may have chosen this node, is not cut off. Pure.
 */
export function peersToRelease(facts: ConnectionsToRelease): string[] {
  const { connections, needed, nowMs } = facts
  const peers = new Set(connections.map(({ peer }) => peer))
  const excess = peers.size - peersConnectedMax
  if (excess <= 0) return []
  const { missing, most } = membersToDial({ ...facts, connected: new Set() })
  const chosen = new Set(missing.slice(0, most).map(({ peer }) => peer))
  const held = new Set(connections.filter((one) => !one.outbound || one.busy).map(({ peer }) => peer))
  const free = connections
    .filter(
      ({ peer, sinceMs }) =>
        !held.has(peer) && !chosen.has(peer) && !needed.has(peer) && sinceMs + idleConnectionMs <= nowMs,
    )
    .sort((a, b) => a.sinceMs - b.sinceMs)
  return [...new Set(free.map(({ peer }) => peer))].slice(0, excess)
}

/** The same from either end. */
function bond(a: string, b: string): string {
  return createHash('sha256')
    .update(a < b ? `${a} ${b}` : `${b} ${a}`)
    .digest('hex')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
