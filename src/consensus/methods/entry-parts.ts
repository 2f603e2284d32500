/**
 * The entries of all versions, sorted into parts by a hash of their names, so that all that has one name is in one part
 * and a part fits into memory (GRACE hash join: Kitsuregawa, Tanaka & Moto-oka 1983). Small files stay in memory; of
 * larger ones what was gathered goes into one file, chunk by chunk.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { mergeChunkBytes, mergeInMemoryBytes, mergePartsMax } from '../../base/limits-consensus.ts'
import type { EntryView } from './entry.ts'
import type { KeyedHash } from './keyed-hash.ts'

/** Of each entry before its bytes: version, ordinal, ending, then the lengths of key, entry and value. */
export const HEAD_BYTES = 24
/** In place of the value's length: the value is the entry as it stands. */
export const SAME = 0xffffffff
/** What is on its way to the file at once. */
const PENDING_BYTES = 4 * 1024 * 1024

interface Chunk {
  /** Undefined once it is in the file. */
  bytes: Uint8Array<ArrayBuffer> | undefined
  readonly size: number
  at: number
}

interface Part {
  buffer: Uint8Array<ArrayBuffer>
  view: DataView
  used: number
  readonly chunks: Chunk[]
}

export class EntryParts implements AsyncDisposable {
  readonly #hash: KeyedHash
  readonly #scratch: () => Promise<string>
  readonly #parts: Part[]
  #pending: Chunk[] = []
  /** Buffers whose bytes are in the file. Making new ones is cheap, but they wait long to be collected. */
  readonly #spare: ArrayBuffer[] = []
  #whole = new Uint8Array(0)
  #pendingBytes = 0
  #inMemory = 0
  #file: FileHandle | undefined
  #fileBytes = 0

  constructor(hash: KeyedHash, scratch: () => Promise<string>) {
    this.#hash = hash
    this.#scratch = scratch
    this.#parts = Array.from({ length: mergePartsMax }, newPart)
  }

  get count(): number {
    return this.#parts.length
  }

  /** @returns true when `flush` is due. */
  add(entry: EntryView, version: number, ordinal: number): boolean {
    const { bytes, key, value } = entry
    const same = value === bytes && entry.valueStart === entry.start && entry.valueEnd === entry.end
    const keyBytes = entry.keyEnd - entry.keyStart
    const size = entry.end - entry.start
    const valueBytes = same ? 0 : entry.valueEnd - entry.valueStart
    const all = HEAD_BYTES + keyBytes + size + valueBytes
    const hash = this.#hash.of(key, entry.keyStart, entry.keyEnd)
    // The table of each part uses the lower bits.
    const part = this.#parts[(hash >>> 16) % this.#parts.length] as Part
    if (part.used + all > part.buffer.length) this.#seal(part, all)
    const { buffer, view } = part
    let at = part.used
    view.setUint32(at, version, true)
    view.setUint32(at + 4, ordinal, true)
    view.setUint32(at + 8, entry.ending, true)
    view.setUint32(at + 12, keyBytes, true)
    view.setUint32(at + 16, size, true)
    view.setUint32(at + 20, same ? SAME : valueBytes, true)
    at += HEAD_BYTES
    for (let i = entry.keyStart; i < entry.keyEnd; i += 1, at += 1) buffer[at] = key[i] as number
    for (let i = entry.start; i < entry.end; i += 1, at += 1) buffer[at] = bytes[i] as number
    if (!same) {
      for (let i = entry.valueStart; i < entry.valueEnd; i += 1, at += 1) buffer[at] = value[i] as number
    }
    part.used = at
    return this.#pendingBytes > PENDING_BYTES
  }

  /** Writes what is gathered, where that is more than may stay in memory. */
  async flush(): Promise<void> {
    if (this.#file === undefined) {
      if (this.#inMemory + this.#pendingBytes <= mergeInMemoryBytes) {
        this.#inMemory += this.#pendingBytes
        this.#pendingBytes = 0
        return
      }
      this.#file = await open(join(await this.#scratch(), 'entries'), 'wx+', 0o600)
      this.#inMemory = 0
    }
    const chunks = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    for (let i = 0; i < chunks.length; i += BATCH) {
      const batch = chunks.slice(i, i + BATCH)
      await writeAll(
        this.#file,
        batch.map(({ bytes }) => bytes as Uint8Array),
        this.#fileBytes,
      )
      for (const chunk of batch) {
        if (chunk.bytes?.buffer.byteLength === mergeChunkBytes) this.#spare.push(chunk.bytes.buffer)
        chunk.at = this.#fileBytes
        chunk.bytes = undefined
        this.#fileBytes += chunk.size
      }
    }
  }

  isEmpty(number: number): boolean {
    return this.#parts[number]?.used === 0
  }

  /** All entries of one part, version after version as they were added; a view, good until the next `read`. */
  async read(number: number): Promise<Uint8Array> {
    const part = this.#parts[number] as Part
    const size = part.chunks.reduce((sum, chunk) => sum + chunk.size, part.used)
    if (this.#whole.length < size) this.#whole = new Uint8Array(size + (size >> 2))
    const all = this.#whole.subarray(0, size)
    let at = 0
    for (const chunk of part.chunks) {
      if (chunk.bytes !== undefined) all.set(chunk.bytes, at)
      else await readAll(this.#file as FileHandle, all.subarray(at, at + chunk.size), chunk.at)
      at += chunk.size
    }
    all.set(part.buffer.subarray(0, part.used), at)
    return all
  }

  /** Lets go of everything in memory, before the result takes its place. */
  release(): void {
    this.#parts.length = 0
    this.#pending.length = 0
    this.#spare.length = 0
    this.#whole = new Uint8Array(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  #seal(part: Part, wanted: number): void {
    if (part.used > 0) {
      const chunk = { bytes: part.buffer.subarray(0, part.used), size: part.used, at: 0 }
      part.chunks.push(chunk)
      this.#pending.push(chunk)
      this.#pendingBytes += part.used
    }
    // Small files leave most parts with a handful of entries.
    const size = Math.max(wanted, Math.min(mergeChunkBytes, 2 * part.buffer.length))
    const spare = size === mergeChunkBytes ? this.#spare.pop() : undefined
    part.buffer = new Uint8Array(spare ?? new ArrayBuffer(size))
    part.view = new DataView(part.buffer.buffer)
    part.used = 0
  }
}

const BATCH = 64
const BUFFER_FIRST = 256

function newPart(): Part {
  const buffer = new Uint8Array(BUFFER_FIRST)
  return { buffer, view: new DataView(buffer.buffer), used: 0, chunks: [] }
}

async function writeAll(file: FileHandle, buffers: readonly Uint8Array[], at: number): Promise<void> {
  const { bytesWritten } = await file.writev(buffers, at)
  if (bytesWritten === buffers.reduce((sum, { length }) => sum + length, 0)) return
  // Rare: the disk took a part. Once more, one by one.
  let place = at
  for (const buffer of buffers) {
    for (let written = 0; written < buffer.length; ) {
      written += (await file.write(buffer, written, buffer.length - written, place + written)).bytesWritten
    }
    place += buffer.length
  }
}

async function readAll(file: FileHandle, into: Uint8Array, at: number): Promise<void> {
  for (let read = 0; read < into.length; ) {
    const { bytesRead } = await file.read(into, read, into.length - read, at + read)
    if (bytesRead === 0) throw new Error('the file of gathered entries is shorter than what was written')
    read += bytesRead
  }
}
