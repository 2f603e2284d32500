import type { Namespace } from './namespace.ts'
import { Segment } from './segment.ts'

/** A router at home or of a university: who is inside gets out under its one address, and nobody gets in unasked. */
export interface Nat {
  readonly namespace: Namespace
  readonly inside: Segment
  /** By which the outside sees everybody inside. */
  readonly address: string
}

export async function buildNat(namespace: Namespace, outside: Segment, insidePrefix: string): Promise<Nat> {
  const address = outside.newAddress()
  await outside.plug(namespace, 'wan', address)
  const inside = await Segment.build(namespace, insidePrefix, true)
  const established = ['-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT']
  const rules = [
    ['-t', 'nat', '-A', 'POSTROUTING', '-o', 'wan', '-j', 'MASQUERADE'],
    ['-P', 'FORWARD', 'DROP'],
    ['-A', 'FORWARD', '-o', 'wan', '-j', 'ACCEPT'],
    ['-A', 'FORWARD', '-i', 'wan', ...established],
    // The router itself does not answer the outside either, not even to refuse.
    ['-A', 'INPUT', '-i', 'wan', ...established],
    ['-A', 'INPUT', '-i', 'wan', '-j', 'DROP'],
  ]
  for (const rule of rules) await namespace.run('iptables', '-w', ...rule)
  await namespace.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward')
  return { namespace, inside, address }
}
