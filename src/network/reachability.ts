/**
 * Whether and how a node can be reached, from what is known of it (network.md §3). Pure: the words and the advice are
 * part of the decision, so that the same facts always tell people the same.
 */
import { isCircuit, isLoopback, isPublic, relayOf } from './addresses.ts'

/**
 * `public`: others dial an address of this machine. `forwarded`: they dial one of a router or one that was announced,
 * which leads here. `relayed`: they come through a relay. `outbound-only`: nobody outside can come; this node goes to
 * them. `local`: as far as is known there is nobody outside, only this machine or its own network.
 */
export type ReachStatus = 'public' | 'forwarded' | 'relayed' | 'outbound-only' | 'local'

export interface Reachability {
  readonly status: ReachStatus
  /** Those that others are told, the best first. */
  readonly addresses: readonly string[]
  /** Peer ids of the relays that keep a place for this node. */
  readonly relays: readonly string[]
  /** What the router did: nothing was asked, no answer, or the address that it forwards. */
  readonly upnp: 'off' | 'no-answer' | { readonly address: string }
  /** One or two sentences for people. */
  readonly words: string
  /** What to type or to do to be reached better; empty when nothing is amiss. */
  readonly advice: readonly string[]
}

/** True for a node that anybody can dial. */
export function isOutside(reachability: Pick<Reachability, 'status'> | undefined): boolean {
  return reachability?.status === 'public' || reachability?.status === 'forwarded'
}

export interface ReachFacts {
  readonly listen: readonly string[]
  /** Settings `announce`. */
  readonly announce: readonly string[]
  /** The addresses that others are told. */
  readonly addresses: readonly string[]
  /** Addresses outside that lead here by a router's word (UPnP), or that others have dialled (AutoNAT). */
  readonly mapped: readonly string[]
  readonly upnp: boolean
  /** When somebody from outside last connected to this node directly, ms since the epoch. */
  readonly inboundMs?: number
  /** True while this node is connected with somebody outside its own network. */
  readonly outside: boolean
  /** True when this node keeps places on relays. */
  readonly relayed: boolean
}

export function reachabilityOf(facts: ReachFacts): Reachability {
  const { announce, mapped, addresses } = facts
  const relays = [...new Set(addresses.filter(isCircuit).flatMap((address) => relayOf(address) ?? []))]
  const [forwarded] = mapped
  const upnp = !facts.upnp ? 'off' : forwarded === undefined ? 'no-answer' : { address: forwarded }
  const common = { addresses: bestFirst(addresses), relays, upnp } as const
  const own = addresses.filter((address) => !isCircuit(address))

  if (announce.length > 0) {
    const seen = facts.inboundMs === undefined ? ', which nobody from outside has used yet' : ''
    const words = `Others are told ${announce.join(' and ')} (setting announce)${seen}.`
    return { ...common, status: 'forwarded', words, advice: facts.inboundMs === undefined ? TRY_IT : [] }
  }
  if (forwarded !== undefined) {
    return {
      ...common,
      status: 'forwarded',
      words: `The router forwards ${forwarded} to this node.`,
      advice: [],
    }
  }
  const [open] = own.filter(isPublic)
  if (open !== undefined) {
    const proven = facts.inboundMs !== undefined
    const words = proven
      ? `Others reach this node at ${open}.`
      : `This node has a public address, ${open}; nobody from outside has used it yet.`
    return { ...common, status: 'public', words, advice: proven ? [] : TRY_IT }
  }
  if (facts.listen.every(isLoopback)) {
    const words = 'Only programs on this machine can reach this node: it listens on loopback alone.'
    return { ...common, status: 'local', words, advice: [LISTEN] }
  }
  if (facts.inboundMs !== undefined) {
    const words =
      'Somebody from outside connected to this node directly, so a router forwards its port; which address that is nobody has told.'
    return { ...common, status: 'forwarded', words, advice: [ANNOUNCE] }
  }
  if (relays.length > 0) {
    const count = relays.length === 1 ? 'a relay' : `${relays.length} relays`
    const words = `This node cannot be dialled from outside; others reach it through ${count}: ${relays.join(', ')}.`
    return { ...common, status: 'relayed', words, advice: [FORWARD] }
  }
  if (facts.outside) {
    const words =
      'This node reaches others, but nobody outside its own network can reach it, and no relay keeps a place for it.'
    const ask = facts.relayed ? ASK_RELAY : LET_RELAY
    return { ...common, status: 'outbound-only', words, advice: [ask, FORWARD] }
  }
  const words = 'This node can be reached on its own network; of an outside nothing is known yet.'
  return { ...common, status: 'local', words, advice: [ANNOUNCE] }
}

const LISTEN =
  'To be reached by others, listen beyond loopback: maoctl instance start --listen /ip4/0.0.0.0/tcp/4001'
const ANNOUNCE =
  'If others outside are to reach this node, say by which address: maoctl instance start --announce /ip4/ADDRESS/tcp/PORT'
const FORWARD =
  'To be reached directly, forward the port on the router to this machine and say so: maoctl instance start --announce /ip4/ADDRESS/tcp/PORT'
const ASK_RELAY =
  'Ask an operator whose node can be reached to relay: with MAO_NETWORK_RELAY=always, or as it is by default with an announced address'
const LET_RELAY = 'Let relays be used: remove the setting network.relayed, or set it to auto'
const TRY_IT = [
  'To make sure of it, dial that address from outside; a firewall on the way would have to let its port through',
]

/** What outsiders can dial before what only neighbours can, and relays last. */
function bestFirst(addresses: readonly string[]): string[] {
  const rank = (address: string) =>
    isCircuit(address) ? 2 : isPublic(address) ? 0 : isLoopback(address) ? 3 : 1
  return [...addresses].sort((a, b) => rank(a) - rank(b))
}
