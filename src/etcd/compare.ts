import { type KeyRange, rangeOf } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { Compare } from './requests.ts'
import type { TxnVisits } from './txn-visits.ts'

/** etcd's CompareTarget and CompareResult, as they travel. */
const VALUE_TARGET = 3
const [EQUAL, GREATER, LESS, NOT_EQUAL] = [0, 1, 2, 3]

/** What comparisons look at. */
export interface Compared {
  get(key: string): KeyValue | undefined
  /** Sorted by key. */
  range(range: KeyRange): readonly KeyValue[]
  /** About how many keys `range` would give, told before they are put together. */
  count(range: KeyRange): number
}

/** True when all comparisons hold. @throws EtcdError when they look at too much. */
export function allHold(comparisons: readonly Compare[], view: Compared, visits: TxnVisits): boolean {
  return comparisons.every((comparison) => holds(comparison, view, visits))
}

/** True when it holds for every key of its range; a range without keys is as a key that is not there. */
function holds(comparison: Compare, view: Compared, visits: TxnVisits): boolean {
  const range = rangeOf(comparison.key, comparison.range_end)
  visits.spend(1)
  if (range.to === undefined) return holdsFor(comparison, view.get(range.from))
  visits.spend(view.count(range))
  const present = view.range(range)
  if (present.length === 0) return holdsFor(comparison, undefined)
  return present.every((kv) => holdsFor(comparison, kv))
}

function holdsFor(comparison: Compare, kv: KeyValue | undefined): boolean {
  // Nothing is no value, not even an empty one: whatever is asked of it does not hold.
  if (kv === undefined && comparison.target === VALUE_TARGET) return false
  return fits(comparison.result, order(comparison, kv))
}

/** Below zero when the key's figure is less than the one asked for, above when it is greater. */
function order(comparison: Compare, kv: KeyValue | undefined): number {
  switch (comparison.target) {
    case 0:
      return differ(BigInt(kv?.version ?? 0), comparison.version)
    case 1:
      return differ(BigInt(kv?.created ?? 0), comparison.create_revision)
    case 2:
      return differ(BigInt(kv?.modified ?? 0), comparison.mod_revision)
    case VALUE_TARGET:
      return Buffer.compare(kv?.value ?? new Uint8Array(), comparison.value)
    case 4:
      return differ(kv?.lease ?? 0n, comparison.lease)
    default:
      // As etcd takes a target that it does not know.
      return 0
  }
}

function differ(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A result that is none of the four holds, as in etcd. */
function fits(result: number, order: number): boolean {
  if (result === EQUAL) return order === 0
  if (result === NOT_EQUAL) return order !== 0
  if (result === GREATER) return order > 0
  return result === LESS ? order < 0 : true
}
