/**
 * What keeps a bridged step from its neighbours: rules of the packet filter for the one interface of its network. A
 * chain for what passes through the machine (hooked into DOCKER-USER, which Docker leaves to others and asks first) and
 * one for what is meant for the machine itself. Pure; network-guard.ts carries it out.
 */
import { firewallLockSeconds } from '../../base/limits.ts'
import { HOST_OF_AZURE } from '../../base/public-address.ts'

/**
 * What is not the public internet (RFC 6890 and the registry of special addresses that it founded): this host and
 * loopback, private use (RFC 1918), carriers' (RFC 6598), link-local with the metadata service of clouds (RFC 3927),
 * protocol assignments, benchmarks, multicast, what is kept for later, and broadcast; and the host of a cloud. IPv6 is off in these networks.
 */
export const BARRED_RANGES: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  `${HOST_OF_AZURE}/32`,
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** The chain of which Docker says that it is for rules of others, and that it comes before all of its own. */
const DOCKER_CHAIN = 'DOCKER-USER'
const CHAIN_PREFIX = 'MAO-'
const DNS_PORT = 53

export interface Guard {
  /** What tells this node's guard from those of other nodes on the machine: some hexadecimal digits. */
  readonly id: string
  /** The interface of the network. */
  readonly bridge: string
  /** Ranges beside `BARRED_RANGES`. */
  readonly barredRanges: readonly string[]
  /** Addresses of which port 53 may be asked, wherever they are. */
  readonly nameservers: readonly string[]
}

const forwardChain = ({ id }: Guard) => `${CHAIN_PREFIX}F-${id}`
const inputChain = ({ id }: Guard) => `${CHAIN_PREFIX}I-${id}`

/** The rules of both chains, as `iptables -S` writes them. */
function chainRules(guard: Guard): string[] {
  const rules: string[] = []
  for (const chain of [forwardChain(guard), inputChain(guard)]) {
    for (const server of guard.nameservers) {
      for (const protocol of ['udp', 'tcp']) {
        rules.push(`-A ${chain} -d ${server}/32 -p ${protocol} -m ${protocol} --dport ${DNS_PORT} -j RETURN`)
      }
    }
  }
  const refuse = '-j REJECT --reject-with icmp-admin-prohibited'
  for (const range of new Set([...BARRED_RANGES, ...guard.barredRanges.map(canonicalRange)])) {
    rules.push(`-A ${forwardChain(guard)} -d ${range} ${refuse}`)
  }
  rules.push(`-A ${inputChain(guard)} ${refuse}`)
  return rules
}

interface Hook {
  readonly chain: string
  readonly rule: string
}

/** Where packets are led into the chains; before everything else that stands there. */
function hooksOf(guard: Guard, listing: readonly string[]): Hook[] {
  const hook = (chain: string, target: string): Hook => ({ chain, rule: `-i ${guard.bridge} -j ${target}` })
  const hooks = [hook(DOCKER_CHAIN, forwardChain(guard)), hook('INPUT', inputChain(guard))]
  // Another program has put itself before Docker: then we stand there too.
  const [first] = rulesOf(listing, 'FORWARD').filter((rule) => !isGuardJump(rule))
  if (first !== `-j ${DOCKER_CHAIN}`) hooks.push(hook('FORWARD', forwardChain(guard)))
  return hooks
}

/** The rules of a chain in their order, without the words that name it. */
function rulesOf(listing: readonly string[], chain: string): string[] {
  const prefix = `-A ${chain} `
  return listing.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length))
}

function isGuardJump(rule: string): boolean {
  return /^-i \S+ -j MAO-[FI]-\S+$/.test(rule)
}

/** @param listing the lines of `iptables -S`. */
export function hasDockerChain(listing: readonly string[]): boolean {
  return listing.includes(`-N ${DOCKER_CHAIN}`)
}

/** Whether everything stands as it must: all rules in their order, nothing of others before the hooks. */
export function isGuarded(listing: readonly string[], guard: Guard): boolean {
  const chains = [forwardChain(guard), inputChain(guard)]
  const there = chains.flatMap((chain) => rulesOf(listing, chain).map((rule) => `-A ${chain} ${rule}`))
  const wanted = chains.flatMap((chain) =>
    chainRules(guard).filter((rule) => rule.startsWith(`-A ${chain} `)),
  )
  if (there.join('\n') !== wanted.join('\n')) return false
  return hooksOf(guard, listing).every(({ chain, rule }) => {
    const rules = rulesOf(listing, chain)
    const at = rules.indexOf(rule)
    return at >= 0 && rules.slice(0, at).every(isGuardJump)
  })
}

/** What `iptables-restore --noflush` reads, in one transaction, to make everything stand as it must. */
export function restoreText(listing: readonly string[], guard: Guard): string {
  const lines = ['*filter', `:${forwardChain(guard)} - [0:0]`, `:${inputChain(guard)} - [0:0]`]
  lines.push(...chainRules(guard))
  for (const { chain, rule } of hooksOf(guard, listing)) {
    for (const there of rulesOf(listing, chain)) if (there === rule) lines.push(`-D ${chain} ${rule}`)
    lines.push(`-I ${chain} 1 ${rule}`)
  }
  return [...lines, 'COMMIT', ''].join('\n')
}

/** The same to take everything away again; undefined when nothing is there. */
export function removalText(listing: readonly string[], guard: Guard): string | undefined {
  const lines: string[] = []
  const chains = [forwardChain(guard), inputChain(guard)].filter((chain) => listing.includes(`-N ${chain}`))
  for (const line of listing) {
    const jumps = chains.some((chain) => line.endsWith(` -i ${guard.bridge} -j ${chain}`))
    if (jumps) lines.push(line.replace(/^-A /, '-D '))
  }
  for (const chain of chains) lines.push(`-F ${chain}`)
  for (const chain of chains) lines.push(`-X ${chain}`)
  return lines.length === 0 ? undefined : ['*filter', ...lines, 'COMMIT', ''].join('\n')
}

/** The same as commands for an operator of a machine that the node cannot guard itself. */
export function guardCommands(guard: Guard): string[] {
  const iptables = `iptables -w ${firewallLockSeconds}`
  return [
    `${iptables} -N ${forwardChain(guard)}`,
    `${iptables} -N ${inputChain(guard)}`,
    ...chainRules(guard).map((rule) => `${iptables} ${rule}`),
    `${iptables} -I ${DOCKER_CHAIN} 1 -i ${guard.bridge} -j ${forwardChain(guard)}`,
    `${iptables} -I INPUT 1 -i ${guard.bridge} -j ${inputChain(guard)}`,
  ]
}

/** A range as the packet filter writes it: without the bits of the host, and with its length. */
export function canonicalRange(range: string): string {
  const [address = '', length = '32'] = range.split('/')
  const bits = Number(length)
  const number = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
  const size = 2 ** (32 - bits)
  const start = Math.floor(number / size) * size
  return `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')}/${bits}`
}

/** The name servers that a file of resolv.conf(5) names, IPv4, without those on loopback, which no container reaches. */
export function nameserversIn(text: string): string[] {
  const found = [...text.matchAll(/^\s*nameserver\s+((?:\d{1,3}\.){3}\d{1,3})\s*(?:[#;].*)?$/gm)]
  return [...new Set(found.map(([, address = '']) => address))].filter(
    (address) => !address.startsWith('127.'),
  )
}
