/**
 * Who may do what in the federation, put into force (protocols/keyspace.md): the table for the registry, lists of what
 * stays of those who leave, and the door for those who are members no more.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { departureListDelayMs, departureListStepMs, departureLookMs } from '../base/limits-membership.ts'
import type { Logger } from '../base/logger.ts'
import type { Network } from '../network/network.ts'
import type { Registry } from '../registry/registry.ts'
import { Departures, type Place } from './departures.ts'
import type { Genesis } from './genesis.ts'
import { isLeftBehind, losesRights, type Role, type Roster } from './keyspace.ts'
import { MemberStreams } from './member-streams.ts'
import { Members } from './members.ts'
import type { FederationPolicy } from './policy.ts'
import { SUCCESSIONS, successionProof } from './successions.ts'

export interface AdmissionParts {
  readonly registry: Registry
  readonly policy: FederationPolicy
  readonly genesis: Genesis
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
}

/** What an operator's list says of certificates, and who was ever a member. */
export interface Past {
  /** Whether an operator listed the record. */
  stays(hash: string): boolean
  isKnown(peer: string): boolean
  presentOf(peer: string): string
}

export class Admission implements Startable {
  readonly members: Members
  readonly departures: Departures
  readonly #parts: AdmissionParts
  readonly #streams = new Set<MemberStreams>()
  #network: Network | undefined
  #refuses = (peer: string) => this.members.wasRemoved(peer)
  #stop: (() => void)[] = []
  #listing: NodeJS.Timeout | undefined
  #discarding: Promise<void> = Promise.resolve()
  /** Former and demoted peers whose records were looked through, with what was known of them then. */
  #discarded = ''
  /** Where members stood when they were last looked at; and whether records of who stands lower now are to be listed. */
  #roles: ReadonlyMap<string, Role> | undefined
  #hasFallen = true

  constructor(parts: AdmissionParts) {
    this.#parts = parts
    const { registry, policy, genesis, self, clock, log } = parts
    this.departures = new Departures({ registry, self, log })
    const successorNamed = (peer: string) => this.departures.successorNamed(peer)
    this.members = new Members({ registry, genesis, self, clock, log, successorNamed })
    policy.use(this.#roster)
    policy.prove(SUCCESSIONS, successionProof(successorNamed))
  }

  /** The network's streams for members alone. */
  streams(network: Network): MemberStreams {
    const guarded = new MemberStreams({ streams: network, members: this.members })
    this.#streams.add(guarded)
    return guarded
  }

  /** Lets somebody else say when a former member is to be kept out, so that it is told first why. */
  refuseWhen(refuses: (peer: string) => boolean): void {
    this.#refuses = refuses
  }

  /** [D5] Keeps those who were removed out, and relays for members. @returns how to stop. */
  guard(network: Network): () => void {
    const { members } = this
    this.#network = network
    network.useGate({
      // Who comes with a key that was replaced is nobody, and has nothing to ask for.
      refuses: (peer) => members.former(peer)?.successor !== undefined || this.#refuses(peer),
      relaysFor: (peer) => members.isMember(peer),
      relays: () => members.role(this.#parts.self) === 'operator',
    })
    return () => {
      this.#network = undefined
      network.useGate()
    }
  }

  async start(): Promise<void> {
    if (this.#stop.length > 0) return
    const { members } = this
    const timer = setInterval(() => this.#listSoon(), departureLookMs)
    timer.unref()
    this.#stop = [
      members.beforeLoss((peer, to) => this.departures.write(peer, to, this.#nextVersion(peer))),
      members.onChange(() => this.#changed()),
      this.#parts.registry.watch('/departures/', () => {
        members.lookAgain()
        this.#changed()
      }),
      () => clearInterval(timer),
    ]
    this.#changed()
    await this.#discarding
  }

  async stop(): Promise<void> {
    for (const stop of this.#stop.splice(0)) stop()
    clearTimeout(this.#listing)
    this.#listing = undefined
    await this.#discarding
  }

  readonly #roster: Roster = {
    role: (peer) => this.members.role(peer),
    admittedMs: (peer) => this.members.admittedMs(peer),
    presentOf: (peer) => this.members.presentOf(peer),
    isFormer: (peer) => this.members.wasRemoved(peer),
    stays: (hash) => this.departures.stays(hash),
    isListed: (peer) => this.departures.isListed(peer, this.#place(peer)),
    answers: (record) => this.members.answers(record),
  }

  /** What this node goes by where it judges votes of who votes no more (voting.md [C9]). */
  readonly past: Past = {
    stays: (hash) => this.departures.stays(hash),
    isKnown: (peer) => this.members.isMember(peer) || this.members.former(peer) !== undefined,
    presentOf: (peer) => this.members.presentOf(peer),
  }

  #place(peer: string): Place {
    const { members } = this
    const version = this.#parts.registry.get(`/members/${peer}`)?.version ?? 0
    const isSucceeded = members.former(peer)?.successor !== undefined
    return { role: members.role(peer), version, isSucceeded }
  }

  /** Of the next record about a peer: words are ordered by time, so that the shown one may have a lower one than another. */
  #nextVersion(peer: string): number {
    return 1 + Math.max(0, ...this.#parts.registry.claims(`/members/${peer}`).map(({ version }) => version))
  }

  /** [D5] At once for streams and connections; what has to go from the registry goes in the order of its writes. */
  #changed(): void {
    for (const streams of this.#streams) streams.judgeAgain()
    this.#network?.regate()
    this.#compareRoles()
    this.#listSoon()
    this.members.standFirm().catch((error: unknown) => {
      this.#parts.log.warn({ error: messageOf(error) }, 'this node did not say that it is an operator still')
    })
    this.#discard()
  }

  /** Records are looked through only when what is listed, or who stands where, has changed for somebody who lost a place. */
  #discard(): void {
    const listed = this.departures.peers().filter((peer) => this.#roster.isListed?.(peer) === true)
    // [U4] What names another key than operators do makes room for what names theirs.
    const disowned = new Set(this.members.disowned())
    const state = [...listed, ...disowned]
      .map((peer) => `${peer} ${this.#place(peer).role} ${this.departures.marks(peer)} ${disowned.has(peer)}`)
      .join()
    if (state === this.#discarded) return
    this.#discarded = state
    if (state === '') return
    const { registry, log } = this.#parts
    const among = new Set(listed)
    this.#discarding = this.#discarding.then(async () => {
      try {
        await registry.discard((record) => {
          if (disowned.has(record.author) && record.key.startsWith(SUCCESSIONS)) return true
          return among.has(record.author) && isLeftBehind(record, this.#roster)
        })
      } catch (error) {
        this.#discarded = ''
        log.warn({ error: messageOf(error) }, 'records of a former member are dropped later')
      }
    })
  }

  /**
   * [D4] Who lost its place without a list, by its time, by its own word, or since the remover's node stopped on the way,
   * gets one from the first operator that finds it so; operators wait for each other in the order of their ids.
   */
  #listSoon(): void {
    const { self } = this.#parts
    if (this.#listing !== undefined || this.members.role(self) !== 'operator') return
    if (this.#unlisted().length === 0 && !this.#hasFallen) return
    const operators = this.members
      .operators()
      .map(({ peer }) => peer)
      .sort()
    const waitMs = departureListDelayMs + operators.indexOf(self) * departureListStepMs
    this.#listing = setTimeout(() => {
      this.#listing = undefined
      this.#list().catch((error: unknown) => {
        this.#parts.log.warn({ error: messageOf(error) }, 'what stays of a former member is listed later')
      })
    }, waitMs)
    this.#listing.unref()
  }

  async #list(): Promise<void> {
    if (this.members.role(this.#parts.self) !== 'operator') return
    for (const peer of this.#unlisted()) {
      const successor = this.members.successorOf(peer)
      await this.departures.write(peer, undefined, this.#place(peer).version, successor)
    }
    if (!this.#hasFallen) return
    this.#hasFallen = false
    try {
      for (const peer of await this.departures.unlisted(this.#roster)) {
        await this.departures.write(peer, this.members.role(peer), this.#place(peer).version)
      }
    } catch (error) {
      this.#hasFallen = true
      throw error
    }
  }

  #compareRoles(): void {
    const before = this.#roles
    this.#roles = new Map(this.members.list().map(({ peer, role }) => [peer, role]))
    const listed = new Set(this.departures.peers())
    const hasFallen = [...this.#roles].some(([peer, role]) => {
      // Who is back may write less than it did before it went.
      const was = before?.get(peer) ?? (listed.has(peer) ? 'operator' : undefined)
      return losesRights(was, role)
    })
    if (before !== undefined && hasFallen) this.#hasFallen = true
    // Who waits for another operator waits for none that is one no longer.
    const isOperator = (roles: ReadonlyMap<string, Role> | undefined, peer: string) =>
      roles?.get(peer) === 'operator'
    const isGone = [...(before?.keys() ?? [])].some(
      (peer) => isOperator(before, peer) && !isOperator(this.#roles, peer),
    )
    if (!isGone) return
    clearTimeout(this.#listing)
    this.#listing = undefined
  }

  #unlisted(): string[] {
    const former = this.members.formerList().map(({ peer }) => peer)
    return former.filter((peer) => this.#roster.isListed?.(peer) !== true)
  }
}
