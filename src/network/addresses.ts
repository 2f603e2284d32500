/** Addresses of peers, as text: what they reach, and where they come from. All pure. */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { NodeError } from '../base/errors.ts'

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
