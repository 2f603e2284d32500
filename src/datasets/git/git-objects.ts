/**
 * Commits and trees as git stores them (gitformat: Documentation/gitformat-pack, "git help hash-object"). Both
 * backends take the bytes from here, so that an object has one id whoever wrote it.
 */
import { createHash } from 'node:crypto'
import { NodeError } from '../../base/errors.ts'
import type { CommitInfo, FileMode, NewCommit, Person, TreeFile } from './repository.ts'
import { nameOf, oidBehind, scanTree } from './tree-scan.ts'

export const DIRECTORY_MODE = '40000'

export interface TreeEntry {
  readonly mode: FileMode | typeof DIRECTORY_MODE
  readonly name: string
  readonly oid: string
}

const OID = /^[0-9a-f]{40}$/

/** A full SHA-1 object id; nothing else may reach git as an argument in its place. */
export function isOid(text: string): boolean {
  return OID.test(text)
}

/** @throws NodeError INVALID_INPUT */
export function checkOid(text: string): string {
  if (!isOid(text)) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${text.slice(0, 80)}" is no object id; one has 40 hexadecimal digits`,
    )
  }
  return text
}

/** The id that git gives to an object. */
export function objectId(type: 'commit' | 'tree' | 'blob', bytes: Uint8Array): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex')
}

/** @throws NodeError INVALID_INPUT when a field cannot stand in a commit. */
export function encodeCommit(commit: NewCommit): Uint8Array {
  const { author, timeMs, message } = commit
  for (const text of [author.name, author.email]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these would end the line or the field
    if (text === '' || /[<>\x00-\x1f]/.test(text)) {
      throw new NodeError('INVALID_INPUT', `"${text}" cannot name the author of a commit`, { text })
    }
  }
  if (message.includes('\0')) throw new NodeError('INVALID_INPUT', 'A commit message holds no NUL character')
  const seconds = Math.floor(timeMs / 1_000)
  if (!Number.isSafeInteger(seconds) || seconds < 0) {
    throw new NodeError('INVALID_INPUT', `${timeMs} is no time of a commit`, { timeMs })
  }
  const person = `${author.name} <${author.email}> ${seconds} +0000`
  const head = [
    `tree ${checkOid(commit.tree)}`,
    ...commit.parents.map((parent) => `parent ${checkOid(parent)}`),
    `author ${person}`,
    `committer ${person}`,
  ]
  const ended = message.endsWith('\n') ? message : `${message}\n`
  return new TextEncoder().encode(`${head.join('\n')}\n\n${ended}`)
}

/** @throws NodeError GIT_FAILED when the bytes are no commit. */
export function decodeCommit(oid: string, bytes: Uint8Array): CommitInfo {
  // Foreign tools write messages in other encodings; a replacement character is better than no message.
  const text = new TextDecoder().decode(bytes)
  const gap = text.indexOf('\n\n')
  const lines = (gap === -1 ? text : text.slice(0, gap)).split('\n')
  const field = (name: string) => lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)
  const tree = field('tree')
  const author = /^(.*?) ?<([^<>]*)> (\d+) [+-]\d{4}$/.exec(field('author') ?? '')
  if (tree === undefined || !isOid(tree) || author === null) {
    throw new NodeError('GIT_FAILED', `The object ${oid} is no commit that can be read`, { oid })
  }
  const parents = lines.filter((line) => line.startsWith('parent ')).map((line) => line.slice(7))
  const person: Person = { name: author[1] ?? '', email: author[2] ?? '' }
  const message = gap === -1 ? '' : text.slice(gap + 2)
  return { oid, tree, parents, author: person, timeMs: Number(author[3]) * 1_000, message }
}

/** Entries in git's order: by bytes, directories as if their names ended in a slash. */
export function encodeTree(entries: readonly TreeEntry[]): Uint8Array {
  const sorted = [...entries].sort((a, b) => Buffer.compare(sortKey(a), sortKey(b)))
  return Buffer.concat(
    sorted.flatMap(({ mode, name, oid }) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')]),
  )
}

function sortKey({ mode, name }: Pick<TreeEntry, 'mode' | 'name'>): Buffer {
  return Buffer.from(mode === DIRECTORY_MODE ? `${name}/` : name)
}

/**
 * Reads a tree that may come from a stranger: every name and mode is judged here, so that nothing above ever holds an
 * entry against the rules.
 *
 * @throws NodeError PATH_UNSAFE naming the entry, GIT_FAILED when the bytes are no tree.
 */
export function decodeTree(oid: string, bytes: Uint8Array): TreeEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const entries: TreeEntry[] = []
  scanTree(oid, buffer, (mode, start, end) => {
    entries.push({ mode, name: nameOf(buffer, start, end), oid: oidBehind(buffer, end) })
  })
  return entries
}

export interface NestedTrees {
  /** Each directory before the one that holds it; the top is last. */
  readonly trees: readonly {
    readonly oid: string
    readonly bytes: Uint8Array
    readonly entries: readonly TreeEntry[]
  }[]
  readonly root: string
}

/** The tree objects of a flat, already checked list of files. Pure. */
export function nestTrees(files: readonly TreeFile[]): NestedTrees {
  interface Directory {
    readonly files: TreeEntry[]
    readonly directories: Map<string, Directory>
  }
  const top: Directory = { files: [], directories: new Map() }
  for (const { path, mode, oid } of files) {
    const names = path.split('/')
    const name = names.pop() as string
    let directory = top
    for (const part of names) {
      const inner = directory.directories.get(part) ?? { files: [], directories: new Map() }
      directory.directories.set(part, inner)
      directory = inner
    }
    directory.files.push({ mode, name, oid })
  }
  const trees: { oid: string; bytes: Uint8Array; entries: readonly TreeEntry[] }[] = []
  const encode = (directory: Directory): string => {
    const inner = [...directory.directories].map(
      ([name, child]): TreeEntry => ({ mode: DIRECTORY_MODE, name, oid: encode(child) }),
    )
    const entries = [...directory.files, ...inner]
    const bytes = encodeTree(entries)
    const oid = objectId('tree', bytes)
    trees.push({ oid, bytes, entries })
    return oid
  }
  return { root: encode(top), trees }
}
