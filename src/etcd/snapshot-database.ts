/**
 * A bbolt database file, which is what etcd keeps its store in and what its snapshots are (bbolt: page.go, db.go,
 * bucket.go). Nothing is ever changed in it, so its tree is laid out once, full page after full page, from sizes alone;
 * then its pages are written in the order of the file, one at a time. Pure.
 */

/** Pairs sorted by key, to be read twice. */
export interface Bucket {
  readonly name: string
  readonly count: number
  pair(index: number): Pair
}

export interface Pair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export const PAGE_BYTES = 4096
const HEADER_BYTES = 16
/** A leaf's and a branch's element are equally long. */
const ELEMENT_BYTES = 16
const BRANCH = 0x01
const LEAF = 0x02
const META = 0x04
const FREE_LIST = 0x10
/** The flag of a leaf's element that holds a bucket. */
const HOLDS_BUCKET = 0x01
const MAGIC = 0xed0cdaed
const VERSION = 2
const META_BYTES = 64
const META_CHECKED_BYTES = 56
const FREE_LIST_PAGE = 2
const FIRST_PAGE = 3

/** Elements that stand on one page, or on several in a row when a single one is larger. */
interface Node {
  readonly first: number
  readonly count: number
  readonly page: number
  readonly pages: number
}

interface Tree {
  readonly bucket: Bucket
  /** The leaves, then the branches above them level by level; the last of all is the root. */
  readonly levels: readonly (readonly Node[])[]
  /** Zero for an empty bucket, which has no page. */
  readonly root: number
}

export class SnapshotDatabase {
  readonly #trees: readonly Tree[]
  readonly #rootPage: number
  readonly #pageCount: number

  /** @param buckets Sorted by name; their names fit one page together. */
  constructor(buckets: readonly Bucket[]) {
    let next = FIRST_PAGE
    this.#trees = buckets.map((bucket) => {
      const tree = layOut(bucket, next)
      for (const level of tree.levels) for (const { pages } of level) next += pages
      return tree
    })
    this.#rootPage = next
    this.#pageCount = next + 1
  }

  get bytes(): number {
    return this.#pageCount * PAGE_BYTES
  }

  /** The file, in pieces of whole pages. */
  *pages(): Generator<Buffer> {
    yield this.#meta(0)
    yield this.#meta(1)
    yield page(FREE_LIST_PAGE, FREE_LIST, [])
    for (const { bucket, levels } of this.#trees) {
      for (const [depth, level] of levels.entries()) {
        for (const node of level) {
          yield depth === 0 ? leaf(bucket, node) : branch(bucket, node, levels, depth)
        }
      }
    }
    const roots = this.#trees.map(({ bucket, root }) => bucketElement(bucket.name, root))
    yield page(this.#rootPage, LEAF, roots)
  }

  /** Both say the same; the one with the higher transaction counts. */
  #meta(index: 0 | 1): Buffer {
    const meta = Buffer.alloc(META_BYTES)
    meta.writeUInt32LE(MAGIC, 0)
    meta.writeUInt32LE(VERSION, 4)
    meta.writeUInt32LE(PAGE_BYTES, 8)
    meta.writeBigUInt64LE(BigInt(this.#rootPage), 16)
    meta.writeBigUInt64LE(BigInt(FREE_LIST_PAGE), 32)
    meta.writeBigUInt64LE(BigInt(this.#pageCount), 40)
    meta.writeBigUInt64LE(BigInt(index), 48)
    meta.writeBigUInt64LE(fnv1a(meta.subarray(0, META_CHECKED_BYTES)), META_CHECKED_BYTES)
    const bytes = header(index, META, 0, 1)
    meta.copy(bytes, HEADER_BYTES)
    return bytes
  }
}

function layOut(bucket: Bucket, from: number): Tree {
  const levels: Node[][] = []
  if (bucket.count === 0) return { bucket, levels, root: 0 }
  let page = from
  const pack = (count: number, sizeOf: (index: number) => number) => {
    const nodes: Node[] = []
    for (let first = 0; first < count; ) {
      let [bytes, end] = [HEADER_BYTES + sizeOf(first), first + 1]
      for (; end < count; end += 1) {
        const size = sizeOf(end)
        if (bytes + size > PAGE_BYTES) break
        bytes += size
      }
      const pages = Math.ceil(bytes / PAGE_BYTES)
      nodes.push({ first, count: end - first, page, pages })
      page += pages
      first = end
    }
    levels.push(nodes)
    return nodes
  }
  let level = pack(bucket.count, (index) => {
    const { key, value } = bucket.pair(index)
    return ELEMENT_BYTES + key.length + value.length
  })
  while (level.length > 1) {
    const depth = levels.length
    level = pack(level.length, (index) => ELEMENT_BYTES + firstKey(bucket, levels, depth - 1, index).length)
  }
  return { bucket, levels, root: (level[0] as Node).page }
}

/** The first key below a node: that of its first child, down to the leaves. */
function firstKey(bucket: Bucket, levels: Tree['levels'], depth: number, index: number): Uint8Array {
  let at = index
  for (let level = depth; level >= 0; level -= 1) at = nodeAt(levels, level, at).first
  return bucket.pair(at).key
}

function nodeAt(levels: Tree['levels'], level: number, index: number): Node {
  return (levels[level] as readonly Node[])[index] as Node
}

interface Element {
  /** What stands in the element before the place of its data is known, and where that place goes. */
  readonly head: Buffer
  readonly placeAt: number
  readonly data: readonly Uint8Array[]
}

function leaf(bucket: Bucket, { first, count, page: id, pages }: Node): Buffer {
  const elements = Array.from({ length: count }, (_, index) => {
    const { key, value } = bucket.pair(first + index)
    return leafElement(key, value, 0)
  })
  return page(id, LEAF, elements, pages)
}

function branch(
  bucket: Bucket,
  { first, count, page: id, pages }: Node,
  levels: Tree['levels'],
  depth: number,
) {
  const elements = Array.from({ length: count }, (_, index): Element => {
    const child = nodeAt(levels, depth - 1, first + index)
    const key = firstKey(bucket, levels, depth - 1, first + index)
    const head = Buffer.alloc(ELEMENT_BYTES)
    head.writeUInt32LE(key.length, 4)
    head.writeBigUInt64LE(BigInt(child.page), 8)
    return { head, placeAt: 0, data: [key] }
  })
  return page(id, BRANCH, elements, pages)
}

function leafElement(key: Uint8Array, value: Uint8Array, flags: number): Element {
  const head = Buffer.alloc(ELEMENT_BYTES)
  head.writeUInt32LE(flags, 0)
  head.writeUInt32LE(key.length, 8)
  head.writeUInt32LE(value.length, 12)
  return { head, placeAt: 4, data: [key, value] }
}

/** A bucket within the root: its root page and a counter; an empty one has its empty page within. */
function bucketElement(name: string, root: number): Element {
  const value = Buffer.alloc(root === 0 ? 16 + HEADER_BYTES : 16)
  value.writeBigUInt64LE(BigInt(root), 0)
  if (root === 0) header(0, LEAF, 0, 0).copy(value, 16, 0, HEADER_BYTES)
  return leafElement(Buffer.from(name), value, HOLDS_BUCKET)
}

function page(id: number, flags: number, elements: readonly Element[], pages = 1): Buffer {
  const bytes = header(id, flags, elements.length, pages)
  let dataAt = HEADER_BYTES + elements.length * ELEMENT_BYTES
  for (const [index, { head, placeAt, data }] of elements.entries()) {
    const at = HEADER_BYTES + index * ELEMENT_BYTES
    // The place of the data counts from the element.
    head.writeUInt32LE(dataAt - at, placeAt)
    head.copy(bytes, at)
    for (const part of data) {
      bytes.set(part, dataAt)
      dataAt += part.length
    }
  }
  return bytes
}

/** Whole pages that begin with their header; without pages, the header alone. */
function header(id: number, flags: number, count: number, pages: number): Buffer {
  const bytes = Buffer.alloc(Math.max(pages * PAGE_BYTES, HEADER_BYTES))
  bytes.writeBigUInt64LE(BigInt(id), 0)
  bytes.writeUInt16LE(flags, 8)
  bytes.writeUInt16LE(count, 10)
  bytes.writeUInt32LE(Math.max(0, pages - 1), 12)
  return bytes
}

/** The hash of Fowler, Noll and Vo, 64 bits, variant 1a (http://www.isthe.com/chongo/tech/comp/fnv). */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
