/**
 * Keeps a member in touch with its federation: who is to be connected, where each was seen last, and how lost ones are
 * found again. Straight through the ways there are: what members say of themselves, what is remembered of them from
 * before, the first contacts, the local network, and the distributed table.
 */
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { messageOf } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import { addressesPerPeerMax, contactsLookDelayMs, peersConnectedMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { isCircuit, withPeer } from './addresses.ts'
import { type MembersToKeep, membersToDial, peersToRelease } from './kept-members.ts'
import type { Network } from './network.ts'
import { RememberedPeers } from './remembered-peers.ts'
import { Rendezvous } from './rendezvous.ts'
import { Supervisor, type Wanted, wantedFrom } from './supervisor.ts'

export interface ContactsParts {
  readonly network: Network
  readonly federation: string
  readonly presences: {
    /** The other members with the addresses that they tell of themselves. */
    wanted(): readonly Wanted[]
    /** Tells the others where this node is now. */
    renew(): Promise<void>
  }
  readonly members: { role(peer: string): string | undefined }
  /** Addresses by which the federation was first reached, and those of the settings. */
  readonly first: readonly string[]
  /** Connections kept, where another number than usual is wanted. */
  readonly kept?: number
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
}

export class Contacts implements Startable {
  readonly #parts: ContactsParts
  readonly #running = new StopStack()
  readonly #remembered: RememberedPeers
  readonly #supervisor: Supervisor
  readonly #first: readonly Wanted[]
  /** Every other round tries where a member was before, so that neither new nor old addresses block the others. */
  #turn = 0
  #soon: NodeJS.Timeout | undefined

  constructor(parts: ContactsParts) {
    this.#parts = parts
    const { network, log, first } = parts
    this.#first = wantedFrom(first)
    this.#remembered = new RememberedPeers(parts.database, parts.federation)
    this.#supervisor = new Supervisor({ network, wanted: () => this.#wanted(), log })
  }

  async start(): Promise<void> {
    const { network, federation, presences, clock, log } = this.#parts
    await this.#remembered.open()
    network.name(this.#parts.first)
    network.useAddresses((peer) => this.addressesOf(peer))
    this.#running.push('addresses', () => network.useAddresses())
    this.#running.push(
      'connects',
      network.onConnect((peer) => this.#note(peer)),
    )
    this.#running.push(
      'own addresses',
      network.onAddresses(() => presences.renew()),
    )
    await this.#running.start('supervisor', this.#supervisor)
    const rendezvous = new Rendezvous({
      federation,
      host: () => network.host,
      connectedMembers: () => this.#connectedMembers(),
      reach: ({ peer, addresses }, signal) => network.reach(peer, addresses, signal),
      ...{ clock, log },
    })
    await this.#running.start('rendezvous', rendezvous)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#soon)
    this.#soon = undefined
    await this.#running.unwind()
  }

  /** Looks soon who is missing, once for all calls until then: when a whole federation comes up, everybody says where it is. */
  look(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.#supervisor.look()
    }, contactsLookDelayMs).unref()
  }

  /** Where a member may be, what it said itself first. */
  addressesOf(peer: string): readonly string[] {
    const said = this.#parts.presences.wanted().find((member) => member.peer === peer)?.addresses ?? []
    return [...new Set([...said, ...this.#before(peer)])].slice(0, addressesPerPeerMax)
  }

  #before(peer: string): readonly string[] {
    const first = this.#first.find((one) => one.peer === peer)?.addresses ?? []
    return [...this.#remembered.addressesOf(peer), ...first]
  }

  #wanted(): { missing: readonly Wanted[]; most: number } {
    const { network, presences, members, kept } = this.#parts
    const connected = new Set(network.connectedPeers())
    const others = presences.wanted()
    const isOperator = (peer: string) => members.role(peer) === 'operator'
    const known = new Set(others.map(({ peer }) => peer))
    const facts = { self: network.peerId, members: others, connected, isOperator }
    const { missing, most } = membersToDial(kept === undefined ? facts : { ...facts, kept })
    this.#release(facts)
    this.#turn += 1
    const located = missing.map(({ peer, addresses }) => {
      const before = this.#before(peer)
      const isOldTurn = this.#turn % 2 === 0 || addresses.length === 0
      return { peer, addresses: isOldTurn && before.length > 0 ? before : addresses }
    })
    // Until the registry has come, the first contacts are all that is known.
    const strangers = this.#first.filter(({ peer }) => !known.has(peer) && !connected.has(peer))
    return { missing: [...strangers, ...located], most: most + strangers.length }
  }

  #release(facts: MembersToKeep): void {
    const { network, clock } = this.#parts
    const connections = network.connections()
    if (connections.length <= peersConnectedMax) return
    const needed = new Set([...this.#first.map(({ peer }) => peer), ...network.reachability().relays])
    for (const peer of peersToRelease({ ...facts, connections, needed, nowMs: clock.now() }))
      network.hangUpSoon(peer)
  }

  #connectedMembers(): number {
    const { network, presences } = this.#parts
    const connected = new Set(network.connectedPeers())
    return presences.wanted().filter(({ peer }) => connected.has(peer)).length
  }

  #note(peer: string): void {
    const { network, presences, clock, log } = this.#parts
    const member = presences.wanted().find((one) => one.peer === peer)
    if (member === undefined) return
    // Only what we dialled is an address: the other end of what came in is some port of the moment.
    const used = network
      .connections()
      .filter((one) => one.peer === peer && one.outbound)
      .map(({ address }) => (isCircuit(address) ? address : withPeer(address, peer)))
    this.#remembered.note(peer, [...used, ...member.addresses], clock.now()).catch((error: unknown) => {
      log.warn({ peer, error: messageOf(error) }, 'the addresses of a member could not be remembered')
    })
  }
}
