import sortedBtree from 'sorted-btree'

/** A map whose text keys are kept in order (by UTF-16 code units): a B+ tree in memory. */
export class OrderedMap<V> extends sortedBtree.default<string, V> {
  constructor() {
    super(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
  }
}
