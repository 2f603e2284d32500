import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { dialTimeoutMs, requestContactsMax, requestPeersAskedMax, requestWithdrawMs } from '../base/limits.ts'
import { withDeadline } from '../base/wait.ts'
import { withPeer } from '../network/addresses.ts'
import type { Network } from '../network/network.ts'
import { type Wanted, wantedFrom } from '../network/supervisor.ts'
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
  network: Pick<Network, 'dial' | 'dialled' | 'open'>,
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
  let last = failed(petition, 'Nobody has answered yet', now())
  let no: Petition | undefined
  for (const { addresses } of turnOf(petition)) {
    try {
      const peer = await network.dial(addresses)
      const answer = await ask(network, peer, question)
      // [J5] An admission into another federation than the one asked is none.
      if (answer.kind === 'admitted') {
        return { genesis: refusePrivate(await openGenesis(answer.genesis, federation)), peer }
      }
      const told = answer.kind === 'pending' ? { addresses: network.dialled(answer.addresses) } : {}
      const next = heard(petition, { ...answer, ...told }, now())
      if (next?.state === 'pending' && answer.kind === 'pending') return { petition: next }
      // [J11] Whoever answers may be a liar: a no counts when none of the others says otherwise.
      if (next !== undefined && !isOpen(next) && answer.kind !== 'pending') no ??= next
      else if (next !== undefined) last = next
    } catch (error) {
      if (isNodeError(error, 'INTERNAL')) throw error
      last = failed(petition, whyNot(error), now())
    }
  }
  return { petition: no ?? last }
}

/** Tells the members that a petition knows that it is taken back, all at once; who is away does not hear of it. */
export async function withdrawAround(
  network: Pick<Network, 'dial' | 'open'>,
  petition: Petition,
): Promise<void> {
  const { federation } = petition
  if (federation === undefined) return
  const telling = turnOf(petition).map(async ({ addresses }) => {
    return ask(network, await network.dial(addresses), { kind: 'withdraw', federation })
  })
  // [boundary] It is taken back whether or not they hear of it; operators then decide about nobody.
  await withDeadline(Promise.allSettled(telling), requestWithdrawMs, 'Telling members').catch(() => undefined)
}

/** Turn by turn, so that some who are away do not keep us from the others. */
function turnOf({ addresses, asked }: Petition): Wanted[] {
  const peers = wantedFrom(addresses)
  const first = asked % Math.max(1, peers.length)
  return [...peers.slice(first), ...peers.slice(0, first)].slice(0, requestPeersAskedMax)
}

/** [J15] Whom a request would let in without its network's key would meet nobody there. */
function refusePrivate(genesis: Genesis): Genesis {
  if (!genesis.private) return genesis
  throw new NodeError('FORBIDDEN', `${genesis.name} is private and admits by invitation alone`)
}

/** The words of libraries tell nobody what to do. */
function whyNot(error: unknown): string {
  if (!isNodeError(error, 'PEER_UNREACHABLE') && !isNodeError(error, 'STREAM_CLOSED')) return messageOf(error)
  return 'The member did not answer; one that counts this node as a former member lets it in again after half a minute'
}
