/** The entries that were agreed on, gathered part by part and put in their order at the end. */
import { CRLF_ENDING, type Ending, type Frame, LF_ENDING, NO_ENDING, NOTHING } from './entry.ts'

/** What the truth has no place for. */
export const NEW = -1
const ENDS: Record<Ending, Uint8Array> = {
  [NO_ENDING]: NOTHING,
  [LF_ENDING]: Uint8Array.of(0x0a),
  [CRLF_ENDING]: Uint8Array.of(0x0d, 0x0a),
}
const BLOCK_BYTES = 1024 * 1024

export class EntryOutput {
  /** Entries and names of new entries, in blocks, so that growing does not copy them; none stands in two blocks. */
  readonly #blocks: Uint8Array[] = []
  #used = BLOCK_BYTES
  /** By the entry's place in the truth: where it is, 0 where there is none. */
  #old = new Places()
  readonly #new = new Places()
  #newKeys = new Places()
  bytes = 0

  constructor() {
    // Place 0 stands for nothing.
    this.#keep(Uint8Array.of(0), NOTHING)
  }

  get count(): number {
    return this.#old.count + this.#new.count
  }

  /** @param ordinal the entry's place in the truth, or `NEW`. */
  put(ordinal: number, key: Uint8Array, written: Uint8Array, ending: Ending): void {
    const at = this.#keep(written, ENDS[ending])
    const size = written.length + ENDS[ending].length
    this.bytes += size
    if (ordinal !== NEW) this.#old.set(ordinal, at, size)
    else {
      this.#newKeys.set(this.#new.length, this.#keep(key, NOTHING), key.length)
      this.#new.set(this.#new.length, at, size)
    }
  }

  /** The whole file: what the truth had in its order, then what is new in the order of its names' bytes. */
  file(frame: Frame): Uint8Array {
    const order = new Uint32Array(this.#new.length)
    for (let i = 0; i < order.length; i += 1) order[i] = i
    order.sort((a, b) => this.#compareNew(a, b))
    const count = this.count
    const between = frame.between.length * Math.max(0, count - 1)
    const file = new Uint8Array(frame.before.length + this.bytes + between + frame.after.length)
    file.set(frame.before)
    let at = frame.before.length
    let written = 0
    const write = (places: Places, index: number) => {
      if (written > 0) {
        file.set(frame.between, at)
        at += frame.between.length
      }
      const bytes = this.#at(places, index)
      file.set(bytes, at)
      at += bytes.length
      written += 1
    }
    for (let i = 0; i < this.#old.length; i += 1) if (this.#old.has(i)) write(this.#old, i)
    for (const index of order) write(this.#new, index)
    file.set(frame.after, at)
    return frame.unterminated ? withoutEnding(file) : file
  }

  /** As `compareBytes`, without a view for each side. */
  #compareNew(a: number, b: number): number {
    const [keys, left, right] = [this.#newKeys, this.#newKeys.at(a), this.#newKeys.at(b)]
    const [leftBlock, rightBlock] = [this.#block(left), this.#block(right)]
    const [leftSize, rightSize] = [keys.size(a), keys.size(b)]
    const length = Math.min(leftSize, rightSize)
    for (let i = 0, x = left % BLOCK_BYTES, y = right % BLOCK_BYTES; i < length; i += 1, x += 1, y += 1) {
      const difference = (leftBlock[x] as number) - (rightBlock[y] as number)
      if (difference !== 0) return difference
    }
    return leftSize - rightSize
  }

  #block(at: number): Uint8Array {
    return this.#blocks[Math.floor(at / BLOCK_BYTES)] as Uint8Array
  }

  #at(places: Places, index: number): Uint8Array {
    const at = places.at(index)
    const block = this.#block(at)
    const from = at % BLOCK_BYTES
    return block.subarray(from, from + places.size(index))
  }

  #keep(bytes: Uint8Array, ending: Uint8Array): number {
    const size = bytes.length + ending.length
    if (this.#used + size > BLOCK_BYTES) {
      // An entry of the largest size and its ending are longer than a block, and have their own.
      this.#blocks.push(new Uint8Array(Math.max(size, BLOCK_BYTES)))
      this.#used = 0
    }
    const block = this.#blocks.at(-1) as Uint8Array
    const at = (this.#blocks.length - 1) * BLOCK_BYTES + this.#used
    block.set(bytes, this.#used)
    block.set(ending, this.#used + bytes.length)
    this.#used = Math.min(BLOCK_BYTES, this.#used + size)
    return at
  }
}

/** Stretches of bytes by number. */
class Places {
  #at = new Uint32Array(64)
  #sizes = new Uint32Array(64)
  length = 0
  count = 0

  set(index: number, at: number, size: number): void {
    if (index >= this.#at.length) {
      const room = Math.max(index + 1, 2 * this.#at.length)
      this.#at = widened(this.#at, room)
      this.#sizes = widened(this.#sizes, room)
    }
    this.#at[index] = at
    this.#sizes[index] = size
    this.length = Math.max(this.length, index + 1)
    this.count += 1
  }

  has(index: number): boolean {
    return this.#at[index] !== 0
  }

  at(index: number): number {
    return this.#at[index] as number
  }

  size(index: number): number {
    return this.#sizes[index] as number
  }
}

function widened(values: Uint32Array, size: number): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(size)
  wider.set(values)
  return wider
}

function withoutEnding(file: Uint8Array): Uint8Array {
  if (file.at(-1) !== 0x0a) return file
  return file.subarray(0, file.at(-2) === 0x0d ? -2 : -1)
}
