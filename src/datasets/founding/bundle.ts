import { isNodeError, NodeError } from '../../base/errors.ts'
import { bundleHeaderBytesMax } from '../../base/limits.ts'
import { ChunkReader } from '../git/chunk-reader.ts'
import { isOid } from '../git/git-objects.ts'
import type { PackRepository } from '../git/repository.ts'

export interface BundleHeader {
  /** What the one reference points to. */
  readonly commit: string
  /** Name of the reference as whoever made the bundle had it, such as `refs/heads/main` or `HEAD`. */
  readonly ref: string
}

const SIGNATURES = ['# v2 git bundle', '# v3 git bundle']

/**
 * Reads the header of a git bundle (gitformat-bundle(5), versions 2 and 3) that holds the whole history of one
 * reference: no prerequisites, SHA-1, nothing filtered out. The pack follows in `stream`.
 *
 * @throws NodeError INVALID_INPUT
 */
export async function readBundleHeader(stream: ChunkReader): Promise<BundleHeader> {
  const signature = await lineOf(stream)
  if (!SIGNATURES.includes(signature)) throw refused('it does not begin as a git bundle does')
  let header: BundleHeader | undefined
  let bytes = 0
  for (;;) {
    const line = await lineOf(stream)
    if (line === '') break
    bytes += line.length
    if (bytes > bundleHeaderBytesMax) throw refused(`its header has more than ${bundleHeaderBytesMax} bytes`)
    if (line.startsWith('@')) checkCapability(line.slice(1), signature)
    else if (line.startsWith('-')) {
      throw refused('it needs commits that it does not hold; make it of a whole branch')
    } else if (header !== undefined) {
      throw refused('it holds more than one reference; make it of one branch')
    } else header = readReference(line)
  }
  if (header === undefined) throw refused('it holds no reference; make it of one branch')
  return header
}

function checkCapability(capability: string, signature: string): void {
  if (capability === 'object-format=sha1' && signature === SIGNATURES[1]) return
  const [key = ''] = capability.split('=')
  if (key === 'object-format') throw refused('datasets hold SHA-1 objects, and it holds others')
  if (key === 'filter') throw refused('objects are left out of it')
  throw refused(`it asks for "${key.slice(0, 40)}", which is not known here`)
}

function readReference(line: string): BundleHeader {
  const [commit = '', ...words] = line.split(' ')
  const ref = words.join(' ')
  if (!isOid(commit) || ref === '') throw refused('a reference in its header cannot be read')
  return { commit, ref }
}

async function lineOf(stream: ChunkReader): Promise<string> {
  try {
    const line = await stream.line(bundleHeaderBytesMax)
    if (line !== undefined) return line
  } catch (error) {
    if (!isNodeError(error, 'TOO_LARGE') && !isNodeError(error, 'STREAM_CLOSED')) throw error
  }
  throw refused('its header is cut short, or is none')
}

function refused(reason: string): NodeError {
  return new NodeError('INVALID_INPUT', `The bundle cannot be imported: ${reason}`)
}

/**
 * Takes what a bundle holds into a repository, through quarantine: strict index, fsck, connectivity, limits and the
 * rules for paths hold of all of its history before anything of it is there (dataset-fetch.md D6 to D10).
 *
 * @returns the header; its commit is in the repository, on no branch yet.
 * @throws NodeError INVALID_INPUT when the bundle or its pack does not hold, PATH_UNSAFE.
 */
export async function receiveBundle(
  repository: Pick<PackRepository, 'quarantine'>,
  bundle: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<BundleHeader> {
  const stream = new ChunkReader(bundle)
  const header = await readBundleHeader(stream)
  const quarantine = await repository.quarantine()
  try {
    await quarantine.receive(rest(stream), signal)
    await quarantine.admit([header.commit], signal)
  } catch (cause) {
    // To the protocol of peers this is a peer's fault; here it is what somebody asked for.
    if (!isNodeError(cause, 'PACK_REJECTED')) throw cause
    const message = `The bundle cannot be imported: ${cause.message}`
    throw new NodeError('INVALID_INPUT', message, cause.data, { cause })
  } finally {
    await quarantine.discard()
  }
  return header
}

async function* rest(stream: ChunkReader): AsyncGenerator<Uint8Array> {
  for (let chunk = await stream.chunk(); chunk !== undefined; chunk = await stream.chunk()) yield chunk
}
