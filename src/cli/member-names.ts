import { z } from 'zod'
import { memberSchema } from '../api/views.ts'
import type { ApiClient } from './client.ts'
import type { Session } from './session.ts'

/** Peer ids all begin alike; it is the end that tells one from another. */
const PEER_CHARACTERS_SHOWN = 10

/** What is said for a peer id, such as a member's name. */
export type NameOf = (peer: string) => string

/** People know members by their names; programs are told peer ids, and need not wait for more. */
export async function memberNames(session: Session, client: ApiClient): Promise<NameOf> {
  if (session.out.json || session.out.quiet) return shortPeer
  const members = await client.get('/federation/members', z.array(memberSchema))
  const names = new Map(members.map(({ peer, name }) => [peer, name]))
  return (peer) => names.get(peer) ?? shortPeer(peer)
}

/** Enough of a peer id for people to tell it from others; what is none stays. */
export function shortPeer(peer: string): string {
  return /^(?:12D3|16Uiu|Qm)/.test(peer) ? `…${peer.slice(-PEER_CHARACTERS_SHOWN)}` : peer
}

/** The peer id of a member that is told by its name; all else as it is. */
export async function peerOf(client: ApiClient, nameOrPeer: string): Promise<string> {
  const members = await client.get('/federation/members', z.array(memberSchema))
  return members.find(({ name }) => name === nameOrPeer)?.peer ?? nameOrPeer
}
