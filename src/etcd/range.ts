import type { KeyValue } from '../registry/key-value.ts'
import type { RangeRequest } from './requests.ts'

/** What a RangeResponse says beside its header. */
export interface Ranged {
  readonly kvs: readonly (KeyValue | BareKey)[]
  readonly more: boolean
  readonly count: number
}

/** A key-value without its value, as `keys_only` asks for it. */
export interface BareKey {
  readonly key: Uint8Array
  readonly create_revision: number
  readonly mod_revision: number
  readonly version: number
  readonly lease: bigint
}

/** etcd's SortOrder, as it travels. */
const [ASCEND, DESCEND] = [1, 2]
type Order = (a: KeyValue, b: KeyValue) => number

/** By etcd's SortTarget; keys come sorted. */
const TARGETS: readonly Order[] = [
  (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  (a, b) => a.version - b.version,
  (a, b) => a.created - b.created,
  (a, b) => a.modified - b.modified,
  (a, b) => Buffer.compare(a.value, b.value),
]

/**
 * What a Range request takes of the key-values in its range, which come sorted by key. Pure.
 *
 * @returns `count` is that of the range, whatever the bounds and the limit leave of it, as etcd counts.
 */
export function select(inRange: readonly KeyValue[], request: RangeRequest): Ranged {
  const count = inRange.length
  const limit = Number(request.limit)
  const sorted = inOrder(within(fetched(inRange, request, limit), request), request)
  const more = limit > 0 && sorted.length > limit
  const kvs = more ? sorted.slice(0, limit) : sorted
  return { kvs: request.keys_only ? kvs.map(bareKey) : kvs, more, count }
}

/** Without an order and bounds, etcd looks at one key more than the limit and no further, and sorts only those. */
function fetched(inRange: readonly KeyValue[], request: RangeRequest, limit: number): readonly KeyValue[] {
  return limit > 0 && request.sort_order === 0 && !isBounded(request) ? inRange.slice(0, limit + 1) : inRange
}

function isBounded(request: RangeRequest): boolean {
  return (
    request.min_mod_revision !== 0n ||
    request.max_mod_revision !== 0n ||
    request.min_create_revision !== 0n ||
    request.max_create_revision !== 0n
  )
}

/** Those whose revisions lie between the bounds; a bound of zero is none. */
function within(kvs: readonly KeyValue[], request: RangeRequest): readonly KeyValue[] {
  if (!isBounded(request)) return kvs
  const [leastModified, mostModified] = [Number(request.min_mod_revision), Number(request.max_mod_revision)]
  const [leastCreated, mostCreated] = [
    Number(request.min_create_revision),
    Number(request.max_create_revision),
  ]
  return kvs.filter(({ modified, created }) => {
    return (
      (leastModified === 0 || modified >= leastModified) &&
      (mostModified === 0 || modified <= mostModified) &&
      (leastCreated === 0 || created >= leastCreated) &&
      (mostCreated === 0 || created <= mostCreated)
    )
  })
}

function inOrder(kvs: readonly KeyValue[], { sort_order, sort_target }: RangeRequest): readonly KeyValue[] {
  const order = TARGETS[sort_target]
  if (order === undefined) return kvs
  if (sort_order === DESCEND) return kvs.toSorted((a, b) => order(b, a))
  // A target other than the key without an order means ascending, as in etcd.
  const sorts = sort_target !== 0 && (sort_order === ASCEND || sort_order === 0)
  return sorts ? kvs.toSorted(order) : kvs
}

function bareKey({ key, created, modified, version, lease }: KeyValue): BareKey {
  const revisions = { create_revision: created, mod_revision: modified }
  return { key: Buffer.from(key, 'latin1'), ...revisions, version, lease }
}
