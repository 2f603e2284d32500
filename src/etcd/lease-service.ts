/** etcd's Lease service (protocols/etcd.md §6) over the registry's leases. */
import { isNodeError } from '../base/errors.ts'
import { etcdKeepAlivesPendingMax, leaseTtlSecondsMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { keyBytes } from '../registry/key-range.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { Leases } from '../registry/leases.ts'
import type { Call } from './call.ts'
import type { HeaderAt } from './header.ts'
import type { LeaseGrantRequest, LeaseRequest, LeaseTimeToLiveRequest } from './requests.ts'
import { refusals, refuse, STATUS, toStatus } from './status.ts'

export interface LeaseServiceParts {
  readonly keyValues: Pick<KeyValueStore, 'revision'> & {
    readonly leases: Pick<Leases, 'grant' | 'revoke' | 'keepAlive' | 'timeToLive' | 'list'>
  }
  readonly header: HeaderAt
  readonly log: Logger
}

/** What etcd says of a lease that is not there. */
const NO_TIME_TO_LIVE = -1

export class LeaseService {
  readonly #parts: LeaseServiceParts
  /** As `GrpcServer` takes them. */
  readonly unary = {
    LeaseGrant: (request: LeaseGrantRequest) => this.grant(request),
    LeaseRevoke: (request: LeaseRequest) => this.revoke(request),
    LeaseTimeToLive: (request: LeaseTimeToLiveRequest) => this.timeToLive(request),
    LeaseLeases: () => this.leases(),
  }
  readonly duplex = { LeaseKeepAlive: (call: Call<LeaseRequest>) => this.#keepAlives(call) }

  constructor(parts: LeaseServiceParts) {
    this.#parts = parts
  }

  /** A time below the shortest becomes the shortest, as in etcd. @throws EtcdError, NodeError LEASE_EXISTS */
  async grant({ ID, TTL }: LeaseGrantRequest) {
    if (TTL > BigInt(leaseTtlSecondsMax)) throw refusals.leaseTooLong()
    const { id, ttlSeconds } = await this.#leases.grant(ID, Math.max(1, Number(TTL)))
    return { header: this.#header(), ID: id, TTL: ttlSeconds }
  }

  /** @throws NodeError LEASE_NOT_FOUND */
  async revoke({ ID }: LeaseRequest) {
    const revision = await this.#leases.revoke(ID)
    return { header: this.#parts.header(revision) }
  }

  timeToLive({ ID, keys }: LeaseTimeToLiveRequest) {
    const lease = this.#leases.timeToLive(ID)
    const header = this.#header()
    if (lease === undefined) return { header, ID, TTL: NO_TIME_TO_LIVE }
    const { ttlSeconds, grantedSeconds } = lease
    const attached = keys ? lease.keys.map(keyBytes) : []
    return { header, ID, TTL: ttlSeconds, grantedTTL: grantedSeconds, keys: attached }
  }

  leases() {
    return { header: this.#header(), leases: this.#leases.list().map((ID) => ({ ID })) }
  }

  /** Answers in the order of the questions, each once it is durable; a lease that is not there has no time. */
  #keepAlives(call: Call<LeaseRequest>): void {
    let pending = 0
    let last: Promise<void> = Promise.resolve()
    let over = false
    let taken: () => void = () => undefined
    const end = (error?: unknown) => {
      if (over) return
      over = true
      call.end(error === undefined ? undefined : toStatus(error, this.#parts.log))
    }
    const answer = async (ID: bigint, renewed: Promise<number>) => {
      const TTL = await renewed
      if (over) return
      const room = call.write({ header: this.#header(), ID, TTL })
      if (!room) await new Promise<void>((resolve) => (taken = resolve))
      pending -= 1
    }
    call.onMessage(({ ID }) => {
      if (over) return
      pending += 1
      if (pending > etcdKeepAlivesPendingMax) {
        end(
          refuse(
            STATUS.RESOURCE_EXHAUSTED,
            `more than ${etcdKeepAlivesPendingMax} keep-alives wait for an answer`,
          ),
        )
        return
      }
      const renewed = this.#renew(ID)
      last = Promise.all([last, renewed]).then(() => answer(ID, renewed))
      last.catch(end)
    })
    call.onDrain(() => taken())
    call.onEnd(() => void last.then(() => end(), end))
    call.onClose(() => {
      over = true
      taken()
    })
  }

  async #renew(id: bigint): Promise<number> {
    try {
      return await this.#leases.keepAlive(id)
    } catch (error) {
      if (isNodeError(error, 'LEASE_NOT_FOUND')) return 0
      throw error
    }
  }

  get #leases() {
    return this.#parts.keyValues.leases
  }

  #header() {
    const { keyValues, header } = this.#parts
    return header(keyValues.revision)
  }
}
