import { isIPv6 } from 'node:net'

const GROUPS = 8
/** The groups of 16 bits that name the network which one household of IPv6 has (RFC 6177). */
const NETWORK_GROUPS = 4

/**
 * What is counted as one: an address of IPv4, a network of 64 bits of IPv6, written out in full, since who has one can
 * write its addresses in many ways; and all that is not known. Pure.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(plain)) return plain
  // As the standard of URLs writes it: lower case, no zeros in front, an IPv4 end as two groups.
  const [before = '', after] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::')
  const [head, tail] = [before, after ?? ''].map((groups) => groups.split(':').filter(Boolean)) as [
    string[],
    string[],
  ]
  const zeros = new Array<string>(GROUPS - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].slice(0, NETWORK_GROUPS).join(':')
}
