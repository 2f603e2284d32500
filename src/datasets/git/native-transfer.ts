/**
 * The two processes of a transfer: `git upload-pack` on pipes where objects are served, `git index-pack` where they
 * arrive. No port is opened and no shell involved.
 */
import type { Writable } from 'node:stream'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { gitRequestBytesMax, SECOND_MS, streamIdleMaxMs } from '../../base/limits.ts'
import { KIB } from '../../base/units.ts'
import { withDeadline } from '../../base/wait.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import { ADMISSION_BOUNDS, type AdmissionBounds, workMaxMs } from './admission.ts'
import { isLacking, namesRefused } from './fsck-words.ts'
import { GitExit, type GitProgram } from './git-program.ts'
import { meterPack } from './pack-meter.ts'

/** What index-pack says once it is done; anything behind it are bytes beyond the pack's end, which it hands back. */
const PACK_KEPT = /^pack\t[0-9a-f]{40}\n$/
const SAID_BYTES_MAX = 200
/** What may wait for index-pack to read it. */
const PACK_BYTES_AHEAD = 512 * KIB

/** Serves one fetch. A refusal by upload-pack reaches the other side as git's own message. */
export async function serveUploadPack(
  git: GitProgram,
  path: string,
  stream: ByteStream,
  signal: AbortSignal,
): Promise<void> {
  const idleSeconds = Math.ceil(streamIdleMaxMs / SECOND_MS)
  const args = ['upload-pack', '--strict', `--timeout=${idleSeconds}`, path]
  const child = git.spawn(args, { signal, env: { GIT_PROTOCOL: 'version=2' } })
  let unheard: unknown
  // git keeps all that it is told until the question is whole.
  pourInto(child.stdin, stream, gitRequestBytesMax).catch((error: unknown) => {
    unheard = error
    child.kill()
  })
  try {
    for await (const chunk of child.stdout) await stream.write(chunk as Buffer)
    await child.ended
    signal.throwIfAborted()
    if (unheard !== undefined) throw unheard
    await stream.closeWrite()
  } catch (error) {
    throw unheard ?? error
  } finally {
    child.kill()
  }
}

export interface PackOptions {
  /** Deltas may stand on objects that are here already; these are then added to the pack. */
  readonly thin?: boolean
  readonly bounds?: Pick<AdmissionBounds, 'bytesMax' | 'workFirstMs' | 'workPerMibMs'>
}

/**
 * Puts a pack into the repository at `place` while it arrives. git checks that it is whole, that each object is what its
 * id says and well-formed, and that every object which one of them refers to is in the pack or here (index-pack
 * --strict; dataset-fetch.md D7); whether what was here already is itself whole is not looked at.
 *
 * @returns the bytes of the pack as it came.
 * @throws NodeError PACK_REJECTED, also when git works on it for too long, and whatever `pack` throws.
 */
export async function indexPack(
  git: Pick<GitProgram, 'spawn'>,
  place: string,
  pack: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  { thin = false, bounds = ADMISSION_BOUNDS }: PackOptions = {},
): Promise<number> {
  const { bytesMax } = bounds
  // One thread: what a stranger sends may keep one core busy, not all of them.
  const flags = ['--stdin', '--strict', '--fsck-objects', '--threads=1', `--max-input-size=${bytesMax}`]
  const args = [`--git-dir=${place}`, 'index-pack', ...flags, ...(thin ? ['--fix-thin'] : [])]
  const child = git.spawn(args, { signal })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    if (said.length < SAID_BYTES_MAX) said += bytes.toString('latin1')
  })
  let [bytes, workedMs] = [0, 0]
  // Only the time in which we wait for git counts, not that in which git waits for the sender.
  const worked = async <T>(work: Promise<T>): Promise<T> => {
    const beganMs = performance.now()
    const leftMs = Math.max(0, workMaxMs(bounds, bytes) - workedMs)
    try {
      return await withDeadline(work, leftMs, 'index-pack')
    } catch (error) {
      throw isNodeError(error, 'TIMED_OUT') ? tooMuchWork(bytes) : error
    } finally {
      workedMs += performance.now() - beganMs
    }
  }
  try {
    for await (const chunk of meterPack(pack, bytesMax)) {
      bytes += chunk.length
      // A git that has ended reads no more; why it ended is told by its exit.
      if (child.stdin.destroyed) break
      gathered(child.stdin).write(chunk)
      if (child.stdin.writableLength > PACK_BYTES_AHEAD) await worked(roomIn(child.stdin))
    }
    child.stdin.end()
    const { code, stderr } = await worked(child.ended)
    signal.throwIfAborted()
    if (code !== 0) throw rejected(new GitExit('index-pack', code, stderr))
    if (!PACK_KEPT.test(said)) {
      throw new NodeError('PACK_REJECTED', 'The received pack has bytes that belong to no object')
    }
    return bytes
  } finally {
    child.kill()
  }
}

/** From a stream into a writable, at the writable's pace. @throws NodeError TOO_LARGE above `bytesMax`. */
export async function pourInto(sink: Writable, stream: ByteStream, bytesMax: number): Promise<void> {
  let bytes = 0
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new NodeError('TOO_LARGE', `A question has at most ${bytesMax} bytes`)
    // A git that has ended reads no more; why it ended is told by its exit.
    if (sink.destroyed || sink.writableEnded) return
    if (!sink.write(chunk)) await roomIn(sink)
  }
  sink.end()
}

/** The sink, which hands on in one piece what is written to it in one turn: git's side band cuts a pack into crumbs. */
function gathered(sink: Writable): Writable {
  if (sink.writableCorked === 0) {
    sink.cork()
    process.nextTick(() => sink.uncork())
  }
  return sink
}

function roomIn(sink: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      sink.off('drain', settle)
      sink.off('close', settle)
      resolve()
    }
    sink.on('drain', settle)
    sink.on('close', settle)
  })
}

/** Asking for it again soon would only cost the same. */
export function tooMuchWork(bytes: number): NodeError {
  return new NodeError('PACK_REJECTED', `The received pack of ${bytes} bytes takes too long to check`, {
    bytes,
  })
}

/** What came from elsewhere and git refuses. */
export function rejected(cause: NodeError): NodeError {
  // That is nothing that the sender could help.
  if (cause.code === 'DISK_FULL') return cause
  const oid = cause instanceof GitExit ? namesRefused(cause.stderr) : undefined
  if (oid !== undefined) {
    const message = `The tree ${oid} holds names that no dataset holds: ${cause.message}`
    return new NodeError('PATH_UNSAFE', message, { oid }, { cause })
  }
  // What it rests on may be what is not whole.
  const missing = cause instanceof GitExit && isLacking(cause.stderr)
  const data = { ...cause.data, ...(missing && { missing }) }
  return new NodeError('PACK_REJECTED', `What was received does not hold: ${cause.message}`, data, { cause })
}
