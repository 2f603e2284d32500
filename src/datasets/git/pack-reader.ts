import { type FileHandle, open, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { inflate, inflateSync } from 'node:zlib'
import { NodeError } from '../../base/errors.ts'
import { blobBytesMax } from '../../base/limits.ts'
import { applyDelta, deltaResultBytes } from './delta.ts'
import { PackIndex } from './pack-index.ts'

const inflateAside = promisify(inflate)
/** Smaller contents are unpacked at once: handing them to another thread costs more than the work. */
const ASIDE_BYTES = 65_536
const [OFFSET_DELTA, REF_DELTA] = [6, 7]
const TYPES: Readonly<Record<number, string>> = { 1: 'commit', 2: 'tree', 3: 'blob', 4: 'tag' }
/** git itself makes no longer chains of deltas (pack-objects --depth). */
const DELTAS_MAX = 4_096

interface Entry {
  readonly type: number
  readonly size: number
  readonly packed: Buffer
  /** Of a delta: where what it stands on begins. */
  readonly base: number | undefined
}

/** Reads single objects out of a pack, and no more of it than they take. */
export class PackReader {
  readonly index: PackIndex
  readonly #path: string

  private constructor(path: string, index: PackIndex) {
    this.#path = path
    this.index = index
  }

  /** @param path of the pack without its extension. */
  static async open(path: string): Promise<PackReader> {
    const { size } = await stat(`${path}.pack`)
    return new PackReader(path, await PackIndex.read(`${path}.idx`, size))
  }

  /** @throws NodeError GIT_FAILED for what cannot be read, TOO_LARGE. */
  read(place: number): Promise<{ type: string; bytes: Buffer }> {
    return this.#with(async (handle) => {
      const deltas: Entry[] = []
      let entry = await this.#entry(handle, place)
      while (entry.base !== undefined) {
        deltas.push(entry)
        if (deltas.length > DELTAS_MAX) throw unreadable()
        entry = await this.#entry(handle, entry.base)
      }
      let bytes = await unpack(entry)
      for (const delta of deltas.reverse()) bytes = applyDelta(bytes, await unpack(delta))
      return { type: typeOf(entry), bytes }
    })
  }

  /** Type and size without the content. */
  describe(place: number): Promise<{ type: string; size: number }> {
    return this.#with(async (handle) => {
      let entry = await this.#entry(handle, place)
      const size = entry.base === undefined ? entry.size : deltaResultBytes(await unpack(entry))
      for (let i = 0; entry.base !== undefined; i += 1) {
        if (i > DELTAS_MAX) throw unreadable()
        entry = await this.#entry(handle, entry.base)
      }
      return { type: typeOf(entry), size }
    })
  }

  async #with<T>(work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const handle = await open(`${this.#path}.pack`, 'r')
    try {
      return await work(handle)
    } finally {
      await handle.close()
    }
  }

  async #entry(handle: FileHandle, place: number): Promise<Entry> {
    const length = this.index.endOf(place) - place
    // What does not even compress to this is no object that memory is given to.
    if (length > blobBytesMax + ASIDE_BYTES) throw tooLarge(length)
    const bytes = Buffer.alloc(length)
    const { bytesRead } = await handle.read(bytes, 0, length, place)
    if (bytesRead < length) throw unreadable()
    let at = 0
    const next = () => {
      if (at >= length) throw unreadable()
      return bytes[at++] as number
    }
    let byte = next()
    const type = (byte >> 4) & 7
    let size = byte & 15
    for (let shift = 4; (byte & 0x80) !== 0; shift += 7) {
      byte = next()
      size += (byte & 0x7f) * 2 ** shift
    }
    let base: number | undefined
    if (type === OFFSET_DELTA) {
      byte = next()
      let distance = byte & 0x7f
      while ((byte & 0x80) !== 0) {
        byte = next()
        distance = (distance + 1) * 128 + (byte & 0x7f)
      }
      base = place - distance
    } else if (type === REF_DELTA) {
      base = this.index.placeOf(bytes.toString('hex', at, at + 20))
      at += 20
      if (base === undefined) throw unreadable()
    }
    if (base !== undefined && (base < 0 || base === place)) throw unreadable()
    return { type, size, packed: bytes.subarray(at), base }
  }
}

async function unpack({ size, packed }: Entry): Promise<Buffer> {
  if (size > blobBytesMax) throw tooLarge(size)
  const options = { maxOutputLength: Math.max(1, size) }
  const bytes = size < ASIDE_BYTES ? inflateSync(packed, options) : await inflateAside(packed, options)
  if (bytes.length !== size) throw unreadable()
  return bytes
}

function typeOf({ type }: Entry): string {
  const name = TYPES[type]
  if (name === undefined) throw unreadable()
  return name
}

function unreadable(): NodeError {
  return new NodeError('GIT_FAILED', 'An object in a pack cannot be read')
}

function tooLarge(size: number): NodeError {
  const message = `Something here has ${size} bytes; without the git program at most ${blobBytesMax} are read: install git`
  return new NodeError('TOO_LARGE', message, { size })
}
