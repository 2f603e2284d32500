/** Addresses of peers, as text: what they reach, and where they come from. All pure. */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { NodeError } from '../base/errors.ts'
import { addressesPerRelayMax, addressesToldMax } from '../base/limits.ts'
import { whyNotPublic } from '../base/public-address.ts'

/** True for a multiaddress that only this machine can reach. */
export function isLoopback(address: string): boolean {
  return /^\/(?:ip4\/127\.|ip6\/::1\/|dns4?\/localhost\/)/.test(address)
}

/** @throws NodeError INVALID_INPUT */
export function parseAddress(address: string): Multiaddr {
  try {
    return multiaddr(address)
  } catch (cause) {
    const message = `"${address}" is no multiaddress; one looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…`
    throw new NodeError('INVALID_INPUT', message, { address }, { cause })
  }
}

const FREE_PORT = /^(\/(ip[46])\/[^/]+)\/tcp\/0$/

/**
 * The addresses to listen on, those that asked for a free port with the port that they got: a host that begins anew
 * keeps the addresses that others know it by.
 *
 * @param listening the addresses that are listened on.
 */
export function withPorts(listen: readonly string[], listening: readonly string[]): string[] {
  const taken = new Set<string>()
  return listen.map((address) => {
    const [, host, family] = FREE_PORT.exec(address) ?? []
    if (host === undefined) return address
    const wildcard = /\/(?:0\.0\.0\.0|::)$/.test(host)
    const candidates = listening.flatMap((actual) => {
      const [, at = '', port = ''] = /^(\/ip[46]\/[^/]+)\/tcp\/(\d+)/.exec(actual) ?? []
      const fits = wildcard ? at.startsWith(`/${family}/`) : at === host
      return fits && port !== '' && !taken.has(`${family}:${port}`) ? [port] : []
    })
    const [port] = candidates
    if (port === undefined) return address
    taken.add(`${family}:${port}`)
    return `${host}/tcp/${port}`
  })
}

/** True for an address that leads through a relay. */
export function isCircuit(address: string): boolean {
  return address.includes('/p2p-circuit')
}

/** The relay of such an address. */
export function relayOf(address: string): string | undefined {
  return /\/p2p\/([A-Za-z0-9]+)\/p2p-circuit/.exec(address)?.[1]
}

/** Those of a node's own addresses that others are told: a relay may name any number, and of any place. Pure. */
export function toldOf(addresses: readonly Multiaddr[]): Multiaddr[] {
  const relayed = new Map<string, number>()
  const told = addresses.filter((address) => {
    const relay = relayOf(address.toString())
    if (relay === undefined) return true
    const count = (relayed.get(relay) ?? 0) + 1
    relayed.set(relay, count)
    return count <= addressesPerRelayMax
  })
  // Those of its own come first, since others try them first.
  const own = told.filter((address) => !isCircuit(address.toString()))
  return [...own, ...told.filter((address) => !own.includes(address))].slice(0, addressesToldMax)
}

/** The peer that an address ends in. */
export function peerOf(address: string): string | undefined {
  return /\/p2p\/([A-Za-z0-9]+)$/.exec(address)?.[1]
}

/** True for an address that is dialled directly from anywhere: a name, or an IP address outside the private ranges. */
export function isPublic(address: string): boolean {
  if (isCircuit(address) || isLoopback(address)) return false
  if (/^\/dns(?:4|6|addr)?\//.test(address))
    return !/\.(?:local|internal|lan|home\.arpa)(?:\/|$)/.test(address)
  const ip = /^\/ip[46]\/([^/]+)/.exec(address)?.[1]
  return ip !== undefined && whyNotPublic(ip) === undefined
}

/** The address with the id of the peer that is to answer there. */
export function withPeer(address: string, peer: string): string {
  return address.endsWith(`/p2p/${peer}`) ? address : `${address}/p2p/${peer}`
}
