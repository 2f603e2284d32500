/**
 * git's own fetch dialogue over one stream. The server's side is `git upload-pack` on pipes; the client's is
 * `git fetch` with the transport `fd::3`, a socket that it inherits, so that no port is opened and no shell involved.
 */
import type { Duplex, Readable, Writable } from 'node:stream'
import { messageOf, NodeError } from '../../base/errors.ts'
import { SECOND_MS, streamIdleMaxMs } from '../../base/limits.ts'
import { withDeadline } from '../../base/wait.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import type { GitProgram } from './git-program.ts'
import { PackMeter } from './pack-meter.ts'

/** What the other side is given to end its side of a fetch that is complete, while nobody waits for it. */
const FAREWELL_MS = 5 * SECOND_MS

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
  const heard = pourInto(child.stdin, stream).catch((error: unknown) => {
    child.kill()
    throw error
  })
  // The client may hang up as soon as it has all: that it does is no failure of what it was sent.
  heard.catch(() => undefined)
  try {
    for await (const chunk of child.stdout) await stream.write(chunk as Buffer)
    await child.ended
    signal.throwIfAborted()
    await stream.closeWrite()
  } finally {
    child.kill()
  }
}

/**
 * Fetches exactly `wants` into the repository at `path`; git checks every object and that none is missing.
 *
 * @throws NodeError COMMIT_NOT_FOUND (the peer has it not), STREAM_CLOSED (cut), PACK_REJECTED.
 */
export async function fetchUploadPack(
  git: Pick<GitProgram, 'spawn'>,
  path: string,
  stream: ByteStream,
  wants: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const settings = [
    'fetch.fsckObjects=true',
    'transfer.fsckObjects=true',
    'fetch.unpackLimit=1',
    'protocol.fd.allow=always',
  ]
  const refs = wants.map((oid, i) => `${oid}:refs/incoming/${i}`)
  const flags = [
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-auto-maintenance',
    '--no-recurse-submodules',
  ]
  const args = [
    `--git-dir=${path}`,
    ...settings.flatMap((s) => ['-c', s]),
    'fetch',
    ...flags,
    'fd::3',
    ...refs,
  ]
  const child = git.spawn(args, { signal, socket: true })
  child.stdin.end()
  child.stdout.resume()
  const socket = child.socket as Duplex
  const meter = new PackMeter()
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
    child.kill()
  }
  const received = pourMetered(socket, stream, meter).catch(fail)
  void pourOut(stream, socket).catch(fail)
  const { code, stderr } = await child.ended
  socket.destroy()
  signal.throwIfAborted()
  if (code === 0) {
    // git has verified all it wanted; what is left of the dialogue is a courtesy, for which no head has to wait.
    void farewell(stream, received)
    return
  }
  stream.abort(new Error('The fetch failed'))
  throw diagnose(failure, stderr, stream.peer)
}

/**
 * Ends a dialogue whose client has all that it wanted. The server goes on listening until our side is closed, and git
 * may have gone without closing it: then its socket breaks instead of ending.
 */
async function farewell(stream: ByteStream, received: Promise<void>): Promise<void> {
  const end = async () => {
    await stream.closeWrite()
    await received
    for (let rest = await stream.read(); rest !== undefined; ) rest = await stream.read()
  }
  try {
    await withDeadline(end(), FAREWELL_MS, 'The end of a fetch')
  } catch {
    // Everything is here already; a server that does not part is parted from.
    stream.abort(new Error('The fetch is complete'))
  }
}

function diagnose(failure: unknown, stderr: string, peer: string): NodeError {
  if (failure instanceof NodeError) return failure
  const last = stderr.trim().split('\n').slice(-3).join('; ')
  const message = last === '' && failure !== undefined ? messageOf(failure) : last
  if (/not our ref/.test(stderr)) {
    return new NodeError('COMMIT_NOT_FOUND', `${peer} does not have what was asked for`, { peer })
  }
  if (/unexpected disconnect|early EOF|hung up|the remote end/.test(stderr)) {
    return new NodeError('STREAM_CLOSED', `The transfer from ${peer} was cut: ${message}`, { peer })
  }
  return new NodeError('PACK_REJECTED', `What ${peer} sent was refused by git: ${message}`, { peer })
}

async function pourMetered(socket: Writable, stream: ByteStream, meter: PackMeter): Promise<void> {
  await pourInto(socket, stream, (chunk) => meter.add(chunk))
}

/** From a stream into a writable, at the writable's pace. */
export async function pourInto(
  sink: Writable,
  stream: ByteStream,
  watch: (chunk: Uint8Array) => void = () => undefined,
): Promise<void> {
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) {
    watch(chunk)
    // A git that has ended reads no more; why it ended is told by its exit.
    if (sink.destroyed || sink.writableEnded) return
    if (!sink.write(chunk)) await roomIn(sink)
  }
  sink.end()
}

/** From a readable into a stream, at the stream's pace. */
async function pourOut(stream: ByteStream, source: Readable): Promise<void> {
  source.on('error', () => undefined)
  for await (const chunk of source) await stream.write(chunk as Buffer)
  await stream.closeWrite()
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
