/** Packs of whole objects and their indexes, without git (gitformat-pack, version 2 of both). */
import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32, deflate } from 'node:zlib'
import { NodeError } from '../../base/errors.ts'
import { exists, syncDirectory } from './git-directory.ts'

/** What packs are made of: any object by its id. */
export interface ObjectSource {
  find(oid: string): Promise<{ readonly type: string; readonly bytes: Uint8Array } | undefined>
}

interface Entry {
  readonly oid: string
  readonly offset: number
  readonly crc: number
}

const compress = promisify(deflate)
const PACK_TYPES: Readonly<Record<string, number>> = { commit: 1, tree: 2, blob: 3 }
/** Gathered before it is written: one write for many small objects. */
const WRITE_BYTES = 1024 * 1024

/** A pack of these objects, compressed one after another, its checksum behind it. @throws NodeError NOT_FOUND */
export async function* encodePack(
  source: ObjectSource,
  oids: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash('sha1')
  const header = packHeader(oids.length)
  sum.update(header)
  yield header
  for (const oid of oids) {
    const entry = await readEntry(source, oid)
    sum.update(entry)
    yield entry
  }
  yield sum.digest()
}

/**
 * Stores a pack with its index in the repository at `path`, durable when it returns.
 *
 * @returns the pack's name without extension, undefined when there is nothing to store.
 * @throws NodeError TOO_LARGE above `bytesMax`, NOT_FOUND.
 */
export async function writePack(
  path: string,
  source: ObjectSource,
  oids: readonly string[],
  { bytesMax, signal }: { readonly bytesMax: number; readonly signal?: AbortSignal | undefined },
): Promise<string | undefined> {
  if (oids.length === 0) return undefined
  const pack = await PackFile.create(path, oids.length, bytesMax)
  try {
    for (const oid of oids) {
      signal?.throwIfAborted()
      await pack.add(oid, await readEntry(source, oid))
    }
    return await pack.keep()
  } finally {
    await pack.close()
  }
}

/** One pack in the making. */
export class PackFile {
  readonly #directory: string
  readonly #temporary: string
  readonly #handle: FileHandle
  readonly #bytesMax: number
  readonly #sum = createHash('sha1')
  readonly #entries: Entry[] = []
  #waiting: Uint8Array[] = []
  #held = 0
  #offset = 0

  private constructor(directory: string, temporary: string, handle: FileHandle, bytesMax: number) {
    this.#directory = directory
    this.#temporary = temporary
    this.#handle = handle
    this.#bytesMax = bytesMax
  }

  /** @param objects how many will be added. */
  static async create(path: string, objects: number, bytesMax: number): Promise<PackFile> {
    const directory = join(path, 'objects', 'pack')
    // A name of its own: what git leaves under its names is cleared while this may be in the making.
    const temporary = join(directory, `making_${randomUUID()}`)
    const pack = new PackFile(directory, temporary, await open(temporary, 'wx'), bytesMax)
    await pack.#write(packHeader(objects))
    return pack
  }

  /** @param entry from `encodeEntry`. @throws NodeError TOO_LARGE */
  async add(oid: string, entry: Uint8Array): Promise<void> {
    this.#entries.push({ oid, offset: this.#offset, crc: crc32(entry) })
    await this.#write(entry)
  }

  /** Gives it its name, for good. @returns the name without extension. */
  async keep(): Promise<string> {
    const sum = this.#sum.digest()
    this.#waiting.push(sum)
    await this.#flush()
    await this.#handle.sync()
    const name = `pack-${sum.toString('hex')}`
    const file = join(this.#directory, name)
    if (await exists(`${file}.idx`)) return name
    await writeDurable(`${this.#temporary}.idx`, encodeIndex(this.#entries, sum))
    // git finds a pack by its index, so that one comes last.
    await rename(this.#temporary, `${file}.pack`)
    await rename(`${this.#temporary}.idx`, `${file}.idx`)
    await syncDirectory(this.#directory)
    return name
  }

  /** Removes what has not got its name. */
  async close(): Promise<void> {
    await this.#handle.close()
    await rm(this.#temporary, { force: true })
    await rm(`${this.#temporary}.idx`, { force: true })
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#offset += bytes.length
    if (this.#offset > this.#bytesMax) {
      const message = `Without the git program a pack has at most ${this.#bytesMax} bytes; install git`
      throw new NodeError('TOO_LARGE', message, { bytesMax: this.#bytesMax })
    }
    this.#sum.update(bytes)
    this.#waiting.push(bytes)
    this.#held += bytes.length
    if (this.#held >= WRITE_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    await this.#handle.writeFile(Buffer.concat(this.#waiting))
    this.#waiting = []
    this.#held = 0
  }
}

/** @throws NodeError GIT_FAILED for a type that datasets do not hold. */
export async function encodeEntry(type: string, bytes: Uint8Array): Promise<Buffer> {
  const number = PACK_TYPES[type]
  if (number === undefined) throw new NodeError('GIT_FAILED', `Datasets hold no ${type}`)
  return Buffer.concat([entryHeader(number, bytes.length), await compress(bytes)])
}

async function readEntry(source: ObjectSource, oid: string): Promise<Buffer> {
  const found = await source.find(oid)
  if (found === undefined) throw new NodeError('NOT_FOUND', `There is no object ${oid} here`, { oid })
  return encodeEntry(found.type, found.bytes)
}

function packHeader(objects: number): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  header.writeUInt32BE(objects, 8)
  return header
}

/** Sorted by id: how many ids begin with each byte or a lower one, the ids, their checksums, their places. */
function encodeIndex(entries: readonly Entry[], packSum: Buffer): Buffer {
  const sorted = [...entries].sort((a, b) => (a.oid < b.oid ? -1 : 1))
  const fanout = Buffer.alloc(256 * 4)
  for (const { oid } of sorted) {
    const first = Number.parseInt(oid.slice(0, 2), 16)
    fanout.writeUInt32BE(fanout.readUInt32BE(first * 4) + 1, first * 4)
  }
  for (let i = 1; i < 256; i += 1) {
    fanout.writeUInt32BE(fanout.readUInt32BE(i * 4) + fanout.readUInt32BE((i - 1) * 4), i * 4)
  }
  const numbers = (pick: (entry: Entry) => number) => {
    const column = Buffer.alloc(sorted.length * 4)
    for (const [i, entry] of sorted.entries()) column.writeUInt32BE(pick(entry), i * 4)
    return column
  }
  const body = Buffer.concat([
    Buffer.from('\xfftOc\0\0\0\x02', 'latin1'),
    fanout,
    Buffer.from(sorted.map(({ oid }) => oid).join(''), 'hex'),
    numbers(({ crc }) => crc),
    // Packs made here are far below 2 GiB, where places would need more than these 31 bits.
    numbers(({ offset }) => offset),
    packSum,
  ])
  return Buffer.concat([body, createHash('sha1').update(body).digest()])
}

async function writeDurable(path: string, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Three bits of type and the size, four bits in the first byte and seven in each that follows. */
function entryHeader(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size % 16)]
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) as number) | 0x80
    bytes.push(rest % 128)
  }
  return Buffer.from(bytes)
}
