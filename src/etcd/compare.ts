import { rangeOf } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { Transaction } from '../registry/transaction.ts'
import type { Compare } from './requests.ts'

/** etcd's CompareTarget and CompareResult, as they travel. */
const VALUE_TARGET = 3
const [EQUAL, GREATER, LESS, NOT_EQUAL] = [0, 1, 2, 3]

/** True when all comparisons hold. */
export function allHold(comparisons: readonly Compare[], view: Pick<Transaction, 'range'>): boolean {
  return comparisons.every((comparison) => holds(comparison, view))
}

/** True when it holds for every key of its range; a range without keys is as a key that is not there. */
function holds(comparison: Compare, view: Pick<Transaction, 'range'>): boolean {
  const present = view.range(rangeOf(comparison.key, comparison.range_end))
  if (present.length > 0) return present.every((kv) => fits(comparison.result, order(comparison, kv)))
  // Nothing is no value, not even an empty one: whatever is asked of it does not hold.
  if (comparison.target === VALUE_TARGET) return false
  return fits(comparison.result, order(comparison, undefined))
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
