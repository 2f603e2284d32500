/**
 * How a node comes into a federation and out of it: it founds one, joins one with an invitation, or asks to be admitted
 * and asks again until somebody has decided. Changes run one after another, so that a node never ends up in two, and
 * what it has become is remembered before anything of it starts.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Network } from '../network/network.ts'
import { askAround, type Wish, whereToAsk, wishToPetition } from './ask-around.ts'
import { createGenesis, type Genesis, type NewFederation } from './genesis.ts'
import { decodeInvitation, type InvitationBook } from './invitations.ts'
import { requestAdmission } from './join.ts'
import type { Membership } from './membership.ts'
import type { FederationMemory, Remembered } from './memory.ts'
import { againMs, isOpen, type Petition } from './petition.ts'

/** Changes of one node's federation that wait for each other. */
const CHANGES_WAITING_MAX = 16
const NETWORK_KEY_BYTES = 32

export interface EntranceParts {
  readonly identity: Identity
  readonly network: Network
  readonly memory: FederationMemory
  readonly invitations: Pick<InvitationBook, 'clear'>
  readonly clock: Clock
  readonly log: Logger
  /** What this node wants to be called. */
  readonly name: string
  /** The federation that this node is in. */
  readonly current: () => { readonly genesis: Genesis; readonly membership: Membership } | undefined
  /** Starts the rooms of a federation, all or none. */
  readonly open: (joined: Remembered) => Promise<void>
  /** Stops them. */
  readonly close: () => Promise<void>
  /** Brings what the federation knows from the peer that admitted this node, as far as it comes at once. */
  readonly settle: (peer: string) => Promise<void>
}

export type NewFederationWish = Omit<NewFederation, 'founderName' | 'createdMs' | 'description'> & {
  readonly description?: string
}

export class Entrance {
  readonly #parts: EntranceParts
  readonly #changes = new SerialQueue(CHANGES_WAITING_MAX)
  #petition: Petition | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(parts: EntranceParts) {
    this.#parts = parts
  }

  /** Opens what this node is in, or goes on asking where it has asked. */
  async resume(): Promise<void> {
    const { memory, open } = this.#parts
    const remembered = await memory.recall()
    if (remembered !== undefined) return open(remembered)
    this.#petition = await memory.recallPetition()
    this.#askLater(0)
  }

  /** Resolves when no change is under way, and none comes any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#changes.idle()
  }

  /** Founds a federation with this node as its first operator. @throws NodeError ALREADY_FEDERATED, INVALID_INPUT */
  create(wanted: NewFederationWish): Promise<Genesis> {
    return this.#changes.run(async () => {
      this.#refuseSecondFederation()
      const { clock, identity, name: founderName } = this.#parts
      const founding = { description: '', ...wanted, founderName, createdMs: clock.now() }
      const genesis = await createGenesis(founding, identity)
      const networkKey = genesis.private ? new Uint8Array(randomBytes(NETWORK_KEY_BYTES)) : undefined
      await this.#inNetwork(networkKey, () => this.#enter({ genesis, contacts: [], ...keyOf(networkKey) }))
      return genesis
    })
  }

  /** @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED, PEER_UNREACHABLE, ALREADY_FEDERATED */
  join(token: string): Promise<Genesis> {
    return this.#changes.run(async () => {
      this.#refuseSecondFederation()
      const { network, clock, name } = this.#parts
      const invitation = decodeInvitation(token, clock.now())
      const { networkKey: text } = invitation
      const networkKey = text === undefined ? undefined : new Uint8Array(Buffer.from(text, 'base64url'))
      return this.#inNetwork(networkKey, async () => {
        const { genesis, peer } = await requestAdmission(network, invitation, name)
        await this.#enter({ genesis, contacts: invitation.addresses, ...keyOf(networkKey) })
        await this.#parts.settle(peer)
        return genesis
      })
    })
  }

  /** How this node's own request stands; undefined when it has made none, or is a member by now. */
  get petition(): Petition | undefined {
    return this.#petition
  }

  /**
   * Asks a federation to admit this node, remembers the request durably, and asks again by itself until it is decided.
   *
   * @returns how it stands after the first try; undefined when this node is a member at once.
   * @throws NodeError ALREADY_FEDERATED, REQUEST_PENDING, INVALID_INPUT
   */
  request(wish: Wish): Promise<Petition | undefined> {
    return this.#changes.run(async () => {
      this.#refuseSecondFederation()
      const open = this.#petition
      if (open !== undefined && isOpen(open)) {
        const message = `This node has a request open already${open.federationName === undefined ? '' : `, at ${open.federationName}`}; take it back with "maoctl federation request --withdraw" before another`
        throw new NodeError('REQUEST_PENDING', message)
      }
      const { network, clock } = this.#parts
      await this.#remember(wishToPetition(wish, await whereToAsk(network, wish), clock.now()))
      await this.#ask()
      return this.#petition
    })
  }

  /** Takes the request back, as far as this node goes; operators see it until it expires. @throws NodeError REQUEST_NOT_FOUND */
  withdraw(): Promise<void> {
    return this.#changes.run(async () => {
      if (this.#petition === undefined)
        throw new NodeError('REQUEST_NOT_FOUND', 'This node has made no request')
      clearTimeout(this.#timer)
      await this.#remember(undefined)
    })
  }

  /**
   * Leaves the federation. Datasets, runs and settings stay on this node; it can join another federation, or this one
   * again.
   *
   * @param options.force leaves also when no operator can be told.
   * @throws NodeError NO_FEDERATION, CONFLICT for the last operator among others, PEER_UNREACHABLE
   */
  leave(options: { reason?: string; force?: boolean } = {}): Promise<Genesis> {
    return this.#changes.run(async () => {
      const { current, memory, invitations, network, close, log } = this.#parts
      const rooms = current()
      if (rooms === undefined) throw new NodeError('NO_FEDERATION', 'This node is in no federation')
      const { reason = '', force = false } = options
      try {
        await rooms.membership.takeLeave(reason === '' ? 'it left' : `it left: ${reason}`)
      } catch (error) {
        if (!force || !isNodeError(error, 'PEER_UNREACHABLE')) throw error
        log.warn({ error: error.message }, 'this node leaves without a word')
      }
      // Forgotten first: a crash from here on must not bring the node back into it.
      await memory.forget()
      await invitations.clear()
      await close()
      await network.rekey(undefined)
      return rooms.genesis
    })
  }

  /** Tries once to be told how the request stands; what comes of it is remembered. */
  async #ask(): Promise<void> {
    const { network, clock, name, settle, memory } = this.#parts
    const petition = this.#petition
    if (petition === undefined || !isOpen(petition)) return
    const outcome = await askAround(network, petition, name, () => clock.now())
    if ('petition' in outcome) {
      await this.#remember(outcome.petition)
      if (isOpen(outcome.petition)) this.#askLater(againMs(outcome.petition))
      return
    }
    const { genesis, peer } = outcome
    await this.#enter({ genesis, contacts: petition.addresses })
    this.#petition = undefined
    await memory.rememberPetition(undefined)
    await settle(peer)
  }

  #askLater(waitMs: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped || this.#petition === undefined || !isOpen(this.#petition)) return
    this.#timer = setTimeout(() => {
      this.#changes
        .run(() => this.#ask())
        .catch((error: unknown) => {
          this.#parts.log.warn({ error: messageOf(error) }, 'the request could not be asked again')
          if (this.#petition !== undefined) this.#askLater(againMs(this.#petition))
        })
    }, waitMs)
    this.#timer.unref()
  }

  async #remember(petition: Petition | undefined): Promise<void> {
    await this.#parts.memory.rememberPetition(petition)
    this.#petition = petition
  }

  /** Does `enter` in the network of that key; when it fails, the node is back in the one it was in. */
  async #inNetwork<T>(key: Uint8Array | undefined, enter: () => Promise<T>): Promise<T> {
    const { network } = this.#parts
    const before = network.networkKey
    await network.rekey(key)
    try {
      return await enter()
    } catch (error) {
      await network.rekey(before)
      throw error
    }
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
    clearTimeout(this.#timer)
    if (this.#petition !== undefined) await this.#remember(undefined)
  }

  #refuseSecondFederation(): void {
    const genesis = this.#parts.current()?.genesis
    if (genesis === undefined) return
    const { name } = genesis
    const message = `This node is in the federation ${name} already; leave it first with "maoctl federation leave", or use a node of its own for a second one (--data DIR)`
    throw new NodeError('ALREADY_FEDERATED', message, { name })
  }
}

function keyOf(networkKey: Uint8Array | undefined): { networkKey?: Uint8Array } {
  return networkKey === undefined ? {} : { networkKey }
}
