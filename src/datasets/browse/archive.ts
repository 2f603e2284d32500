import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Header, pack } from 'tar-stream'
import { NodeError } from '../../base/errors.ts'
import { archiveIdleMs } from '../../base/limits.ts'
import type { Repository, TreeFile } from '../git/repository.ts'
import { filesBelow } from './listing.ts'

/** Files whose sizes are asked for in one go. */
const FILES_AT_ONCE = 1_000
/** Bytes of files that are read at once, so that git waits for no slow reader, and held until that one has them. */
const BATCH_BYTES = 4 * 1024 * 1024

type Contents = Pick<Repository, 'fileSizes' | 'readFiles' | 'openBlob'>

type Content = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

interface SizedFile extends TreeFile {
  readonly size: number
}

export interface ArchiveOptions {
  readonly path: string
  /** Of every file in the archive, in ms since the epoch. */
  readonly timeMs: number
  readonly signal: AbortSignal
}

/**
 * The files of a commit, or those below a path, as a tar archive that is made while it is read. The same commit gives
 * the same bytes on every node: files come in git's order, belong to nobody, and are as old as the commit. Links are
 * packed as links. (POSIX.1-2001 `pax` where a name needs it, else `ustar`.)
 *
 * @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE; from the stream NOT_FOUND, TOO_LARGE, and
 * TIMED_OUT when its reader takes nothing for `archiveIdleMs`.
 */
export async function archive(
  repository: Contents & Pick<Repository, 'listFiles'>,
  commit: string,
  { path, timeMs, signal }: ArchiveOptions,
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const files = filesBelow(await repository.listFiles(commit), path)
  return chunksOf(repository, files, new Date(timeMs), signal)
}

async function* chunksOf(
  repository: Contents,
  files: readonly TreeFile[],
  mtime: Date,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const tar = pack()
  const gone = new AbortController()
  const filling = fill(AbortSignal.any([signal, gone.signal])).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
  )

  async function fill(until: AbortSignal): Promise<void> {
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      const some = files.slice(at, at + FILES_AT_ONCE)
      const sizes = await repository.fileSizes(some.map(({ oid }) => oid))
      for (const batch of batchesOf(some, sizes)) {
        const [first] = batch
        if (batch.length === 1 && first !== undefined && first.size > BATCH_BYTES)
          await writeLarge(first, until)
        else await writeBatch(batch, until)
      }
    }
  }

  /** For as long as its reader goes on reading: one large file may take hours. */
  async function writeLarge(file: SizedFile, until: AbortSignal): Promise<void> {
    const { content } = await repository.openBlob(file.oid, undefined, until)
    await writeEntry(file, content)
  }

  async function writeBatch(batch: readonly SizedFile[], until: AbortSignal): Promise<void> {
    const oids = batch.map(({ oid }) => oid)
    const contents: Buffer[] = []
    await repository.readFiles(
      oids,
      async (index, content) => {
        contents[index] = await bytesOf(content)
      },
      until,
    )
    for (const [index, file] of batch.entries()) await writeEntry(file, [contents[index] as Buffer])
  }

  async function writeEntry(file: SizedFile, content: Content): Promise<void> {
    const header = { name: file.path, mtime, uid: 0, gid: 0, uname: '', gname: '' }
    if (file.mode === '120000') {
      const linkname = (await bytesOf(content)).toString()
      await new Promise<void>((resolve, reject) => {
        const entry: Partial<Header> & { name: string } = {
          ...header,
          type: 'symlink',
          linkname,
          mode: 0o777,
        }
        tar.entry(entry, (error) => (error ? reject(error) : resolve()))
      })
      return
    }
    const sink = tar.entry({ ...header, size: file.size, mode: file.mode === '100755' ? 0o755 : 0o644 })
    await pipeline(Readable.from(content, { objectMode: false }), sink, { signal })
  }

  const idle = setTimeout(() => {
    tar.destroy(new NodeError('TIMED_OUT', `Nobody has read on in the archive for ${archiveIdleMs} ms`))
  }, archiveIdleMs).unref()
  try {
    for await (const chunk of tar) {
      idle.refresh()
      yield chunk as Uint8Array
      idle.refresh()
    }
    await filling
  } finally {
    clearTimeout(idle)
    // A reader that leaves ends the git process too.
    gone.abort()
    tar.destroy()
  }
}

/** Neighbours that are small together, and each large file alone. @throws NodeError NOT_FOUND */
function batchesOf(files: readonly TreeFile[], sizes: ReadonlyMap<string, number>): SizedFile[][] {
  const batches: SizedFile[][] = []
  let room = 0
  for (const file of files) {
    const size = sizes.get(file.oid)
    if (size === undefined) throw new NodeError('NOT_FOUND', `There is no file content ${file.oid} here`)
    if (batches.length === 0 || size > room) {
      batches.push([])
      room = BATCH_BYTES
    }
    batches.at(-1)?.push({ ...file, size })
    room -= size
  }
  return batches
}

async function bytesOf(content: Content): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}
