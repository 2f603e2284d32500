import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { dialTimeoutMs, requestContactsMax, requestPeersAskedMax } from '../base/limits.ts'
import { withPeer } from '../network/addresses.ts'
import type { Network } from '../network/network.ts'
import { wantedFrom } from '../network/supervisor.ts'
import { type Genesis, openGenesis } from './genesis.ts'
import { failed, heard, isOpen, type Petition } from './petition.ts'
import { ask } from './questions.ts'

/** What a node's owner says when it asks to be admitted. */
export interface Wish {
  /** Its id, where it is known: an answer of another federation is then not taken. */
  readonly federation?: string
  /** Where members answer; without any, whoever is connected is asked. */
  readonly addresses?: readonly string[]
  /** To the operators. */
  readonly message?: string
  /** How the operators can reach the person behind the node. */
  readonly contact?: string
}

export type Outcome = { readonly petition: Petition } | { readonly genesis: Genesis; readonly peer: string }

/** Where to ask: at the addresses that were named, else of whoever claims to be of the federation, else of who is near. */
export async function whereToAsk(
  network: Pick<Network, 'find' | 'connections'>,
  { federation, addresses }: Wish,
): Promise<string[]> {
  if (addresses !== undefined && addresses.length > 0) return [...addresses]
  // Only the genesis that comes with an admission proves that they are [J5].
  const signal = AbortSignal.timeout(dialTimeoutMs)
  // A table that does not answer in time leaves those who are near.
  const found = federation === undefined ? [] : await network.find(federation, signal).catch(() => [])
  const near = network.connections().map(({ peer, address }) => ({ peer, addresses: [address] }))
  return [...found, ...near].flatMap(({ peer, addresses: known }) => known.map((one) => withPeer(one, peer)))
}

/** @throws NodeError INVALID_INPUT when nobody could be asked. */
export function wishToPetition(wish: Wish, where: readonly string[], nowMs: number): Petition {
  const { federation, message = '', contact = '' } = wish
  const addresses = where.slice(0, requestContactsMax)
  if (wantedFrom(addresses).length === 0) {
    const help =
      'Nobody is known who could be asked: name a member with --address /ip4/…/tcp/…/p2p/12D3Koo…, or a listing with --listing NAME'
    throw new NodeError('INVALID_INPUT', help)
  }
  const known = federation === undefined ? {} : { federation }
  return { state: 'asking', ...known, addresses, message, contact, sinceMs: nowMs, asked: 0, contacts: [] }
}

/**
 * Asks the members that a petition knows, one after another, until one gives an answer that counts.
 *
 * @returns the petition as it stands then, or the genesis of the federation that has admitted this node.
 */
export async function askAround(
  network: Pick<Network, 'dial' | 'open'>,
  petition: Petition,
  name: string,
  now: () => number,
): Promise<Outcome> {
  const { federation, message, contact } = petition
  const question = {
    kind: 'request' as const,
    name,
    message,
    contact,
    ...(federation === undefined ? {} : { federation }),
  }
  const peers = wantedFrom(petition.addresses)
  let last = failed(petition, 'Nobody has answered yet', now())
  // Turn by turn, so that some who are away do not keep us from the others.
  const first = petition.asked % Math.max(1, peers.length)
  for (const { addresses } of [...peers.slice(first), ...peers.slice(0, first)].slice(
    0,
    requestPeersAskedMax,
  )) {
    try {
      const peer = await network.dial(addresses)
      const answer = await ask(network, peer, question)
      // [J5] An admission into another federation than the one asked is none.
      if (answer.kind === 'admitted') return { genesis: await openGenesis(answer.genesis, federation), peer }
      const next = heard(petition, answer, now())
      if (next === undefined) continue
      if (next.state !== petition.state || answer.kind === 'pending' || !isOpen(next))
        return { petition: next }
      last = next
    } catch (error) {
      if (isNodeError(error, 'INTERNAL')) throw error
      last = failed(petition, messageOf(error), now())
    }
  }
  return { petition: last }
}
