/**
 * Membership as a room: who asks to come in, who leaves, whose time is over, and by which policy. The composition root
 * starts it once and knows no more of its parts.
 */
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import { requestContactsMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { reopen } from '../identity/envelope.ts'
import type { Network } from '../network/network.ts'
import { decodeRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { Admission } from './admission.ts'
import { Farewell } from './farewell.ts'
import type { Genesis } from './genesis.ts'
import type { InvitationBook } from './invitations.ts'
import { JOIN_PROTOCOL, serveAdmission } from './join.ts'
import { Policies } from './policies.ts'
import type { Presences } from './presence.ts'
import { type Answer, ask, QUESTION_PROTOCOL, type Question, refusalOf, serveQuestion } from './questions.ts'
import { RequestPace, sourceOf } from './request-pace.ts'
import { Requests } from './requests.ts'
import { keepsAnOperator } from './standing.ts'

export interface MembershipParts {
  readonly genesis: Genesis
  readonly registry: Registry
  readonly admission: Pick<Admission, 'members' | 'refuseWhen'>
  readonly invitations: InvitationBook
  readonly network: Network
  /** Where the other members can be reached. */
  readonly presences: Pick<Presences, 'wanted'>
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
}

export class Membership implements Startable {
  readonly invitations: InvitationBook
  readonly requests: Requests
  readonly policies: Policies
  readonly farewell: Farewell
  readonly #parts: MembershipParts
  readonly #farewells = new RequestPace()
  readonly #running = new StopStack()

  constructor(parts: MembershipParts) {
    this.#parts = parts
    const { genesis, registry, admission, network, presences, self, clock, log } = parts
    const { members } = admission
    const { federation } = genesis
    this.invitations = parts.invitations
    this.policies = new Policies({ genesis, registry, members, self, log })
    this.farewell = new Farewell({ federation, registry, members, network, clock, log })
    this.requests = new Requests({
      policy: () => this.policies.state().policy,
      sourceOf: (peer) => sourceOf(network.connections().find((one) => one.peer === peer)?.address),
      addresses: () => {
        const others = presences.wanted().flatMap(({ addresses }) => addresses)
        return [...network.addresses(), ...others].slice(0, requestContactsMax)
      },
      ...{ genesis, registry, members, self, clock, log },
    })
  }

  async start(): Promise<void> {
    const { network, genesis, invitations, admission } = this.#parts
    const { members } = admission
    admission.refuseWhen((peer) => this.farewell.refuses(peer))
    await invitations.bind(genesis.federation)
    await this.#running.start('policies', this.policies)
    await this.#running.start('requests', this.requests)
    await this.#running.start('farewell', this.farewell)
    const admissions = { genesis, invitations, members }
    const answer = (peer: string, question: Question) => this.#answer(peer, question)
    this.#running.push(
      'join',
      await network.handle(JOIN_PROTOCOL, (stream) => serveAdmission(stream, admissions)),
    )
    this.#running.push(
      'questions',
      await network.handle(QUESTION_PROTOCOL, (stream) => serveQuestion(stream, answer)),
    )
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }

  /**
   * Has this node's own membership ended by an operator, before it leaves: by another one where it is one itself, so that
   * somebody who stays has heard of it and has listed what stays.
   *
   * @throws NodeError CONFLICT for the last operator among others, PEER_UNREACHABLE when no operator answers.
   */
  async takeLeave(reason: string): Promise<void> {
    const { admission, network, self, genesis } = this.#parts
    const { members } = admission
    const own = members.get(self)
    // Alone, or no member any more: there is nobody to be told.
    if (own === undefined || members.list().length === 1) return
    if (own.role === 'operator' && !keepsAnOperator(members.list(), self)) {
      const message = `${own.name} is the last operator; make another member an operator first: "maoctl federation role MEMBER operator"`
      throw new NodeError('CONFLICT', message, { peer: self })
    }
    const failures: string[] = []
    for (const { peer, name } of members.operators().filter((one) => one.peer !== self)) {
      try {
        const answer = await ask(network, peer, { kind: 'leave', federation: genesis.federation, reason })
        if (answer.kind === 'done') return
        failures.push(`${name}: ${answer.kind === 'refused' ? answer.message : answer.kind}`)
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        failures.push(`${name}: ${error.message}`)
      }
    }
    const message = `No operator could be told that this node leaves (${failures.join('; ')}); try again later, or leave without a word with --force: the others will count this node as away until an operator removes it`
    throw new NodeError('PEER_UNREACHABLE', message, { failures })
  }

  async #answer(peer: string, question: Question): Promise<Answer> {
    const { genesis, admission } = this.#parts
    try {
      if (question.kind === 'request') return await this.requests.answer(peer, question)
      if (question.federation !== genesis.federation) {
        throw new NodeError(
          'NOT_FOUND',
          `This node belongs to ${genesis.name}, not to the federation asked about`,
        )
      }
      // [J13] Each member speaks for itself alone: the stream proves who leaves.
      if (question.kind === 'leave') await admission.members.remove(peer, question.reason)
      // [J14] It is believed for the operator's seal on it, whoever brings it.
      else if (question.kind === 'ended') await this.#hearEnd(peer, question.record)
      else await this.requests.withdraw(peer)
      return { kind: 'done' }
    } catch (error) {
      return refusalOf(error)
    }
  }

  /** [J14] Strangers may bring it too, so only what is new about this very node is judged, and not often. */
  async #hearEnd(peer: string, record: Uint8Array): Promise<void> {
    const { registry, self, network, clock } = this.#parts
    const key = `/members/${self}`
    const held = registry.envelope(key)
    if (held !== undefined && Buffer.compare(held, record) === 0) return
    const from = sourceOf(network.connections().find((one) => one.peer === peer)?.address)
    if (decodeRecord(reopen(record)).key !== key || !this.#farewells.take(from, clock.now())) {
      throw new NodeError(
        'RATE_LIMITED',
        'This node hears of the end of its own membership alone, and not often',
      )
    }
    await registry.receive(record)
  }
}
