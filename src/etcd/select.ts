import type { KeyValue, RangeRequest } from './types.ts'

/** etcd's SortOrder and SortTarget, as they travel. */
const DESCEND = 2
const NO_ORDER = 0
type Compare = (a: KeyValue, b: KeyValue) => number

const TARGETS: readonly Compare[] = [
  (a, b) => Buffer.compare(a.key, b.key),
  (a, b) => Number(a.version) - Number(b.version),
  (a, b) => Number(a.create_revision) - Number(b.create_revision),
  (a, b) => Number(a.mod_revision) - Number(b.mod_revision),
  (a, b) => Buffer.compare(a.value, b.value),
]

const NOTHING = new Uint8Array(0)

/**
 * What a Range request takes of the key-values in its range, which come sorted by key. Pure.
 *
 * @returns `count` is that of the range, whatever the filters and the limit leave of it, as etcd counts.
 */
export function select(
  inRange: readonly KeyValue[],
  request: RangeRequest,
): { kvs: KeyValue[]; more: boolean; count: number } {
  const count = inRange.length
  if (request.count_only) return { kvs: [], more: false, count }
  const kvs = inRange.filter((kv) => {
    return (
      between(kv.mod_revision, request.min_mod_revision, request.max_mod_revision) &&
      between(kv.create_revision, request.min_create_revision, request.max_create_revision)
    )
  })
  const compare = TARGETS[request.sort_target]
  // As etcd does: a target other than the key without an order means ascending.
  if (compare !== undefined && (request.sort_order !== NO_ORDER || request.sort_target !== 0)) {
    kvs.sort(request.sort_order === DESCEND ? (a, b) => compare(b, a) : compare)
  }
  const limit = Number(request.limit)
  const more = limit > 0 && kvs.length > limit
  const taken = more ? kvs.slice(0, limit) : kvs
  return { kvs: request.keys_only ? taken.map((kv) => ({ ...kv, value: NOTHING })) : taken, more, count }
}

/** Zero bounds are none. */
function between(revision: string, min: string, max: string): boolean {
  return Number(revision) >= Number(min) && (Number(max) === 0 || Number(revision) <= Number(max))
}
