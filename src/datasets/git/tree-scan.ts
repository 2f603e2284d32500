/**
 * Reads trees as they are stored, at a stranger's word: every name and mode is judged here, for all who list, take or
 * write trees. A repository has millions of entries, so the usual name is known by its bytes alone.
 */
import { NodeError } from '../../base/errors.ts'
import { pathNameBytesMax } from '../../base/limits.ts'
import { nameFault, unsafePath } from './path-rules.ts'

export type EntryMode = '100644' | '100755' | '120000' | '40000'

const MODES: readonly EntryMode[] = ['100644', '40000', '100755', '120000']
const [SPACE, SLASH, DOT] = [0x20, 0x2f, 0x2e]
const OID_BYTES = 20
/** Bytes that mean nothing to any file system, wherever in a name they stand; the dot is looked at apart. */
const PLAIN = new Uint8Array(256)
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.'))
  PLAIN[byte] = 1
/** What the names of devices begin with. */
const OF_DEVICES = new Uint8Array(256)
for (const byte of Buffer.from('acnlpACNLP')) OF_DEVICES[byte] = 1
/** Files in which git itself looks for orders; read through a link, they could come from anywhere. */
const OF_GIT = /^\.git(?:modules|attributes|ignore)$|^\.mailmap$/
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** An entry by its place in the tree's bytes; the id is the 20 bytes behind the name and a NUL. */
export type OnEntry = (mode: EntryMode, nameStart: number, nameEnd: number) => void

/**
 * @throws NodeError PATH_UNSAFE naming the entry, GIT_FAILED when the bytes are no tree.
 */
export function scanTree(oid: string, bytes: Buffer, onEntry: OnEntry): void {
  let [at, previous, previousEnd] = [0, -1, -1]
  let previousIsTree = false
  const names = new OpenNames()
  while (at < bytes.length) {
    const mode = modeAt(bytes, at)
    const space = mode === undefined ? bytes.indexOf(SPACE, at) : at + mode.length
    const start = space + 1
    const end = space === -1 ? -1 : bytes.indexOf(0, start)
    if (end === -1 || end + 1 + OID_BYTES > bytes.length) {
      throw new NodeError('GIT_FAILED', `The object ${oid} is no tree that can be read`, { oid })
    }
    if (mode === undefined || !isPlain(bytes, start, end)) judgeEntry(bytes, mode, at, start, end)
    const isTree = mode === '40000'
    if (previous !== -1) {
      const order = compareNames(bytes, previous, previousEnd, previousIsTree, start, end, isTree)
      if (order >= 0) throw unsafePath(nameOf(bytes, start, end), 'is given twice or out of order')
    }
    if (names.add(bytes, start, end, isTree)) {
      throw unsafePath(nameOf(bytes, start, end), 'is a file and a directory at once')
    }
    ;[previous, previousEnd, previousIsTree] = [start, end, isTree]
    onEntry(mode as EntryMode, start, end)
    at = end + 1 + OID_BYTES
  }
}

export function nameOf(bytes: Buffer, start: number, end: number): string {
  // ASCII is UTF-8, and most names are; a decoder costs far more for a few bytes.
  if (isAscii(bytes, start, end)) return bytes.toString('latin1', start, end)
  try {
    return utf8.decode(bytes.subarray(start, end))
  } catch {
    // Shown with a replacement character, which the rules refuse in turn.
    return new TextDecoder().decode(bytes.subarray(start, end)) || '\ufffd'
  }
}

export function oidBehind(bytes: Buffer, nameEnd: number): string {
  return bytes.toString('hex', nameEnd + 1, nameEnd + 1 + OID_BYTES)
}

function modeAt(bytes: Buffer, at: number): EntryMode | undefined {
  for (const mode of MODES) {
    if (bytes[at + mode.length] === SPACE && reads(bytes, at, mode)) return mode
  }
  return undefined
}

function reads(bytes: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if ((bytes[i] as number) > 0x7f) return false
  return true
}

/** True for a name that can break no rule; of any other it says nothing. */
function isPlain(bytes: Buffer, start: number, end: number): boolean {
  const length = end - start
  if (length === 0 || length > pathNameBytesMax) return false
  if (bytes[start] === DOT || bytes[end - 1] === DOT) return false
  let stem = length
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i] as number
    if (PLAIN[byte] === 0) return false
    if (byte === DOT && stem === length) stem = i - start
  }
  return OF_DEVICES[bytes[start] as number] === 0 || stem < 3 || stem > 4
}

function judgeEntry(
  bytes: Buffer,
  mode: EntryMode | undefined,
  at: number,
  start: number,
  end: number,
): void {
  const name = nameOf(bytes, start, end)
  const shown = bytes.toString('latin1', at, start - 1).slice(0, 8)
  const fault = nameFault(name) ?? (mode === undefined ? `has the mode ${shown}` : undefined)
  if (fault !== undefined) throw unsafePath(name, fault)
  if (mode === '120000' && OF_GIT.test(name.toLowerCase()))
    throw unsafePath(name, 'is a link that git would read')
}

/** git's order: by bytes, directories as if their names ended in a slash. */
function compareNames(
  bytes: Buffer,
  startA: number,
  endA: number,
  treeA: boolean,
  startB: number,
  endB: number,
  treeB: boolean,
): number {
  const common = Math.min(endA - startA, endB - startB)
  for (let i = 0; i < common; i += 1) {
    const difference = (bytes[startA + i] as number) - (bytes[startB + i] as number)
    if (difference !== 0) return difference
  }
  const byteAt = (start: number, end: number, tree: boolean) =>
    start + common < end ? (bytes[start + common] as number) : tree ? SLASH : 0
  return byteAt(startA, endA, treeA) - byteAt(startB, endB, treeB)
}

/**
 * Files whose names begin the names that follow: between the file `a` and the directory `a` stand only such as `a-b` and
 * `a.c`, so that the two are not neighbours.
 */
class OpenNames {
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  /** Takes the next entry. @returns true when it is a directory with the name of a file. */
  add(bytes: Buffer, start: number, end: number, isTree: boolean): boolean {
    while (this.#starts.length > 0 && !this.#begins(bytes, start, end)) {
      this.#starts.pop()
      this.#ends.pop()
    }
    if (!isTree) {
      this.#starts.push(start)
      this.#ends.push(end)
      return false
    }
    const last = this.#starts.length - 1
    return last >= 0 && (this.#ends[last] as number) - (this.#starts[last] as number) === end - start
  }

  #begins(bytes: Buffer, start: number, end: number): boolean {
    const last = this.#starts.length - 1
    const [from, to] = [this.#starts[last] as number, this.#ends[last] as number]
    if (to - from > end - start) return false
    for (let i = 0; i < to - from; i += 1) if (bytes[from + i] !== bytes[start + i]) return false
    return true
  }
}
