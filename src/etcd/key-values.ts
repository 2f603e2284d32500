/**
 * etcd's KV service over the registry (protocols/etcd.md §3). Reads come from this node's memory; a Put or DeleteRange
 * is durable here, and on its way to the other members, when it is answered.
 */

import { status } from '@grpc/grpc-js'
import { PREFIXES, ruleOf } from '../federation/keyspace.ts'
import type { Members } from '../federation/members.ts'
import type { Registry } from '../registry/registry.ts'
import type { Entry } from '../registry/watchers.ts'
import { isShared, isWithin, type KeyRange, prefixOf, rangeOf } from './key-range.ts'
import { select } from './select.ts'
import type { ShownKeys } from './shown-keys.ts'
import { refusals, refuse } from './status.ts'
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  ResponseHeader,
} from './types.ts'

export interface KeyValuesParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'revision'>
  readonly members: Pick<Members, 'get' | 'self'>
  readonly shown: Pick<ShownKeys, 'keyValue'>
  readonly header: () => ResponseHeader
}

export class KeyValues {
  readonly #parts: KeyValuesParts

  constructor(parts: KeyValuesParts) {
    this.#parts = parts
  }

  /** @throws EtcdError */
  range(request: RangeRequest): RangeResponse {
    const { registry, shown, header } = this.#parts
    const range = sharedRange(request.key, request.range_end)
    const revision = Number(request.revision)
    // Only the present is kept: a past revision is answered as one that etcd has compacted.
    if (revision > registry.revision) throw refusals.futureRevision()
    if (revision > 0 && revision < registry.revision) throw refusals.compacted()
    const keyValues = this.#entries(range).map((entry) => shown.keyValue(entry))
    const { kvs, more, count } = select(keyValues, request)
    return { header: header(), kvs, more, count: String(count) }
  }

  /** @throws EtcdError, and what `Registry.put` throws. */
  async put(request: PutRequest): Promise<PutResponse> {
    const { registry, members, shown, header } = this.#parts
    const { from: key } = sharedRange(request.key, Buffer.alloc(0))
    if (request.ignore_value && request.value.length > 0) throw refusals.valueProvided()
    if (request.ignore_lease && request.lease !== '0') throw refusals.leaseProvided()
    if (request.lease !== '0') throw refusals.leaseNotFound()
    const previous = registry.get(key)
    const keeps = request.ignore_value || request.ignore_lease
    if (keeps && previous === undefined) throw refusals.keyNotFound()
    if (previous !== undefined) this.#refuseForeign(previous)
    // A copy: what is decoded is a window into the whole request, which would stay in memory with it.
    const value =
      request.ignore_value && previous !== undefined ? previous.value : new Uint8Array(request.value)
    // Read now, as long as it still is what the key shows.
    const replaced = previous === undefined ? undefined : shown.keyValue(previous)
    const entry = await registry.put(key, value)
    // Another member's earlier claim has just arrived.
    if (entry.author !== members.self().peer) this.#refuseForeign(entry)
    return { header: header(), ...(request.prev_kv && replaced !== undefined ? { prev_kv: replaced } : {}) }
  }

  /** Deletes one key after another; @throws EtcdError, and what `Registry.delete` throws. */
  async deleteRange(request: DeleteRangeRequest): Promise<DeleteRangeResponse> {
    const { registry, shown, header } = this.#parts
    const entries = this.#entries(sharedRange(request.key, request.range_end))
    for (const entry of entries) this.#refuseForeign(entry)
    const deleted = entries.map((entry) => shown.keyValue(entry))
    for (const { key } of entries) await registry.delete(key)
    const prev_kvs = request.prev_kv ? deleted : []
    return { header: header(), deleted: String(deleted.length), prev_kvs }
  }

  #entries(range: KeyRange): Entry[] {
    const { registry } = this.#parts
    if (range.to !== undefined) {
      return registry.list(prefixOf(range)).filter((entry) => isWithin(entry.key, range))
    }
    const entry = registry.get(range.from)
    return entry === undefined ? [] : [entry]
  }

  /**
   * A claim beside another member's would be kept but not shown, and an etcd client could not tell; so it is refused
   * here. Where only one member may write, the registry refuses by itself.
   */
  #refuseForeign(entry: Entry): void {
    const { members } = this.#parts
    const self = members.self()
    if (entry.author === self.peer || self.role === 'operator') return
    if (ruleOf(entry.key)?.writers !== 'claims') return
    const author = members.get(entry.author)?.name ?? entry.author
    const details = `${entry.key} is the claim of ${author}; only its author or an operator changes or deletes it`
    throw refuse(status.PERMISSION_DENIED, details)
  }
}

/** The range that a request names. @throws EtcdError when it names none, or one that the federation does not share. */
export function sharedRange(key: Buffer, rangeEnd: Buffer): KeyRange {
  if (key.length === 0) throw refusals.emptyKey()
  const range = rangeOf(key, rangeEnd)
  if (isShared(range)) return range
  const details = `the federation shares no key ${JSON.stringify(range.from)}; it shares keys below ${PREFIXES.join(' ')}`
  throw refuse(status.INVALID_ARGUMENT, details)
}
