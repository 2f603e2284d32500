/**
 * Takes a pack apart without git (gitformat-pack, version 2). It is a stranger's: every size is checked before memory is
 * given to it, a delta stands on what is in the pack, and what deltas blow up to is counted.
 */
import { createHash } from 'node:crypto'
import { setImmediate as breath } from 'node:timers/promises'
import { inflateSync } from 'node:zlib'
import { NodeError } from '../../base/errors.ts'
import { blobBytesMax, packInMemoryBytesMax, packInMemoryObjectsMax } from '../../base/limits.ts'
import { MIB } from '../../base/units.ts'
import { applyDelta, deltaResultBytes } from './delta.ts'
import { objectId } from './git-objects.ts'
import { readPackHeader } from './pack-meter.ts'

const [HEADER_BYTES, SUM_BYTES, OID_BYTES] = [12, 20, 20]
const [OFFSET_DELTA, REF_DELTA] = [6, 7]
const TYPES: Readonly<Record<number, 'commit' | 'tree' | 'blob'>> = { 1: 'commit', 2: 'tree', 3: 'blob' }
/** Work between two breaths: everything else in this process waits meanwhile. */
const BREATH_BYTES = 8 * MIB

export interface UnpackedObject {
  readonly oid: string
  readonly type: string
  readonly bytes: Buffer
  /** As it stands in the pack, when that is not a delta: its header and what is compressed. */
  readonly packed: Buffer | undefined
}

interface Entry {
  readonly at: number
  readonly data: number
  readonly size: number
  readonly type: number
}

/** A delta by its place in the pack, filed under what it stands on: a place, or an id. */
type Waiting = Map<number | string, Entry[]>

interface Resolved {
  readonly bytes: Buffer
  readonly type: string
  readonly above: Entry[]
}

/** How many objects a pack has. @throws NodeError PACK_REJECTED when it cannot be a whole one. */
export function openPack(pack: Buffer): number {
  const objects = readPackHeader(pack)
  if (objects > packInMemoryObjectsMax) {
    const message = `Without the git program a pack has at most ${packInMemoryObjectsMax} objects; install git`
    throw new NodeError('PACK_REJECTED', message, { objects })
  }
  const version = pack.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw broken(`has the version ${version}`)
  if (pack.length < HEADER_BYTES + SUM_BYTES) throw broken('ended before its checksum')
  const sum = createHash('sha1').update(pack.subarray(0, -SUM_BYTES)).digest()
  if (!sum.equals(pack.subarray(-SUM_BYTES))) throw broken('does not have the checksum it announces')
  return objects
}

/**
 * Every object of a pack, each once, bases before deltas; none may have more than `objectBytesMax`.
 *
 * @throws NodeError PACK_REJECTED
 */
export async function* unpack(
  pack: Buffer,
  objectBytesMax: number = blobBytesMax,
): AsyncGenerator<UnpackedObject, void, undefined> {
  const objects = openPack(pack)
  const end = pack.length - SUM_BYTES
  const [waiting, bases]: [Waiting, [Entry, oid: string][]] = [new Map(), []]
  const seen = new Set<string>()
  const budget = new Budget(objectBytesMax)
  const once = (oid: string) => {
    if (seen.has(oid)) throw broken(`holds the object ${oid} twice`)
    seen.add(oid)
  }
  let [at, deltas] = [HEADER_BYTES, 0]
  for (let i = 0; i < objects; i += 1) {
    const entry = readEntry(pack, at, end)
    budget.check(entry.size)
    const base = baseOf(pack, entry, end)
    const data = entry.data + base.bytes
    const { bytes, used } = inflate(pack, data, end, entry.size)
    at = data + used
    await budget.spend(bytes.length)
    if (base.key !== undefined) {
      file(waiting, base.key, { ...entry, data })
      deltas += 1
      continue
    }
    const type = TYPES[entry.type]
    if (type === undefined) throw broken(`holds an object of the type ${entry.type}; datasets hold none`)
    const oid = objectId(type, bytes)
    once(oid)
    bases.push([entry, oid])
    yield { oid, type, bytes, packed: pack.subarray(entry.at, at) }
  }
  if (at !== end) throw broken('has bytes that belong to no object')
  if (deltas === 0) return
  for (const [entry, oid] of bases) {
    const above = take(waiting, entry.at, oid)
    if (above.length === 0) continue
    const { bytes } = inflate(pack, entry.data, end, entry.size)
    for await (const found of climb(pack, waiting, budget, {
      bytes,
      type: TYPES[entry.type] as string,
      above,
    })) {
      once(found.oid)
      deltas -= 1
      yield found
    }
  }
  if (deltas > 0) throw broken('holds deltas whose bases did not come')
}

/** All that stands on one object, the nearest first; only the way back to it is held in memory. */
async function* climb(
  pack: Buffer,
  waiting: Waiting,
  budget: Budget,
  base: Resolved,
): AsyncGenerator<UnpackedObject, void, undefined> {
  const end = pack.length - SUM_BYTES
  const way = [base]
  for (let top = way.at(-1); top !== undefined; top = way.at(-1)) {
    const entry = top.above.pop()
    if (entry === undefined) {
      way.pop()
      budget.release(top.bytes.length)
      continue
    }
    const delta = inflate(pack, entry.data, end, entry.size).bytes
    budget.check(deltaResultBytes(delta))
    const bytes = applyDelta(top.bytes, delta)
    await budget.spend(bytes.length)
    const oid = objectId(top.type as 'blob', bytes)
    yield { oid, type: top.type, bytes, packed: undefined }
    const above = take(waiting, entry.at, oid)
    if (above.length === 0) continue
    budget.hold(bytes.length)
    way.push({ bytes, type: top.type, above })
  }
}

/** Bounds of what comes out of a pack, all together and at once. */
class Budget {
  #unpacked = 0
  #held = 0
  #sinceBreath = 0
  readonly #objectBytesMax: number

  constructor(objectBytesMax: number) {
    this.#objectBytesMax = objectBytesMax
  }

  /** Before any memory is given to it. */
  check(bytes: number): void {
    if (bytes <= this.#objectBytesMax) return
    throw new NodeError('PACK_REJECTED', `An object of ${bytes} bytes is more than is taken here`, { bytes })
  }

  async spend(bytes: number): Promise<void> {
    this.#unpacked += bytes
    // As much again as the pack itself may have, for what compression and deltas honestly save.
    if (this.#unpacked > 4 * packInMemoryBytesMax) throw tooBig()
    this.#sinceBreath += bytes
    if (this.#sinceBreath < BREATH_BYTES) return
    this.#sinceBreath = 0
    await breath()
  }

  hold(bytes: number): void {
    this.#held += bytes
    if (this.#held > packInMemoryBytesMax) throw tooBig()
  }

  release(bytes: number): void {
    this.#held = Math.max(0, this.#held - bytes)
  }
}

function readEntry(pack: Buffer, at: number, end: number): Entry {
  let data = at
  let byte = byteAt(pack, data++, end)
  const type = (byte >> 4) & 7
  let size = byte & 15
  for (let shift = 4; (byte & 0x80) !== 0; shift += 7) {
    byte = byteAt(pack, data++, end)
    size += (byte & 0x7f) * 2 ** shift
    if (size > blobBytesMax) throw tooBig()
  }
  return { at, data, size, type }
}

/** What a delta stands on, and how many bytes tell it. */
function baseOf(
  pack: Buffer,
  { at, data, type }: Entry,
  end: number,
): { key?: number | string; bytes: number } {
  if (type === REF_DELTA) {
    if (data + OID_BYTES > end) throw broken('ends inside an object')
    return { key: pack.toString('hex', data, data + OID_BYTES), bytes: OID_BYTES }
  }
  if (type !== OFFSET_DELTA) return { bytes: 0 }
  let bytes = 1
  let byte = byteAt(pack, data, end)
  let distance = byte & 0x7f
  while ((byte & 0x80) !== 0) {
    byte = byteAt(pack, data + bytes, end)
    distance = (distance + 1) * 128 + (byte & 0x7f)
    bytes += 1
    if (distance > at) throw broken('holds a delta on something before its beginning')
  }
  if (distance === 0 || distance > at) throw broken('holds a delta on itself')
  return { key: at - distance, bytes }
}

function file(waiting: Waiting, key: number | string, entry: Entry): void {
  const entries = waiting.get(key)
  if (entries === undefined) waiting.set(key, [entry])
  else entries.push(entry)
}

function take(waiting: Waiting, at: number, oid: string): Entry[] {
  const found = [...(waiting.get(at) ?? []), ...(waiting.get(oid) ?? [])]
  waiting.delete(at)
  waiting.delete(oid)
  return found
}

function inflate(pack: Buffer, from: number, end: number, size: number): { bytes: Buffer; used: number } {
  try {
    // `info` also tells how much input was used; the types do not know of it.
    const options = { maxOutputLength: Math.max(size, 1), info: true }
    const result = inflateSync(pack.subarray(from, end), options) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    if (result.buffer.length === size) return { bytes: result.buffer, used: result.engine.bytesWritten }
  } catch (cause) {
    throw broken('does not unpack to what it announces', cause)
  }
  throw broken('does not unpack to what it announces')
}

function byteAt(bytes: Buffer, at: number, end: number): number {
  if (at >= end) throw broken('ends inside an object')
  return bytes[at] as number
}

function broken(how: string, cause?: unknown): NodeError {
  return new NodeError('PACK_REJECTED', `The received pack ${how}`, {}, { cause })
}

function tooBig(): NodeError {
  const message =
    'The received pack unpacks to more than a node without the git program can hold; install git'
  return new NodeError('PACK_REJECTED', message)
}
