import type { Namespace } from './namespace.ts'

/** The router of a segment, where it has one, has this number; hosts are numbered from the next on. */
const ROUTER = 1

/** One Ethernet: a bridge in a namespace of its own, to which hosts are plugged with a cable each. */
export class Segment {
  readonly namespace: Namespace
  /** The first three numbers of its addresses, such as `10.7.0`. */
  readonly prefix: string
  readonly #bridge: string
  #last = ROUTER
  #cables = 0

  private constructor(namespace: Namespace, prefix: string, bridge: string) {
    this.namespace = namespace
    this.prefix = prefix
    this.#bridge = bridge
  }

  /** @param routed whether the namespace itself has an address here, by which it is the way out. */
  static async build(namespace: Namespace, prefix: string, routed = false): Promise<Segment> {
    const bridge = 'inside'
    // Without snooping, since nobody here asks around for members of multicast groups.
    await namespace.ip(
      `link add ${bridge} type bridge mcast_snooping 0`,
      `link set ${bridge} up`,
      ...(routed ? [`addr add ${prefix}.${ROUTER}/24 dev ${bridge}`] : []),
    )
    return new Segment(namespace, prefix, bridge)
  }

  get router(): string {
    return `${this.prefix}.${ROUTER}`
  }

  /** An address here that was not given away before. */
  newAddress(): string {
    this.#last += 1
    return `${this.prefix}.${this.#last}`
  }

  /** A cable from here to `device` of `host`, which then has the address. */
  async plug(host: Namespace, device: string, address: string): Promise<void> {
    this.#cables += 1
    const port = `port${this.#cables}`
    await this.namespace.ip(
      `link add ${port} type veth peer name ${device} netns ${host.name}`,
      `link set ${port} master ${this.#bridge} up`,
    )
    await host.ip(`link set ${device} up`, `addr add ${address}/24 dev ${device}`)
  }
}
