import { readFile } from 'node:fs/promises'
import { NodeError } from '../../base/errors.ts'
import { IdTable, OID_BYTES } from './id-table.ts'

const HEAD_BYTES = 8 + 256 * 4
const SUMS_BYTES = 40
/** Set in a place that is too far away for 31 bits, and stands in a table of its own. */
const FAR = 0x80000000

/** Where each object of a pack begins and ends (gitformat-pack, index version 2). */
export class PackIndex {
  readonly ids: IdTable
  readonly #places: Float64Array
  readonly #sorted: Float64Array

  /** @param packBytes of the pack that this is the index of. */
  constructor(index: Buffer, packBytes: number) {
    this.ids = new IdTable(index)
    const { count } = this.ids
    const near = HEAD_BYTES + count * (OID_BYTES + 4)
    const far = near + count * 4
    if (index.length < far + SUMS_BYTES) throw unreadable()
    this.#places = new Float64Array(count)
    for (let i = 0; i < count; i += 1) {
      const place = index.readUInt32BE(near + i * 4)
      const farAt = far + (place - FAR) * 8
      if (place >= FAR && farAt + 8 > index.length) throw unreadable()
      this.#places[i] = place < FAR ? place : Number(index.readBigUInt64BE(farAt))
    }
    this.#sorted = Float64Array.from([...this.#places, packBytes - OID_BYTES]).sort()
  }

  static async read(path: string, packBytes: number): Promise<PackIndex> {
    return new PackIndex(await readFile(path), packBytes)
  }

  placeOf(oid: string): number | undefined {
    const index = this.ids.indexOf(oid)
    return index === -1 ? undefined : this.#places[index]
  }

  /** Where the object that begins at `place` ends. @throws NodeError GIT_FAILED when none begins there. */
  endOf(place: number): number {
    let [low, high] = [0, this.#sorted.length - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] as number) < place) low = middle + 1
      else high = middle
    }
    const end = this.#sorted[low + 1]
    if (this.#sorted[low] !== place || end === undefined) throw unreadable()
    return end
  }
}

function unreadable(): NodeError {
  return new NodeError('GIT_FAILED', 'The index of a pack cannot be read')
}
