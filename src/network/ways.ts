/**
 * Which addresses this node dials (network.md W9). What others tell, in presences, the distributed table or answers, is
 * dialled only where it leads out or into a network that this node is in: else anybody could have every member knock at
 * the services of its own machine, of its neighbours, or of the cloud it runs in. What its own user named is dialled.
 */
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { waysNamedMax } from '../base/limits.ts'
import { whyNotPublic } from '../base/public-address.ts'
import { isLoopback, peerOf } from './addresses.ts'

/** An address over TCP with or without a peer id. */
const TCP = /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/([^/]+)(?:\/tcp\/\d+)?(?:\/p2p\/[A-Za-z0-9]+)?$/
/** One through a relay that is connected already or found by its id. */
const RELAY = /^\/p2p\/[A-Za-z0-9]+$/
/** Names that mean another machine in each network, or this one. */
const INSIDE = /(?:^|\.)(?:localhost|local|internal|lan|home\.arpa)\.?$/i
/** Private networks (RFC 1918, 6598, 4193): to be in one of them says nothing of another. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map((range) =>
  ipaddr.parseCIDR(range),
)
/** Where nobody's node is: clouds keep their metadata service on link-local addresses. */
const NOBODY = new Set(['loopback', 'linkLocal', 'unspecified', 'broadcast', 'multicast'])

export interface OwnPlace {
  /** IP addresses of the networks that this node is in. */
  readonly inside: readonly string[]
  /** Whether it listens on loopback alone. */
  readonly loopbackOnly: boolean
}

/** Whether an address that others told is dialled. Pure. */
export function leadsOut(address: string, { inside, loopbackOnly }: OwnPlace): boolean {
  const [direct = ''] = address.split('/p2p-circuit')
  if (direct !== address && RELAY.test(direct)) return true
  const [, kind = '', host = ''] = TCP.exec(direct) ?? []
  if (kind.startsWith('dns')) return loopbackOnly || !INSIDE.test(host)
  if (kind === '' || !ipaddr.isValid(host)) return false
  if (whyNotPublic(host) === undefined) return true
  const range = rangeOf(host)
  if (range === 'loopback') return loopbackOnly
  return !NOBODY.has(range) && inside.some((own) => ipaddr.isValid(own) && rangeOf(own) === range)
}

function rangeOf(ip: string): string {
  const parsed = ipaddr.process(ip)
  const network = PRIVATE.find(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits))
  return network === undefined ? parsed.range() : network.join('/')
}

export class Ways {
  readonly #listen: readonly string[]
  readonly #announce: readonly string[]
  /** What the user named; what was named last stands last. */
  readonly #named = new Set<string>()

  /** @param listen the addresses listened on. @param announce those of the settings, which lead here from elsewhere. */
  constructor(listen: readonly string[], announce: readonly string[]) {
    this.#listen = listen
    this.#announce = announce
  }

  /** From now on these are dialled: they come from the settings, an invitation or the command line. */
  name(addresses: readonly string[]): void {
    for (const address of addresses) {
      this.#named.delete(address)
      this.#named.add(address)
    }
    for (const oldest of this.#named) {
      if (this.#named.size <= waysNamedMax) return
      this.#named.delete(oldest)
    }
  }

  /** Whether the user named an address of this peer. */
  isNamed(peer: string): boolean {
    return [...this.#named].some((address) => peerOf(address) === peer)
  }

  mayDial(address: string): boolean {
    return this.#named.has(address) || leadsOut(address, this.#place())
  }

  #place(): OwnPlace {
    const interfaces = Object.values(networkInterfaces()).flatMap((some = []) =>
      some.map((one) => one.address),
    )
    // Behind a router or in a container the network around is known by what was announced or named.
    const said = [...this.#announce, ...this.#named].flatMap((address) => {
      const ip = /^\/ip[46]\/([^/]+)/.exec(address)?.[1]
      return ip === undefined ? [] : [ip]
    })
    return { inside: [...interfaces, ...said], loopbackOnly: this.#listen.every(isLoopback) }
  }
}
