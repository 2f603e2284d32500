/**
 * git's packets (gitprotocol-common, "pkt-line format"): four hexadecimal digits of length, which count themselves, then
 * the content; the lengths 0, 1 and 2 are marks without content. All that git says on a wire is made of them, and behind
 * a certain point their first byte tells the bands of a side band apart.
 */
import { NodeError } from '../../base/errors.ts'
import type { ChunkReader } from './chunk-reader.ts'

/** The longest packet that git takes, its length included. */
const PACKET_BYTES_MAX = 65_520
const LENGTH_BYTES = 4
/** The longest content of one packet. */
export const packetContentMax = PACKET_BYTES_MAX - LENGTH_BYTES

export const FLUSH = Buffer.from('0000')
export const DELIMITER = Buffer.from('0001')
export const RESPONSE_END = Buffer.from('0002')

export type Mark = 'flush' | 'delimiter' | 'response-end'
export type Packet = Mark | Buffer

const MARKS: readonly Mark[] = ['flush', 'delimiter', 'response-end']

/** One packet around `content`. A text goes out as UTF-8 and as it is: a line brings its own line feed. @throws RangeError */
export function packet(content: string | Uint8Array): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content
  if (bytes.length > packetContentMax) {
    throw new RangeError(`A packet holds at most ${packetContentMax} bytes, not ${bytes.length}`)
  }
  const length = (bytes.length + LENGTH_BYTES).toString(16).padStart(LENGTH_BYTES, '0')
  return Buffer.concat([Buffer.from(length, 'latin1'), bytes])
}

export type Band = 1 | 2 | 3
/** The bands of a side band: what was asked for, what is said meanwhile, and the last words of a side that fails. */
export const BAND_DATA: Band = 1
export const BAND_PROGRESS: Band = 2
export const BAND_ERROR: Band = 3

/** `bytes` on a band, in as many packets as it takes. */
export function bandPackets(band: Band, bytes: Uint8Array): Buffer[] {
  const packets: Buffer[] = []
  const most = packetContentMax - 1
  for (let from = 0; from < bytes.length; from += most) {
    packets.push(packet(Buffer.concat([Buffer.of(band), bytes.subarray(from, from + most)])))
  }
  return packets
}

/** Packets out of a stream. Holds one packet at a time, so at most 64 KiB beyond the chunk that is being read. */
export class PacketReader {
  readonly #reader: ChunkReader

  /** @param reader may be read on directly behind the last packet. */
  constructor(reader: ChunkReader) {
    this.#reader = reader
  }

  /**
   * The next packet: its content, which may be empty, or a mark; undefined where the stream ends between packets.
   *
   * @throws NodeError INVALID_INPUT for what is no packet, STREAM_CLOSED when the stream ends inside one.
   */
  async next(): Promise<Packet | undefined> {
    const begun = await this.begin()
    if (typeof begun !== 'number') return begun
    return this.#reader.take(begun) ?? this.#reader.bytes(begun)
  }

  /**
   * Like `next`, but of a packet with content only how many bytes of it are still to be read from the stream: bulk need
   * not be put together first.
   */
  async begin(): Promise<number | Mark | undefined> {
    if (await this.#reader.atEnd()) return undefined
    const head = this.#reader.take(LENGTH_BYTES) ?? (await this.#reader.bytes(LENGTH_BYTES))
    const length = readLength(head)
    const mark = MARKS[length]
    if (mark !== undefined) return mark
    if (length < LENGTH_BYTES || length > PACKET_BYTES_MAX) {
      throw new NodeError('INVALID_INPUT', `A packet of git cannot have the length ${length}`)
    }
    return length - LENGTH_BYTES
  }

  /**
   * The lines up to the next mark, each without its line feed, and that mark; undefined as the mark where the stream
   * ends in its place.
   *
   * @throws NodeError TOO_LARGE above `linesMax` lines, and as `next` does.
   */
  async lines(linesMax: number): Promise<{ readonly lines: string[]; readonly mark: Mark | undefined }> {
    const lines: string[] = []
    for (;;) {
      const read = await this.next()
      if (read === undefined || typeof read === 'string') return { lines, mark: read }
      if (lines.length >= linesMax) {
        throw new NodeError('TOO_LARGE', `More than ${linesMax} lines came where git says fewer`)
      }
      lines.push(lineOf(read))
    }
  }
}

/** The content of a packet as a line of text, without the line feed that git likes to end it with. */
export function lineOf(content: Buffer): string {
  const text = content.toString('utf8')
  return text.endsWith('\n') ? text.slice(0, -1) : text
}

function readLength(digits: Buffer): number {
  const text = digits.toString('latin1')
  if (/^[0-9a-fA-F]{4}$/.test(text)) return Number.parseInt(text, 16)
  throw new NodeError('INVALID_INPUT', 'What came is not in the packets that git speaks in')
}
