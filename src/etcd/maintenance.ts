/** etcd's Maintenance service (protocols/etcd.md §7). */
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { Call } from './call.ts'
import { type HeaderAt, TERM } from './header.ts'
import { refusals, refuse, STATUS } from './status.ts'

export interface MaintenanceParts {
  readonly keyValues: Pick<
    KeyValueStore,
    'revision' | 'compacted' | 'hash' | 'sizeBytes' | 'sizeInUseBytes' | 'failing' | 'defragment'
  >
  readonly header: HeaderAt
  readonly member: bigint
  /** Streams the whole store as a database of etcd. */
  readonly snapshot: (call: Call<object>) => void
}

/** The version of the API that is spoken; the build behind it is not etcd's, and says so. */
export const API_VERSION = '3.4.0+mao'
/** etcd's AlarmAction and AlarmType, as they travel. */
const ACTIVATE = 1
const NO_SPACE = 1

export class Maintenance {
  readonly #parts: MaintenanceParts
  /** As `GrpcServer` takes them. */
  readonly unary = {
    Status: () => this.status(),
    Hash: () => this.hash(),
    HashKV: (request: { readonly revision: bigint }) => this.hashKeyValues(request),
    Alarm: (request: { readonly action: number }) => this.alarm(request),
    Defragment: () => this.defragment(),
    MoveLeader: () => Promise.reject(refusals.badTransferee()),
  }
  readonly duplex = { Snapshot: (call: Call<object>) => this.#parts.snapshot(call) }

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
  }

  status() {
    const { keyValues, member } = this.#parts
    const { revision } = keyValues
    return {
      header: this.#header(),
      version: API_VERSION,
      dbSize: keyValues.sizeBytes(),
      dbSizeInUse: keyValues.sizeInUseBytes(),
      // Every node answers for itself.
      leader: member,
      raftIndex: revision,
      raftTerm: TERM,
      raftAppliedIndex: revision,
      errors: this.#alarms().map(({ memberID }) => `memberID:${memberID} alarm:NOSPACE `),
    }
  }

  hash() {
    return { header: this.#header(), hash: this.#parts.keyValues.hash().hash }
  }

  /** The hash of what is there can be asked for, but not of the compacted revision itself, as in etcd. @throws EtcdError */
  hashKeyValues({ revision }: { readonly revision: bigint }) {
    const at = Number(revision)
    if (at > 0 && at <= this.#parts.keyValues.compacted) throw refusals.compacted()
    const { hash, compacted } = this.#parts.keyValues.hash(at)
    return { header: this.#header(), hash, compact_revision: compacted }
  }

  /** @throws EtcdError */
  alarm({ action }: { readonly action: number }) {
    if (action === ACTIVATE) {
      throw refuse(STATUS.UNIMPLEMENTED, 'an alarm is raised by the node itself, when its disk is full')
    }
    // It is over when there is room again, whoever says so before.
    return { header: this.#header(), alarms: this.#alarms() }
  }

  /** @throws NodeError STORE_FAILED */
  async defragment() {
    await this.#parts.keyValues.defragment()
    return { header: this.#header() }
  }

  #alarms() {
    const { keyValues, member } = this.#parts
    return keyValues.failing ? [{ memberID: member, alarm: NO_SPACE }] : []
  }

  #header() {
    const { header, keyValues } = this.#parts
    return header(keyValues.revision)
  }
}
