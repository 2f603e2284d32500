/**
 * Which addresses on the internet anybody may have this node ask. A step names its inputs, and whoever writes a step
 * must not reach through the node what only the node can reach: its own services, its neighbours in the network, the
 * metadata service of the cloud that it runs in (OWASP, Server Side Request Forgery Prevention).
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Azure's host answers there (metadata, DNS, DHCP), though the address is a public one. */
export const HOST_OF_AZURE = '168.63.129.16'
/** All of IPv6 that is given out (RFC 4291, 2.4): what lies outside is for transition, tests and local use. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3')

/**
 * What keeps an address from being public, in a word such as `private` or `loopback`; undefined for one that is. An IPv4
 * address in IPv6 clothes is taken for what it is; one behind a translator (NAT64, 6to4, Teredo) is not public. Pure.
 */
export function whyNotPublic(address: string): string | undefined {
  const [bare = ''] = address.split('%')
  // Not as ipaddr reads them, which takes 10.1 for an address too.
  if (isIP(bare) === 0) return 'no address'
  const parsed = ipaddr.process(bare)
  const range = parsed.range()
  if (range !== 'unicast') return WORDS[range] ?? range
  if (parsed.kind() === 'ipv6') return parsed.match(GLOBAL_UNICAST) ? undefined : 'reserved'
  return parsed.toString() === HOST_OF_AZURE ? 'the host of a cloud' : undefined
}

/** Names of ranges (IANA special-purpose address registries) as people say them. */
const WORDS: Readonly<Record<string, string>> = {
  linkLocal: 'link-local, where clouds keep their metadata service',
  uniqueLocal: 'private',
  carrierGradeNat: 'behind the NAT of a carrier',
  rfc6052: 'behind a NAT64 translator',
  rfc6145: 'behind a NAT64 translator',
  '6to4': 'behind a 6to4 translator',
  teredo: 'behind a Teredo translator',
}

/** Addresses, ranges and host names that an operator lets the node ask although they are not public. */
export class AllowedAddresses {
  readonly #ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][]
  readonly #hosts: ReadonlySet<string>

  /** @param entries `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`, `data.example.org`; see `isAllowedEntry`. */
  constructor(entries: readonly string[]) {
    const ranges = entries.filter(isRange)
    this.#ranges = ranges.map((entry) => ipaddr.parseCIDR(entry.includes('/') ? entry : whole(entry)))
    this.#hosts = new Set(
      entries.filter((entry) => !ranges.includes(entry)).map((entry) => entry.toLowerCase()),
    )
  }

  /** Why this node does not ask `address`, which `host` stands for; undefined when it may. */
  refusal(address: string, host: string): string | undefined {
    const why = whyNotPublic(address)
    if (why === undefined || this.#hosts.has(host.toLowerCase())) return undefined
    const [bare = ''] = address.split('%')
    if (isIP(bare) === 0) return why
    const parsed = ipaddr.process(bare)
    const isAllowed = this.#ranges.some(([range, bits]) => {
      return range.kind() === parsed.kind() && parsed.match(range, bits)
    })
    return isAllowed ? undefined : why
  }
}

const HOST_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i

/** Whether a text is an address, a range or a host name, as `AllowedAddresses` takes them. Pure. */
export function isAllowedEntry(text: string): boolean {
  return isRange(text) || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text))
}

/** An address or a range of them. */
function isRange(text: string): boolean {
  const [address = ''] = text.split('/')
  return isIP(address) !== 0 && (address === text || ipaddr.isValidCIDR(text))
}

function whole(address: string): string {
  return `${address}/${ipaddr.parse(address).kind() === 'ipv4' ? 32 : 128}`
}
