import type { Namespace } from './namespace.ts'
import type { Segment } from './segment.ts'

const DEVICE = 'eth0'

/** A machine on one segment. */
export class Host {
  readonly namespace: Namespace
  readonly segment: Segment
  #address: string

  private constructor(namespace: Namespace, segment: Segment, address: string) {
    this.namespace = namespace
    this.segment = segment
    this.#address = address
  }

  /** @param routed whether it sends what is for elsewhere to the segment's router. */
  static async plugIn(namespace: Namespace, segment: Segment, routed: boolean): Promise<Host> {
    const address = segment.newAddress()
    await segment.plug(namespace, DEVICE, address)
    // Without a route for multicast mDNS fails, and says nothing.
    await namespace.ip(`route add 224.0.0.0/4 dev ${DEVICE}`)
    if (routed) await namespace.ip(`route add default via ${segment.router}`)
    return new Host(namespace, segment, address)
  }

  get address(): string {
    return this.#address
  }

  /** Takes another address of the segment in place of the one it had, as a lease that ended does to a machine. */
  async readdress(): Promise<void> {
    const [old, next] = [this.#address, this.segment.newAddress()]
    await this.namespace.ip(
      `addr del ${old}/24 dev ${DEVICE}`,
      `addr add ${next}/24 dev ${DEVICE}`,
      `route replace 224.0.0.0/4 dev ${DEVICE}`,
    )
    this.#address = next
  }
}

/**
 * Nothing gets from one side to the other any more, and nobody is told so: packets are lost, connections hang.
 *
 * @returns how to heal it.
 */
export async function cut(left: readonly Host[], right: readonly Host[]): Promise<() => Promise<void>> {
  const deafen = (hosts: readonly Host[], to: readonly Host[], action: '-I' | '-D') =>
    hosts.map(({ namespace }) =>
      namespace.run(
        'iptables',
        '-w',
        action,
        'INPUT',
        '-s',
        to.map(({ address }) => address).join(),
        '-j',
        'DROP',
      ),
    )
  const both = async (action: '-I' | '-D') => {
    await Promise.all([...deafen(left, right, action), ...deafen(right, left, action)])
  }
  await both('-I')
  return () => both('-D')
}
