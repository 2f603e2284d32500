/** What the word after `dataset import` means, and what the first bytes of a file are. Mostly pure. */
import { once } from 'node:events'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { NodeError } from '../base/errors.ts'

/** What the node takes, by its media type. */
export const MEDIA_TYPE = {
  tar: 'application/x-tar',
  gzip: 'application/gzip',
  zstd: 'application/zstd',
  bundle: 'application/x-git-bundle',
} as const
export type Packed = keyof typeof MEDIA_TYPE

export type SourceKind = 'stdin' | 'git' | 'url' | 'path'

/** A source by its spelling; `exists` tells whether a file or directory of that name is there. */
export function sourceKind(source: string, exists: boolean): SourceKind {
  if (source === '-') return 'stdin'
  if (/^git\+[a-z]+:\/\//i.test(source) || /^(?:ssh|git):\/\//i.test(source)) return 'git'
  if (/^https?:\/\//i.test(source)) return /\.git\/?$/.test(URL.parse(source)?.pathname ?? '') ? 'git' : 'url'
  // As git has it: host:path, where no slash stands before the colon, and no file is named so.
  if (!exists && /^[\w.-]+(?:@[\w.-]+)?:(?!\/\/)./.test(source)) return 'git'
  return 'path'
}

const TAR_BLOCK_BYTES = 512
const CHECKSUM = { from: 148, to: 156 } as const

/** True for the header of a tar entry, or the zeros at the end of an archive without any (POSIX pax, ustar). */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length < TAR_BLOCK_BYTES) return false
  const header = block.subarray(0, TAR_BLOCK_BYTES)
  const field = Buffer.from(header.subarray(CHECKSUM.from, CHECKSUM.to)).toString('latin1')
  const told = Number.parseInt(field.replaceAll('\0', ' ').trim(), 8)
  const sum = header.reduce((total, byte, at) => {
    return total + (at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : byte)
  }, 0)
  return told === sum || header.every((byte) => byte === 0)
}

/** Kinds of archives that are told from a file that merely is data, by their first bytes. */
const REFUSED: readonly { begins: readonly number[]; name: string; way: string }[] = [
  { begins: [0x50, 0x4b, 0x03, 0x04], name: 'a zip archive', way: 'unzip it into a folder and import that' },
  {
    begins: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    name: 'packed with xz',
    way: 'pipe it: xz -dc FILE | maoctl dataset import - …',
  },
  {
    begins: [0x42, 0x5a, 0x68],
    name: 'packed with bzip2',
    way: 'pipe it: bzip2 -dc FILE | maoctl dataset import - …',
  },
  { begins: [0x37, 0x7a, 0xbc, 0xaf], name: 'a 7z archive', way: 'unpack it into a folder and import that' },
]

/**
 * How a file is packed, by its first bytes; `plain` when it is a file and no archive.
 *
 * @param head some kilobytes, or all there is.
 * @throws NodeError INVALID_INPUT for an archive of a kind that is not taken, with the way round.
 */
export async function packedAs(head: Uint8Array, name: string): Promise<Packed | 'plain'> {
  const begins = (bytes: readonly number[]) => bytes.every((byte, at) => head[at] === byte)
  const refused = REFUSED.find(({ begins: bytes }) => begins(bytes))
  if (refused !== undefined) {
    throw new NodeError('INVALID_INPUT', `${name} is ${refused.name}, which is not taken; ${refused.way}`)
  }
  if (/^# v\d git bundle\n/.test(Buffer.from(head.subarray(0, 20)).toString('latin1'))) return 'bundle'
  if (isTarHeader(head)) return 'tar'
  if (begins([0x1f, 0x8b])) return isTarHeader(await firstBytes(head, 'gzip')) ? 'gzip' : 'plain'
  if (begins([0x28, 0xb5, 0x2f, 0xfd])) return isTarHeader(await firstBytes(head, 'zstd')) ? 'zstd' : 'plain'
  return 'plain'
}

/** What the beginning of a compressed file begins with; empty where it does not decompress. */
async function firstBytes(head: Uint8Array, compression: 'gzip' | 'zstd'): Promise<Uint8Array> {
  const through = compression === 'gzip' ? createGunzip() : createZstdDecompress()
  try {
    const taken = new Promise<void>((resolve, reject) => {
      through.write(head, (error) => (error ? reject(error) : resolve()))
    })
    // Whichever comes first: a block that can be read, or that the head gave none.
    await Promise.race([once(through, 'readable'), taken])
    return (through.read() as Buffer | null) ?? new Uint8Array()
  } catch {
    // Damaged, or no archive at all: whoever unpacks it says so.
    return new Uint8Array()
  } finally {
    through.destroy()
  }
}
