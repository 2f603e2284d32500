/** The bytes of datasets as answers: files with ranges and tags, directories as archives. */
import type { Context } from 'hono'
import { NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Semaphore } from '../base/semaphore.ts'
import { archive } from '../datasets/browse/archive.ts'
import { entryIn } from '../datasets/browse/listing.ts'
import type { Revision } from '../datasets/browse/revision.ts'
import type { Repository, TreeEntryView } from '../datasets/git/repository.ts'
import { parseRange } from './byte-range.ts'
import { noneMatches, rangeHolds } from './entity-tag.ts'
import { cacheControl, foreignContentHeaders, mediaTypeOf } from './file-headers.ts'
import { liveBytes } from './live-bytes.ts'
import { PROBLEM_MEDIA_TYPE, problemOf } from './problems.ts'

export const TAR = 'application/x-tar'
/** The commit that an answer is about, for whoever asked by another name. */
const COMMIT_HEADER = 'mao-commit'

export interface ContentParts {
  readonly stopping: AbortSignal
  readonly log: Logger
}

/** One commit of one dataset. */
export interface Place {
  readonly name: string
  readonly at: Revision
  readonly repository: Repository
}

/**
 * One file, or the range of it that is asked for (RFC 9110, 13 and 14). Of several ranges the whole file is told, which
 * the RFC leaves to a server.
 *
 * @throws NodeError NOT_FOUND, PATH_UNSAFE, INVALID_INPUT for a directory or a link, TOO_LARGE, QUEUE_FULL.
 */
export async function sendFile(
  c: Context,
  place: Place,
  path: string,
  parts: ContentParts,
): Promise<Response> {
  const { at, repository } = place
  const entry = await entryIn(repository, at.commit, path)
  if (entry.mode === '040000') throw isDirectory(place, path)
  if (entry.mode === '120000') throw await isLink(place, path, entry)
  const { oid, size = 0 } = entry
  const tag = `"${oid}"`
  const headers: Record<string, string> = {
    ...foreignContentHeaders(entry.name),
    etag: tag,
    'accept-ranges': 'bytes',
    'cache-control': cacheControl(at.fixed),
    [COMMIT_HEADER]: at.commit,
  }
  if (noneMatches(c.req.header('if-none-match'), tag)) return c.body(null, 304, headers)
  headers['content-type'] = mediaTypeOf(path)
  if (c.req.method === 'HEAD') return c.body(null, 200, { ...headers, 'content-length': String(size) })
  const range = rangeHolds(c.req.header('if-range'), tag) ? parseRange(c.req.header('range'), size) : 'whole'
  if (range === 'unsatisfiable') {
    const message = `${JSON.stringify(path)} has ${size} bytes, and none in that range`
    const problem = problemOf('INVALID_INPUT', 416, message, { path, size })
    const told = { 'content-type': PROBLEM_MEDIA_TYPE, 'content-range': `bytes */${size}` }
    return c.body(JSON.stringify(problem), 416, told)
  }
  const gone = new AbortController()
  const part = range === 'whole' ? undefined : range
  const { content } = await repository.openBlob(oid, part, gone.signal)
  const body = liveBytes({ content, gone, mayStay: c.get('mayStay'), ...parts })
  if (part === undefined) return c.body(body, 200, { ...headers, 'content-length': String(size) })
  return c.body(body, 206, {
    ...headers,
    'content-length': String(part.end - part.start),
    'content-range': `bytes ${part.start}-${part.end - 1}/${size}`,
  })
}

/**
 * The files below a path as a tar archive.
 *
 * @throws NodeError NOT_FOUND, PATH_UNSAFE, QUEUE_FULL.
 */
export async function sendArchive(
  c: Context,
  place: Place,
  path: string,
  archives: Semaphore,
  parts: ContentParts,
): Promise<Response> {
  const { name, at, repository } = place
  const { oid, name: last } = await entryIn(repository, at.commit, path)
  const { timeMs } = await repository.readCommit(at.commit)
  // The time of the commit is in the bytes, so the tree alone would be the same tag for two of them.
  const tag = `"${oid}-${timeMs / 1_000}"`
  const title = `${name}-${last === '' ? '' : `${last}-`}${at.commit.slice(0, 10)}.tar`
  const headers = {
    ...foreignContentHeaders(title),
    etag: tag,
    'cache-control': cacheControl(at.fixed),
    [COMMIT_HEADER]: at.commit,
  }
  if (noneMatches(c.req.header('if-none-match'), tag)) return c.body(null, 304, headers)
  const told = { ...headers, 'content-type': TAR }
  if (c.req.method === 'HEAD') return c.body(null, 200, told)

  const gone = new AbortController()
  const { promise: started, resolve, reject } = Promise.withResolvers<AsyncIterable<Uint8Array>>()
  // A place among the archives is held until the last byte is read, or the reader has left.
  const held = archives.run(async () => {
    const content = await archive(repository, at.commit, { path, timeMs, signal: gone.signal })
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    resolve(whileRead(content, end))
    gone.signal.addEventListener('abort', () => end(), { once: true })
    await ended
  })
  held.catch(reject)
  return c.body(liveBytes({ content: await started, gone, mayStay: c.get('mayStay'), ...parts }), 200, told)
}

async function* whileRead(
  content: AsyncIterable<Uint8Array>,
  end: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* content
  } finally {
    end()
  }
}

function isDirectory({ name, at }: Place, path: string): NodeError {
  const shown = JSON.stringify(path)
  const message = `${shown} of ${name} is a directory; "maoctl dataset ls ${name} PATH" lists it`
  return new NodeError('INVALID_INPUT', message, { path, commit: at.commit, type: 'directory' })
}

/** Where a link leads is for whoever asks to follow: what it names may be another file, or nothing. */
async function isLink(
  { name, repository, at }: Place,
  path: string,
  { oid }: TreeEntryView,
): Promise<NodeError> {
  const target = Buffer.from(await repository.readBlob(oid)).toString()
  const message = `${JSON.stringify(path)} of ${name} is a link to ${JSON.stringify(target)}, which is not followed`
  return new NodeError('INVALID_INPUT', message, { path, commit: at.commit, type: 'link', target })
}
