/**
 * How a node comes into a federation: it founds one, or joins one. Changes run one after another, so that a node never
 * ends up in two, and what it has become is remembered before anything of it starts.
 */
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Network } from '../network/network.ts'
import { createGenesis, type Genesis } from './genesis.ts'
import { decodeInvitation } from './invitations.ts'
import { requestAdmission } from './join.ts'
import type { FederationMemory, Remembered } from './memory.ts'

/** Changes of one node's federation that wait for each other. */
const CHANGES_WAITING_MAX = 16

export interface EntranceParts {
  readonly identity: Identity
  readonly network: Network
  readonly memory: FederationMemory
  readonly clock: Clock
  /** What this node wants to be called. */
  readonly name: string
  /** The federation that this node is in. */
  readonly current: () => Genesis | undefined
  /** Starts the rooms of a federation, all or none. */
  readonly open: (joined: Remembered) => Promise<void>
  /** Brings what the federation knows from the peer that admitted this node, as far as it comes at once. */
  readonly settle: (peer: string) => Promise<void>
}

export class Entrance {
  readonly #parts: EntranceParts
  readonly #changes = new SerialQueue(CHANGES_WAITING_MAX)

  constructor(parts: EntranceParts) {
    this.#parts = parts
  }

  /** Founds a federation with this node as its first operator. @throws NodeError ALREADY_FEDERATED, INVALID_NAME */
  create(wanted: { name: string; description?: string }): Promise<Genesis> {
    return this.#changes.run(async () => {
      this.#refuseSecondFederation()
      const { name, description = '' } = wanted
      const { clock, identity, name: founderName } = this.#parts
      const genesis = await createGenesis(
        { name, description, founderName, createdMs: clock.now() },
        identity,
      )
      await this.#enter({ genesis, contacts: [] })
      return genesis
    })
  }

  /** @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED, PEER_UNREACHABLE, ALREADY_FEDERATED */
  join(token: string): Promise<Genesis> {
    return this.#changes.run(async () => {
      this.#refuseSecondFederation()
      const { network, clock, name } = this.#parts
      const invitation = decodeInvitation(token, clock.now())
      const { genesis, peer } = await requestAdmission(network, invitation, name)
      await this.#enter({ genesis, contacts: invitation.addresses })
      await this.#parts.settle(peer)
      return genesis
    })
  }

  /** Resolves when no change is under way. */
  async idle(): Promise<void> {
    await this.#changes.idle()
  }

  /** Remembers the federation before anything of it starts, so that a crash on the way is mended by the next start. */
  async #enter(joined: Remembered): Promise<void> {
    const { memory, open } = this.#parts
    await memory.remember(joined)
    try {
      await open(joined)
    } catch (error) {
      await memory.forget()
      throw error
    }
  }

  #refuseSecondFederation(): void {
    const genesis = this.#parts.current()
    if (genesis === undefined) return
    const { name } = genesis
    const message = `This node is in the federation ${name} already; a second one needs a node of its own (--data DIR)`
    throw new NodeError('ALREADY_FEDERATED', message, { name })
  }
}
