import { readFile } from 'node:fs/promises'
import { NodeError } from '../../base/errors.ts'

export const OID_BYTES = 20
const HEADER_BYTES = 8
const FANOUT_BYTES = 256 * 4
const MAGIC = 0xff744f63

/** The sorted ids of a pack as they stand in its index (gitformat-pack, version 2): millions of them stay small. */
export class IdTable {
  readonly count: number
  readonly #fanout: Buffer
  readonly #ids: Buffer

  /** @throws NodeError GIT_FAILED when the bytes are no such index. */
  constructor(index: Buffer) {
    const first = HEADER_BYTES + FANOUT_BYTES
    const known = index.length >= first && index.readUInt32BE(0) === MAGIC && index.readUInt32BE(4) === 2
    this.count = known ? index.readUInt32BE(first - 4) : 0
    if (!known || index.length < first + this.count * OID_BYTES) {
      throw new NodeError('GIT_FAILED', 'The index of a pack cannot be read')
    }
    this.#fanout = index.subarray(HEADER_BYTES, first)
    this.#ids = index.subarray(first, first + this.count * OID_BYTES)
  }

  static async read(path: string): Promise<IdTable> {
    return new IdTable(await readFile(path))
  }

  at(index: number): string {
    return this.#ids.toString('hex', index * OID_BYTES, (index + 1) * OID_BYTES)
  }

  has(oid: string): boolean {
    return this.indexOf(oid) !== -1
  }

  /** -1 when it is not among them. */
  indexOf(oid: string): number {
    return this.#find(Buffer.from(oid, 'hex'), 0)
  }

  /** The ids that are in none of the others. */
  *without(...others: readonly IdTable[]): Generator<string, void, undefined> {
    for (let i = 0; i < this.count; i += 1) {
      if (!others.some((other) => other.#find(this.#ids, i * OID_BYTES) !== -1)) yield this.at(i)
    }
  }

  #find(bytes: Buffer, at: number): number {
    const first = bytes[at] as number
    let low = first === 0 ? 0 : this.#fanout.readUInt32BE((first - 1) * 4)
    let high = this.#fanout.readUInt32BE(first * 4)
    while (low < high) {
      const middle = (low + high) >>> 1
      const from = middle * OID_BYTES
      const order = this.#ids.compare(bytes, at, at + OID_BYTES, from, from + OID_BYTES)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle
    }
    return -1
  }
}
