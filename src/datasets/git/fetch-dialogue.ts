/**
 * The client's side of git's fetch (gitprotocol-v2, `command=fetch`), spoken by ourselves: a `git fetch` beside it would
 * be five processes instead of one, and would tell neither how far it has come nor how fast. One round does: all that we
 * have to name is named at once, and `done` says that the pack may follow.
 */
import { NodeError } from '../../base/errors.ts'
import { strangersWords } from '../../base/strangers-words.ts'
import type { ChunkReader } from './chunk-reader.ts'
import {
  BAND_DATA,
  BAND_ERROR,
  BAND_PROGRESS,
  DELIMITER,
  FLUSH,
  lineOf,
  type Mark,
  PacketReader,
  packet,
} from './pkt-line.ts'

/** Lines of an advertisement, or before a pack: git says fewer than ten. */
const LINES_MAX = 100
/** Packets of a whole answer that bring nothing of the pack: git sends one in five seconds, to show that it is at work. */
const IDLE_PACKETS_MAX = 20_000

/** What the other side of a dialogue can do: its capabilities with their values. */
export type Capabilities = ReadonlyMap<string, string>

/**
 * What `git upload-pack` says first.
 *
 * @throws NodeError UNSUPPORTED where it speaks neither protocol 2 nor SHA-1, INVALID_INPUT, STREAM_CLOSED.
 */
export async function readAdvertisement(reader: PacketReader): Promise<Capabilities> {
  const { lines, mark } = await reader.lines(LINES_MAX)
  if (mark === undefined) throw cutShort()
  refuseErrorLine(lines[0])
  const [version, ...rest] = lines
  const capabilities = new Map(rest.map((line) => splitAt(line, '=')))
  if (version !== 'version 2' || !capabilities.has('fetch')) {
    throw new NodeError('UNSUPPORTED', 'The other side does not speak version 2 of git’s protocol')
  }
  if ((capabilities.get('object-format') ?? 'sha1') !== 'sha1') {
    throw new NodeError('UNSUPPORTED', 'The other side keeps objects under other hashes than SHA-1')
  }
  return capabilities
}

/**
 * Asks for a pack with everything that `wants` reach and those of `haves` that are known there do not. The pack may be
 * thin: its deltas may stand on objects of the haves.
 */
export function fetchRequest(
  wants: readonly string[],
  haves: readonly string[],
  capabilities: Capabilities,
): Buffer {
  const lines = (words: readonly string[]) => words.map((word) => packet(`${word}\n`))
  // A side that names no object format does not want to be told one either.
  const format = capabilities.has('object-format') ? ['object-format=sha1'] : []
  return Buffer.concat([
    ...lines(['command=fetch', ...format]),
    DELIMITER,
    ...lines(['thin-pack', 'ofs-delta', 'no-progress']),
    ...lines([...wants.map((oid) => `want ${oid}`), ...haves.map((oid) => `have ${oid}`), 'done']),
    FLUSH,
  ])
}

/**
 * The answer: the bytes of one pack, out of the side band that they come in.
 *
 * @throws NodeError COMMIT_NOT_FOUND (a want is not there), GIT_FAILED (the other side failed), STREAM_CLOSED (cut
 * before its end), INVALID_INPUT.
 */
export async function* readPack(chunks: ChunkReader): AsyncGenerator<Buffer, void, undefined> {
  const reader = new PacketReader(chunks)
  await skipToPack(reader)
  for (let idle = 0; idle < IDLE_PACKETS_MAX; ) {
    const begun = await reader.begin()
    if (begun === undefined) throw cutShort()
    // [MUST] Only this mark ends a pack; a stream that merely ends was cut (dataset-fetch.md D6).
    if (begun === 'flush') return
    if (typeof begun === 'string' || begun === 0) throw unexpected(begun)
    const [band] = await chunks.upTo(1)
    if (band === BAND_ERROR) throw failed(await chunks.bytes(begun - 1))
    if (band !== BAND_DATA && band !== BAND_PROGRESS) throw unexpected(band)
    if (band === BAND_PROGRESS || begun === 1) idle += 1
    for (let left = begun - 1; left > 0; ) {
      const piece = await chunks.upTo(left)
      left -= piece.length
      if (band === BAND_DATA) yield piece
    }
  }
  throw new NodeError('INVALID_INPUT', 'The other side talks and sends nothing')
}

async function skipToPack(reader: PacketReader): Promise<void> {
  for (let lines = 0; lines < LINES_MAX; lines += 1) {
    const read = await reader.next()
    if (read === undefined) throw cutShort()
    if (typeof read === 'string') continue
    const line = lineOf(read)
    refuseErrorLine(line)
    if (line === 'packfile') return
  }
  throw new NodeError('INVALID_INPUT', 'The other side does not come to its pack')
}

/** git puts its last words in place of whatever was to come (gitprotocol-pack, "ERR"). */
function refuseErrorLine(line: string | undefined): void {
  if (line?.startsWith('ERR ') !== true) return
  if (/not our ref/.test(line)) {
    throw new NodeError('COMMIT_NOT_FOUND', 'The other side does not have what was asked for')
  }
  throw failed(Buffer.from(line.slice('ERR '.length)))
}

function splitAt(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator)
  return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
}

const cutShort = () => new NodeError('STREAM_CLOSED', 'The transfer was cut')

function failed(words: Buffer): NodeError {
  return new NodeError('GIT_FAILED', `The other side failed: ${strangersWords(words.toString('utf8'))}`)
}

function unexpected(what: Mark | number | undefined): NodeError {
  const told = typeof what === 'string' ? `the mark ${what}` : `the band ${what}`
  return new NodeError('INVALID_INPUT', `The other side sends ${told} inside a pack`)
}
