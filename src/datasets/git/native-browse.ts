/** Looking at single directories and files of a repository through the git program. */

import { NodeError } from '../../base/errors.ts'
import { blobStreamsMax, gitTimeoutMs } from '../../base/limits.ts'
import { checkRange, noCommit, noFile, notADirectory } from './browse-faults.ts'
import { ChunkReader } from './chunk-reader.ts'
import { checkOid, DIRECTORY_MODE, decodeTree, isOid } from './git-objects.ts'
import type { GitChild, GitProgram } from './git-program.ts'
import { readKinds, readNamed, readObjects } from './native-objects.ts'
import { checkPath, unsafePath } from './path-rules.ts'
import type { ByteRange, FileMode, OnFile, OpenBlob, TreeEntryView } from './repository.ts'

/** A line that tells an object: id, type and size. */
const HEADER_BYTES_MAX = 200

export class NativeBrowse {
  readonly #git: GitProgram
  readonly #path: string
  #streams = 0

  constructor(git: GitProgram, path: string) {
    this.#git = git
    this.#path = path
  }

  async listDirectory(commit: string, path: string): Promise<TreeEntryView[]> {
    const tree = await readNamed(this.#git, this.#path, this.#name(commit, path))
    if (tree?.type !== 'tree') {
      await this.#checkCommit(commit)
      throw notADirectory(commit, path)
    }
    const entries = decodeTree(tree.oid, tree.bytes)
    const files = entries.filter((entry) => entry.mode !== DIRECTORY_MODE)
    const kinds = await readKinds(
      this.#git,
      this.#path,
      files.map((file) => file.oid),
    )
    return entries.map(({ mode, name, oid }): TreeEntryView => {
      if (mode === DIRECTORY_MODE) return { name, mode: '040000', oid }
      const size = kinds.get(oid)?.size
      return size === undefined ? { name, mode, oid } : { name, mode, oid, size }
    })
  }

  async entryAt(commit: string, path: string): Promise<TreeEntryView | undefined> {
    if (path === '') {
      const tree = await readNamed(this.#git, this.#path, this.#name(commit, path))
      if (tree === undefined) throw noCommit(commit)
      return { name: '', mode: '040000', oid: tree.oid }
    }
    this.#name(commit, path)
    const args = [`--git-dir=${this.#path}`, '--literal-pathspecs', 'ls-tree', '-l', '-z', '--full-tree']
    let output: Buffer
    try {
      output = await this.#git.run([...args, `${commit}^{commit}`, '--', path])
    } catch (error) {
      await this.#checkCommit(commit)
      throw error
    }
    const found = /^(\d+) \w+ ([0-9a-f]{40}) +(-|\d+)\t/.exec(output.toString('latin1'))
    if (found === null) return undefined
    const [, mode, oid, size] = found as unknown as [string, string, string, string]
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (mode === '040000') return { name, mode, oid }
    if (!isFileMode(mode)) throw unsafePath(path, `has the mode ${mode}`)
    return { name, mode, oid, size: Number(size) }
  }

  async openBlob(oid: string, range?: ByteRange, signal?: AbortSignal): Promise<OpenBlob> {
    checkOid(oid)
    if (range !== undefined) checkRange(range)
    if (this.#streams >= blobStreamsMax) {
      throw new NodeError('QUEUE_FULL', `${blobStreamsMax} files are being read already; try again later`)
    }
    signal?.throwIfAborted()
    const args = [`--git-dir=${this.#path}`, 'cat-file', '--batch', '--buffer']
    const child = this.#git.spawn(args, signal === undefined ? {} : { signal })
    this.#streams += 1
    const settle = () => {
      this.#streams -= 1
    }
    child.ended.then(settle, settle)
    try {
      child.stdin.end(`${oid}\n`)
      const reader = new ChunkReader(child.stdout)
      const [, type, size] = ((await reader.line(HEADER_BYTES_MAX)) ?? '').split(' ')
      signal?.throwIfAborted()
      if (type !== 'blob') {
        // Says why when git did not even start.
        child.kill()
        await child.ended
        throw noFile(oid)
      }
      const bytes = Number(size)
      return { size: bytes, content: new BlobContent(child, rangeOf(reader, oid, bytes, range, signal)) }
    } catch (error) {
      child.kill()
      signal?.throwIfAborted()
      throw error
    }
  }

  async fileSizes(oids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const kinds = await readKinds(this.#git, this.#path, oids.map(checkOid))
    const files = [...kinds].filter(([, { type }]) => type === 'blob')
    return new Map(files.map(([oid, { size }]) => [oid, size]))
  }

  async readFiles(oids: readonly string[], onFile: OnFile, signal?: AbortSignal): Promise<void> {
    let index = 0
    const onObject = async (oid: string, type: string, content: AsyncIterable<Uint8Array>) => {
      if (type !== 'blob') throw noFile(oid)
      await onFile(index, content)
      index += 1
    }
    await readObjects(this.#git, this.#path, oids.map(checkOid), onObject, signal)
  }

  #name(commit: string, path: string): string {
    if (!isOid(commit)) throw noCommit(commit)
    if (path !== '') checkPath(path)
    return `${commit}^{commit}:${path}`
  }

  async #checkCommit(commit: string): Promise<void> {
    const kinds = await readKinds(this.#git, this.#path, [commit])
    if (kinds.get(commit)?.type !== 'commit') throw noCommit(commit)
  }
}

/** Ends the process with the last reader, and a reader that never comes back with the process. */
class BlobContent implements AsyncIterable<Uint8Array> {
  readonly #child: GitChild
  readonly #pieces: AsyncGenerator<Uint8Array, void, undefined>
  readonly #idle: NodeJS.Timeout

  constructor(child: GitChild, pieces: AsyncGenerator<Uint8Array, void, undefined>) {
    this.#child = child
    this.#pieces = pieces
    this.#idle = setTimeout(() => child.kill(), gitTimeoutMs).unref()
    const settle = () => clearTimeout(this.#idle)
    child.ended.then(settle, settle)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void, undefined> {
    return {
      next: async () => {
        this.#idle.refresh()
        const next = await this.#pieces.next()
        if (next.done === true) this.#child.kill()
        return next
      },
      return: async () => {
        this.#child.kill()
        return this.#pieces.return()
      },
    }
  }
}

async function* rangeOf(
  reader: ChunkReader,
  oid: string,
  size: number,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const [start, end] = [range?.start ?? 0, Math.min(range?.end ?? size, size)]
  let at = 0
  try {
    if (start >= end) return
    for await (const piece of reader.pieces(size)) {
      const part = piece.subarray(Math.max(0, start - at), Math.max(0, end - at))
      at += piece.length
      if (part.length > 0) yield part
      if (at >= end) return
    }
  } catch (cause) {
    signal?.throwIfAborted()
    throw new NodeError('GIT_FAILED', `Reading ${oid} ended early`, { oid }, { cause })
  }
}

function isFileMode(mode: string): mode is FileMode {
  return mode === '100644' || mode === '100755' || mode === '120000'
}
