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

/**
 * The header, then each object, compressed one after another; the checksum is the receiver's to add.
 *
 * @throws NodeError NOT_FOUND
 */
export async function* packEntries(
  source: ObjectSource,
  oids: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  header.writeUInt32BE(oids.length, 8)
  yield header
  for (const oid of oids) {
    const found = await source.find(oid)
    const type = PACK_TYPES[found?.type ?? '']
    if (found === undefined || type === undefined) {
      throw new NodeError('NOT_FOUND', `There is no object ${oid} here`, { oid })
    }
    yield Buffer.concat([entryHeader(type, found.bytes.length), await compress(found.bytes)])
  }
}

/** The same as one pack, its checksum behind it. */
export async function* encodePack(
  source: ObjectSource,
  oids: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash('sha1')
  for await (const part of packEntries(source, oids)) {
    sum.update(part)
    yield part
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
  options: { readonly bytesMax: number; readonly signal?: AbortSignal | undefined },
): Promise<string | undefined> {
  if (oids.length === 0) return undefined
  const directory = join(path, 'objects', 'pack')
  const temporary = join(directory, `tmp_pack_${randomUUID()}`)
  const handle = await open(temporary, 'wx')
  try {
    const { sum, entries } = await fillPack(handle, source, oids, options)
    await handle.sync()
    await handle.close()
    const name = `pack-${sum.toString('hex')}`
    if (!(await exists(join(directory, `${name}.idx`)))) {
      await writeIndex(`${temporary}.idx`, encodeIndex(entries, sum))
      // git finds a pack by its index, so that one comes last.
      await rename(temporary, join(directory, `${name}.pack`))
      await rename(`${temporary}.idx`, join(directory, `${name}.idx`))
      await syncDirectory(directory)
    }
    return name
  } finally {
    await handle.close()
    await rm(temporary, { force: true })
    await rm(`${temporary}.idx`, { force: true })
  }
}

async function fillPack(
  handle: FileHandle,
  source: ObjectSource,
  oids: readonly string[],
  { bytesMax, signal }: { readonly bytesMax: number; readonly signal?: AbortSignal | undefined },
): Promise<{ sum: Buffer; entries: Entry[] }> {
  const sum = createHash('sha1')
  const entries: Entry[] = []
  let waiting: Uint8Array[] = []
  let [offset, held, index] = [0, 0, -1]
  const flush = async () => {
    await handle.writeFile(Buffer.concat(waiting))
    waiting = []
    held = 0
  }
  for await (const part of packEntries(source, oids)) {
    signal?.throwIfAborted()
    if (index >= 0) entries.push({ oid: oids[index] as string, offset, crc: crc32(part) })
    index += 1
    offset += part.length
    if (offset > bytesMax) {
      const message = `Without the git program a pack has at most ${bytesMax} bytes; install git`
      throw new NodeError('TOO_LARGE', message, { bytesMax })
    }
    sum.update(part)
    waiting.push(part)
    held += part.length
    if (held >= WRITE_BYTES) await flush()
  }
  const digest = sum.digest()
  waiting.push(digest)
  await flush()
  return { sum: digest, entries }
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

async function writeIndex(path: string, bytes: Buffer): Promise<void> {
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
