/**
 * What each dataset takes of the disk, and what may still come. Whoever brings bytes in has a claim, which counts them
 * as they come, so that several transfers at once cannot each take the same room.
 */
import { freeBytesAt } from '../../base/disk-space.ts'
import { freeLookBytes } from '../../base/limits.ts'
import type { DatasetEvent } from '../dataset-events.ts'
import type { RepositorySize } from '../git/repository.ts'
import type { DatasetsSettings } from '../settings.ts'
import { type Bound, noRoom, type Room, roomLeft, type Usage } from './room-left.ts'

export interface AccountsParts {
  /** On the disk that counts. */
  readonly directory: string
  readonly settings: Pick<DatasetsSettings, 'quotaBytes' | 'totalBytes' | 'freeBytesMin'>
  readonly emit: (event: DatasetEvent) => void
}

interface Account {
  readonly measure: () => Promise<RepositorySize>
  size: RepositorySize | undefined
  /** `size` is not the whole truth any more; `unknown`: nor is it with what has grown. */
  stale: boolean
  unknown: boolean
  /** Bytes that have come since, or tried to. */
  grown: number
  measuring: Promise<RepositorySize> | undefined
  /** Bytes on their way in. */
  claimed: number
}

/** Of a bound: below this share nobody measures anew. */
const FAR = 0.9

/** Room that is being taken. */
export interface Claim {
  /** Counts bytes before they are written. @throws NodeError QUOTA_EXCEEDED, DISK_FULL. */
  take(bytes: number): Promise<void>
  /** What was taken is now part of the dataset, or gone. */
  settle(): void
}

export class Accounts {
  readonly #parts: AccountsParts
  readonly #accounts = new Map<string, Account>()
  /** What was told once, until there was room again. */
  readonly #told = new Set<string>()

  constructor(parts: AccountsParts) {
    this.#parts = parts
  }

  get reserveBytes(): number {
    return this.#parts.settings.freeBytesMin
  }

  open(dataset: string, measure: () => Promise<RepositorySize>): void {
    this.#accounts.set(dataset, {
      ...{ measure, size: undefined, stale: true, unknown: true, grown: 0, measuring: undefined, claimed: 0 },
    })
  }

  close(dataset: string): void {
    this.#accounts.delete(dataset)
    this.#told.delete(`quota ${dataset}`)
  }

  datasets(): string[] {
    return [...this.#accounts.keys()]
  }

  /** As far as it was measured; what has come since is not in it. */
  known(dataset: string): RepositorySize | undefined {
    return this.#accounts.get(dataset)?.size
  }

  /** Measures where something has changed. @throws what reading the disk throws. */
  async size(dataset: string): Promise<RepositorySize | undefined> {
    const account = this.#accounts.get(dataset)
    if (account === undefined) return undefined
    if (!account.stale && account.size !== undefined) return account.size
    account.measuring ??= this.#measure(account)
    return account.measuring
  }

  /** Something has come or gone that was not counted. */
  changed(dataset: string): void {
    const account = this.#accounts.get(dataset)
    if (account === undefined) return
    account.stale = true
    account.unknown = true
  }

  /** As it is, measured where something has changed. */
  async usage(dataset: string): Promise<Usage> {
    const { directory, settings } = this.#parts
    const measured = settings.totalBytes > 0 ? this.datasets() : [dataset]
    for (const name of measured) await this.size(name)
    return this.#usage(dataset, await freeBytesAt(directory))
  }

  /**
   * The same for who is about to bring something: while the bounds are far away, what came since the last measuring is
   * only added up, so that a small commit does not wait for a walk through its repository.
   */
  async #usageNearly(dataset: string): Promise<Usage> {
    const { directory, settings } = this.#parts
    const measured = settings.totalBytes > 0 ? this.datasets() : [dataset]
    for (const name of measured) if (this.#accounts.get(name)?.unknown === true) await this.size(name)
    const usage = this.#usage(dataset, await freeBytesAt(directory))
    const { quotaBytes, totalBytes, bytes, bytesOfAll } = usage
    const isFar = (taken: number, bound: number) => bound === 0 || taken < FAR * bound
    return isFar(bytes, quotaBytes) && isFar(bytesOfAll, totalBytes) ? usage : this.usage(dataset)
  }

  async room(dataset: string): Promise<Room> {
    return roomLeft(await this.usage(dataset))
  }

  /** @throws NodeError QUOTA_EXCEEDED, DISK_FULL when there is no room at all. */
  async claim(dataset: string): Promise<Claim> {
    const usage = await this.#usageNearly(dataset)
    const room = roomLeft(usage)
    if (room.bytes === 0) throw this.#refuse(dataset, usage, room.bound)
    let [taken, unseen, freeBytes, refused] = [0, 0, usage.freeBytes, false]
    const take = async (bytes: number) => {
      if (unseen >= freeLookBytes) {
        freeBytes = await freeBytesAt(this.#parts.directory)
        unseen = 0
      }
      // What has been written meanwhile is missing from the free space already.
      const now = this.#usage(dataset, freeBytes - unseen)
      const left = roomLeft(now)
      if (bytes >= left.bytes) {
        refused = true
        throw this.#refuse(dataset, now, left.bound, bytes)
      }
      taken += bytes
      unseen += bytes
      const account = this.#accounts.get(dataset)
      if (account !== undefined) account.claimed += bytes
    }
    const settle = () => {
      const account = this.#accounts.get(dataset)
      if (account !== undefined && taken > 0) {
        account.stale = true
        account.claimed -= taken
        account.grown += taken
      }
      if (taken > 0 && !refused) this.#foundRoom(dataset)
      taken = 0
    }
    return { take, settle }
  }

  /** Something has come in: should there be no room another time, that is news. */
  #foundRoom(dataset: string): void {
    for (const told of [`quota ${dataset}`, `total ${dataset}`, 'disk']) this.#told.delete(told)
  }

  #usage(dataset: string, freeBytes: number): Usage {
    const { quotaBytes, totalBytes, freeBytesMin } = this.#parts.settings
    const bytesOf = ({ size, grown, claimed }: Account) => (size?.bytes ?? 0) + grown + claimed
    const account = this.#accounts.get(dataset)
    let bytesOfAll = 0
    // Asked with each chunk that comes, and of no use without the bound.
    if (totalBytes > 0) for (const one of this.#accounts.values()) bytesOfAll += bytesOf(one)
    const bytes = account === undefined ? 0 : bytesOf(account)
    const comingBytes = account?.claimed ?? 0
    return { bytes, bytesOfAll, comingBytes, quotaBytes, totalBytes, freeBytes, freeBytesMin }
  }

  async #measure(account: Account): Promise<RepositorySize> {
    // What changes from here on may be missed.
    account.stale = false
    account.unknown = false
    const { grown } = account
    try {
      account.size = await account.measure()
      account.grown -= grown
      return account.size
    } catch (error) {
      account.stale = true
      account.unknown = true
      throw error
    } finally {
      account.measuring = undefined
    }
  }

  #refuse(dataset: string, usage: Usage, bound: Bound, wantedBytes?: number) {
    const told = bound === 'disk' ? 'disk' : `${bound} ${dataset}`
    if (!this.#told.has(told)) {
      this.#told.add(told)
      const { freeBytes, freeBytesMin, quotaBytes, totalBytes } = usage
      if (bound === 'disk') this.#parts.emit({ type: 'disk-low', dataset, freeBytes, freeBytesMin })
      else {
        const [bytes, bytesMax] =
          bound === 'quota' ? [usage.bytes, quotaBytes] : [usage.bytesOfAll, totalBytes]
        this.#parts.emit({ type: 'quota-exceeded', dataset, bound, bytes, bytesMax })
      }
    }
    return noRoom({ dataset, usage, bound, ...(wantedBytes === undefined ? {} : { wantedBytes }) })
  }
}
