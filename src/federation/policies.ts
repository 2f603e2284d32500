import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { policyChangesMax, policyOperatorsMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import {
  type Endorsement,
  endorsementSchema,
  type FederationPolicyText,
  idOf,
  type PolicyState,
  policyInForce,
  policySchema,
  textOf,
} from './federation-policy.ts'
import { type Genesis, refuseOpenPrivate, withNewcomers } from './genesis.ts'
import type { Members } from './members.ts'

const CHANGES_WAITING_MAX = 32

export interface PoliciesParts {
  readonly genesis: Genesis
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<
    Members,
    'get' | 'operators' | 'presentOf' | 'refuseOthers' | 'onChange' | 'beforeLoss'
  >
  readonly self: string
  readonly log: Logger
}

/** The policy that holds, and this node's hand in changing it (protocols/federation-policy.md). */
export class Policies implements Startable {
  readonly #parts: PoliciesParts
  readonly #collection: Collection<{ chain: FederationPolicyText[] }>
  readonly #changes = new SerialQueue(CHANGES_WAITING_MAX)
  #stopWatching: (() => void)[] = []

  constructor(parts: PoliciesParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/endorsements/', schema: endorsementSchema, log })
  }

  async start(): Promise<void> {
    if (this.#stopWatching.length > 0) return
    const { members } = this.#parts
    const confirm = () => void this.#confirmSoon()
    this.#stopWatching = [
      this.#collection.watch(confirm),
      members.onChange(confirm),
      // [P4] What was agreed has to stand when one of those who agreed has no say any more.
      members.beforeLoss(() => this.#changes.run(() => this.#confirm())),
    ]
    confirm()
  }

  async stop(): Promise<void> {
    for (const stop of this.#stopWatching.splice(0)) stop()
    await this.#changes.idle()
  }

  state(): PolicyState {
    const { genesis, members } = this.#parts
    const operators = members.operators().map(({ peer }) => peer)
    const presentOf = (peer: string) => members.presentOf(peer)
    const founders = genesis.founders.map(({ peer }) => peer)
    // What a node endorsed with an old key is what it endorsed, unless it has with the new one.
    const endorsements = new Map<string, Endorsement>()
    for (const { name, value } of this.#collection.list()) {
      const peer = presentOf(name)
      if (peer === name || !endorsements.has(peer)) endorsements.set(peer, { peer, ...value })
    }
    return policyInForce(genesis.policy, { operators, founders, presentOf }, [...endorsements.values()])
  }

  /** @throws NodeError NOT_OPERATOR, INVALID_INPUT for what changes nothing or fits no policy, QUOTA_EXCEEDED after 56 changes. */
  propose(change: Partial<FederationPolicyText>): Promise<PolicyState> {
    return this.#changes.run(async () => {
      this.#parts.members.refuseOthers('change the policy')
      const { policy } = this.state()
      const { operators: _, ...kept } = policy
      const wanted = this.#withOperators(policySchema.parse({ ...kept, ...withNewcomers(change) }))
      refuseOpenPrivate(wanted, this.#parts.genesis.private)
      if (textOf(wanted) === textOf(policy)) {
        throw new NodeError('INVALID_INPUT', 'This is the policy already; say what is to be different')
      }
      return this.#endorse(wanted)
    })
  }

  /**
   * Endorses what another operator has proposed, by the id of the proposal; without one the only proposal there is.
   *
   * @throws NodeError NOT_OPERATOR, NOT_FOUND, CONFLICT when several are open and none is named.
   */
  endorse(id?: string): Promise<PolicyState> {
    return this.#changes.run(async () => {
      this.#parts.members.refuseOthers('change the policy')
      const { proposals } = this.state()
      const ids = proposals.map((one) => idOf(one.policy)).join(', ')
      if (id === undefined && proposals.length > 1) {
        const message = `${proposals.length} changes are proposed; say which by its id: ${ids}`
        throw new NodeError('CONFLICT', message, { ids })
      }
      const proposal = id === undefined ? proposals[0] : proposals.find((one) => idOf(one.policy) === id)
      if (proposal === undefined) {
        const message = `There is no ${id === undefined ? 'proposal' : `proposal ${id}`} now; "maoctl federation policy show" lists those that there are`
        throw new NodeError('NOT_FOUND', message, { id })
      }
      return this.#endorse(proposal.policy)
    })
  }

  /** [P6] Names the operators of now, where more than one is to be needed. */
  #withOperators(wanted: FederationPolicyText): FederationPolicyText {
    const { operators: _, ...plain } = wanted
    const { operatorsNeeded } = plain
    if (operatorsNeeded === 1) return plain
    const operators = this.#parts.members.operators().map(({ peer }) => peer)
    if (operatorsNeeded > operators.length) {
      const message = `${operatorsNeeded} operators cannot endorse a change where there are ${operators.length}; make more members operators first: "maoctl federation role MEMBER operator"`
      throw new NodeError('INVALID_INPUT', message, { operatorsNeeded })
    }
    if (operators.length > policyOperatorsMax) {
      const message = `A policy names ${policyOperatorsMax} operators at most, and there are ${operators.length}`
      throw new NodeError('INVALID_INPUT', message)
    }
    return { ...plain, operators: operators.sort() }
  }

  async #endorse(wanted: FederationPolicyText): Promise<PolicyState> {
    const { chain } = this.state()
    if (chain.length >= policyChangesMax) {
      throw new NodeError(
        'QUOTA_EXCEEDED',
        `A federation changes its policy ${policyChangesMax} times at most; this one has`,
      )
    }
    await this.#collection.put(this.#parts.self, { chain: [...chain, wanted] })
    return this.state()
  }

  async #confirmSoon(): Promise<void> {
    try {
      await this.#changes.run(() => this.#confirm())
    } catch (error) {
      this.#parts.log.warn({ error: messageOf(error) }, 'the policy in force was not confirmed')
    }
  }

  /** [P4] Writes down what is in force, where this operator's record does not say so yet. */
  async #confirm(): Promise<void> {
    const { members, self } = this.#parts
    if (members.get(self)?.role !== 'operator') return
    const { chain } = this.state()
    const own = this.#collection.get(self)?.value.chain ?? []
    if (chain.every((policy, at) => own[at] !== undefined && textOf(own[at]) === textOf(policy))) return
    await this.#collection.put(self, { chain: [...chain] })
  }
}
