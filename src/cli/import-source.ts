import { createReadStream, rmSync } from 'node:fs'
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pack } from 'tar-stream'
import { NodeError } from '../base/errors.ts'
import { sourceHeadBytes } from '../base/limits.ts'
import { archiveOf } from './archive.ts'
import { download } from './download.ts'
import { EXIT } from './exit-codes.ts'
import { reasonOf } from './files.ts'
import { cloneForImport, filesOf, historyOf, isRepository } from './git-source.ts'
import { countText } from './output.ts'
import type { Session } from './session.ts'
import { type Packed, packedAs, sourceKind } from './source-kind.ts'
import { hasUncommitted, standInFor } from './stand-in.ts'

const PATHS_TOLD_MAX = 10

/** Something to import, on its way to the node. */
export interface ImportSource {
  readonly packed: Packed
  readonly bytes: AsyncIterable<Uint8Array>
  /** What it was, for people, once all of it was read; such as `4 files` or `12 commits of main`. */
  readonly told: () => string | undefined
}

export interface SourceOptions {
  /** Branch of a git repository; where its HEAD is by default. */
  readonly branch?: string
  /** Only the files of a git repository, without its history. */
  readonly filesOnly?: boolean
  /** What a download has to hash to. */
  readonly sha256?: string
}

/**
 * Opens what a person names: a directory, an archive, a file, standard input, an address or a git repository. Whatever
 * is laid down on the way is gone when `use` has ended.
 *
 * @throws NodeError INVALID_INPUT for what cannot be imported; GIT_FAILED, NODE_UNREACHABLE when the source
 * cannot be had.
 */
export async function withSource<T>(
  session: Session,
  source: string,
  options: SourceOptions,
  use: (opened: ImportSource) => Promise<T>,
): Promise<T> {
  const temporary = await mkdtemp(join(tmpdir(), 'maoctl-'))
  // Ctrl-C ends the program before anything below is reached.
  const interrupted = () => {
    rmSync(temporary, { recursive: true, force: true })
    process.exit(EXIT.INTERRUPTED)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted)
  try {
    return await use(await opened(session, source, options, temporary))
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted)
    await rm(temporary, { recursive: true, force: true })
  }
}

async function opened(
  session: Session,
  source: string,
  options: SourceOptions,
  temporary: string,
): Promise<ImportSource> {
  const found = await stat(source).catch(() => undefined)
  const kind = sourceKind(source, found !== undefined)
  checkOptions(source, kind, options)
  if (kind === 'git') {
    const clone = await cloneForImport(session, source, temporary, options.branch)
    return fromGit(session, clone, source, options)
  }
  if (kind === 'url') return fromUrl(source, options, temporary)
  if (kind === 'stdin')
    return fromStream(session.terminal.stdin as AsyncIterable<Uint8Array>, 'Standard input')
  const path = resolve(source)
  if (found === undefined) {
    const message = `${source} cannot be read: it does not exist; a source is a directory, an archive, a git repository, an address, or - for a tar archive on standard input`
    throw new NodeError('INVALID_INPUT', message, { source })
  }
  if (!found.isDirectory()) return fromFile(path, basename(path))
  if (await isRepository(path)) {
    const worktree = (await stat(join(path, '.git')).catch(() => undefined)) !== undefined
    // The files as they lie there; a bare repository has only those of its commits.
    if (options.filesOnly === true && worktree && options.branch === undefined)
      return fromDirectory(session, path)
    if (worktree) {
      const what = 'its history is imported (--files-only takes only its files)'
      session.out.note(`${source} is a git repository: ${what}.`)
    }
    const standIn = await standInFor(session, path, temporary)
    if (worktree && (await hasUncommitted(session, path, standIn, temporary)))
      session.out.note('What is not committed there stays behind.')
    return fromGit(session, standIn, path, options)
  }
  if (options.branch !== undefined) {
    throw new NodeError(
      'INVALID_INPUT',
      `${source} is no git repository, and so has no branch ${options.branch}`,
    )
  }
  return fromDirectory(session, path)
}

function checkOptions(source: string, kind: string, { branch, sha256 }: SourceOptions): void {
  if (sha256 !== undefined && kind !== 'url') {
    throw new NodeError('INVALID_INPUT', `--sha256 is for what is downloaded; ${source} is not`)
  }
  if (branch !== undefined && (kind === 'url' || kind === 'stdin')) {
    throw new NodeError('INVALID_INPUT', `--branch is for git repositories; write git+${source} if it is one`)
  }
}

async function fromGit(
  session: Session,
  repository: string,
  shown: string,
  options: SourceOptions,
): Promise<ImportSource> {
  const history = await historyOf(session, repository, shown, options.branch)
  if (options.filesOnly === true)
    return { packed: 'tar', bytes: filesOf(session, repository, history), told: () => undefined }
  return { packed: 'bundle', bytes: history.bytes(), told: () => history.told }
}

async function fromDirectory(session: Session, path: string): Promise<ImportSource> {
  const { bytes, told } = await archiveOf(path)
  return {
    packed: 'tar',
    bytes,
    told: () => {
      if (told.leftOut.length > 0) session.out.note(`Left out: ${listText(told.leftOut)}`)
      if (told.empty.length > 0)
        session.out.note(`Left out, since git keeps no empty directory: ${listText(told.empty)}`)
      return countText(told.files, 'file')
    },
  }
}

function listText(paths: readonly string[]): string {
  const rest = paths.length - PATHS_TOLD_MAX
  return `${paths.slice(0, PATHS_TOLD_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

async function fromUrl(source: string, { sha256 }: SourceOptions, temporary: string): Promise<ImportSource> {
  const { bytes, name } = await download(source, sha256)
  const { head, all } = await beginningOf(bytes)
  const packed = await packedAs(head, name)
  if (packed !== 'plain') return { packed, bytes: all, told: () => undefined }
  // How long a file is stands before it in an archive, and a server need not say.
  const path = join(temporary, 'download')
  await writeFile(path, all, { mode: 0o600 })
  return oneFile(path, name)
}

async function fromStream(stream: AsyncIterable<Uint8Array>, name: string): Promise<ImportSource> {
  const { head, all } = await beginningOf(stream)
  const packed = await packedAs(head, name)
  if (packed !== 'plain') return { packed, bytes: all, told: () => undefined }
  const message =
    head.length === 0
      ? `${name} is empty`
      : `${name} holds no tar archive, which is what can be imported from there`
  throw new NodeError('INVALID_INPUT', message)
}

async function fromFile(path: string, name: string): Promise<ImportSource> {
  const head = await headOf(path)
  const packed = await packedAs(head, name)
  if (packed === 'plain') return oneFile(path, name)
  return { packed, bytes: createReadStream(path), told: () => undefined }
}

async function headOf(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path)
    try {
      const head = Buffer.alloc(sourceHeadBytes)
      const { bytesRead } = await handle.read(head, 0, head.length, 0)
      return head.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw new NodeError('INVALID_INPUT', `${path} cannot be read: ${reasonOf(cause)}`, { path }, { cause })
  }
}

/** A dataset of one file, as an archive that is made while it is read. */
async function oneFile(path: string, name: string): Promise<ImportSource> {
  const { size, mtime } = await stat(path)
  const archive = pack()
  const entry = archive.entry({ name, size, mtime, mode: 0o644 })
  createReadStream(path, { end: Math.max(size - 1, 0) })
    .on('error', (error) => archive.destroy(error))
    .pipe(entry)
  entry.on('finish', () => archive.finalize())
  return { packed: 'tar', bytes: archive as AsyncIterable<Uint8Array>, told: () => `the file ${name}` }
}

/** The first bytes of a stream, and the stream as it was before they were read. */
async function beginningOf(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  let bytes = 0
  while (bytes < sourceHeadBytes) {
    const next = await iterator.next()
    if (next.done === true) break
    chunks.push(next.value)
    bytes += next.value.length
  }
  const head = Buffer.concat(chunks)
  async function* all() {
    yield head
    for (;;) {
      const next = await iterator.next()
      if (next.done === true) return
      yield next.value
    }
  }
  return { head, all: all() }
}
