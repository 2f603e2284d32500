/**
 * How a node comes into a federation and out of it: it founds one, joins one with an invitation, or asks to be admitted
 * and asks again until somebody has decided. Changes run one after another, so that a node never ends up in two, and
 * what it has become is remembered before anything of it starts.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { admissionLateMs, admissionShownMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { delay } from '../base/wait.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Network } from '../network/network.ts'
import { askAround, type Wish, whereToAsk, wishToPetition, withdrawAround } from './ask-around.ts'
import { createGenesis, type Genesis, type NewFederation } from './genesis.ts'
import { decodeInvitation, type InvitationBook } from './invitations.ts'
import { requestAdmission } from './join.ts'
import type { Members } from './members.ts'
import type { Membership } from './membership.ts'
import type { FederationMemory, Remembered } from './memory.ts'
import { againMs, failed, isAskedAgain, isOpen, type Petition } from './petition.ts'

/** Changes of one node's federation that wait for each other. */
const CHANGES_WAITING_MAX = 16
const NETWORK_KEY_BYTES = 32

interface EnteredRooms {
  readonly genesis: Genesis
  readonly membership: Membership
  readonly members: Pick<Members, 'isMember' | 'former' | 'onChange'>
}

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
  readonly current: () => EnteredRooms | undefined
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
  readonly #stopping = new AbortController()

  constructor(parts: EntranceParts) {
    this.#parts = parts
  }

  /** Opens what this node is in, or goes on asking where it has asked. */
  async resume(): Promise<void> {
    const { memory, open } = this.#parts
    const remembered = await memory.recall()
    this.#petition = await memory.recallPetition()
    if (remembered !== undefined) await open(remembered)
    // Where both are remembered, nobody has shown this node its admission yet.
    this.#askLater(0)
  }

  /** Resolves when no change is under way, and none comes any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the node stops'))
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
      await this.#endPetition()
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
        if (genesis.private && networkKey === undefined) {
          const message = `${genesis.name} is private, and the invitation lacks its key; ask for a new one`
          throw new NodeError('INVITATION_INVALID', message)
        }
        await this.#enter({ genesis, contacts: invitation.addresses, ...keyOf(networkKey) })
        await this.#endPetition()
        await this.#parts.settle(peer)
        return genesis
      })
    })
  }

  /** How this node's own request stands; undefined when it has made none, or is a member by now. */
  get petition(): Petition | undefined {
    if (this.#parts.current()?.members.isMember(this.#parts.identity.peerId) === true) return undefined
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

  /** Takes the request back and tells the members that know of it, as far as they answer. @throws NodeError REQUEST_NOT_FOUND */
  withdraw(): Promise<void> {
    return this.#changes.run(async () => {
      const petition = this.#petition
      if (petition === undefined) throw new NodeError('REQUEST_NOT_FOUND', 'This node has made no request')
      clearTimeout(this.#timer)
      await this.#remember(undefined)
      if (petition.state === 'pending') await withdrawAround(this.#parts.network, petition)
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
      await this.#endPetition()
      await invitations.clear()
      await close()
      await network.rekey(undefined)
      return rooms.genesis
    })
  }

  /** Tries once to be told how the request stands; what comes of it is remembered. */
  async #ask(): Promise<void> {
    const { network, clock, name, settle, current } = this.#parts
    const petition = this.#petition
    if (petition === undefined || !isAskedAgain(petition, clock.now())) return
    if (current() !== undefined) return this.#confirm(petition, Promise.resolve())
    const outcome = await askAround(network, petition, name, () => clock.now())
    if ('petition' in outcome) {
      await this.#remember(outcome.petition)
      this.#askLater(againMs(outcome.petition))
      return
    }
    const { genesis, peer } = outcome
    await this.#enter({ genesis, contacts: petition.addresses })
    await this.#confirm(petition, settle(peer))
  }

  /**
   * [J11] Anybody can say "admitted", and has the genesis from a listing: the request is over when the registry shows the
   * admission, and until then this node can go out again and ask others.
   */
  async #confirm(petition: Petition, settled: Promise<void>): Promise<void> {
    const { current, memory, close, clock, identity } = this.#parts
    const rooms = current()
    if (rooms === undefined) return
    const { signal } = this.#stopping
    if (await hasShown(rooms.members, identity.peerId, settled, signal)) {
      await this.#endPetition()
      return settled
    }
    // A node that stops looks again when it is started.
    if (signal.aborted) return
    await memory.forget()
    await close()
    const why = 'Whoever said that this node is admitted has nothing to show for it'
    await this.#remember(failed(petition, why, clock.now()))
    if (this.#petition !== undefined) this.#askLater(againMs(this.#petition))
  }

  async #endPetition(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#petition !== undefined) await this.#remember(undefined)
  }

  #askLater(waitMs: number): void {
    clearTimeout(this.#timer)
    if (this.#stopping.signal.aborted || this.#petition === undefined) return
    if (!isAskedAgain(this.#petition, this.#parts.clock.now())) return
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
  }

  #refuseSecondFederation(): void {
    const genesis = this.#parts.current()?.genesis
    if (genesis === undefined) return
    const { name } = genesis
    const message = `This node is in the federation ${name} already; leave it first with "maoctl federation leave", or use a node of its own for a second one (--data DIR)`
    throw new NodeError('ALREADY_FEDERATED', message, { name })
  }
}

/** Waits until the registry says where `self` stands; not for long once the catch-up has ended. */
async function hasShown(
  members: EnteredRooms['members'],
  self: string,
  settled: Promise<void>,
  signal: AbortSignal,
): Promise<boolean> {
  const isShown = () => members.isMember(self) || members.former(self) !== undefined
  const ended = new AbortController()
  const waiting = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(admissionShownMs)])
  const late = settled.then(() => delay(admissionLateMs, waiting)).catch(() => undefined)
  const stop = members.onChange(() => isShown() && ended.abort())
  try {
    if (!isShown()) await Promise.race([late, delay(admissionShownMs, waiting).catch(() => undefined)])
    return isShown()
  } finally {
    ended.abort()
    stop()
  }
}

function keyOf(networkKey: Uint8Array | undefined): { networkKey?: Uint8Array } {
  return networkKey === undefined ? {} : { networkKey }
}
