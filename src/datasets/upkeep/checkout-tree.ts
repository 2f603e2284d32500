/** A directory that is written once and then only read: shut against writing, and known again by its seal. */
import { createHash } from 'node:crypto'
import { chmod, lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { filesLookedAtOnceMax } from '../../base/limits.ts'

/**
 * What a directory looks like from outside, without reading a file. The system itself sets a file's change time, and no
 * call sets it back: whoever writes a file, changes its modes or puts another in its place leaves another digest
 * (dataset-upkeep.md Q10).
 */
export interface Seal {
  /** Room on the disk. */
  readonly bytes: number
  readonly entries: number
  readonly digest: string
}

interface Look {
  readonly path: string
  readonly mode: bigint
  readonly size: bigint
  readonly blocks: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

const READ_ALL = 0o444
const READ_AND_ENTER_ALL = 0o555
const KIND_DIRECTORY = 0o040000n
const KIND_FILE = 0o100000n
const KINDS = 0o170000n
/** The unit of `blocks`, whatever the file system's own. */
const BLOCK_BYTES = 512

/**
 * Opens a directory to every reader and shuts it to every writer, its owner included: whatever user a tool runs as can
 * read it. Links are left as they are: their modes mean nothing, and their targets may lie elsewhere.
 */
export async function shut(root: string): Promise<void> {
  // Modes can be changed in a directory that is shut already: only what is written into it is kept out.
  for await (const looks of walk(root)) {
    await Promise.all(
      looks.map(async ({ path, mode }) => {
        if ((mode & KINDS) === KIND_DIRECTORY) await chmod(path, READ_AND_ENTER_ALL)
        else if ((mode & KINDS) === KIND_FILE)
          await chmod(path, (mode & 0o100n) === 0n ? READ_ALL : READ_AND_ENTER_ALL)
      }),
    )
  }
  await chmod(root, READ_AND_ENTER_ALL)
}

/** Of everything below `root`, whose own times do not count: it is renamed once. */
export async function sealOf(root: string): Promise<Seal> {
  const lines: string[] = []
  let bytes = 0
  for await (const looks of walk(root)) {
    for (const { path, mode, size, blocks, ino, mtimeNs, ctimeNs } of looks) {
      bytes += Number(blocks) * BLOCK_BYTES
      lines.push(`${JSON.stringify(path.slice(root.length))} ${mode} ${size} ${ino} ${mtimeNs} ${ctimeNs}\n`)
    }
  }
  const hash = createHash('sha256')
  // The order in which a file system tells of its entries is its own.
  for (const line of lines.sort()) hash.update(line)
  return { bytes, entries: lines.length, digest: hash.digest('hex') }
}

/** Everything below `root`, some at a time, in no order. */
async function* walk(root: string): AsyncGenerator<readonly Look[]> {
  const waiting = [root]
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    let paths: string[] = []
    for await (const entry of await opendir(directory)) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) waiting.push(path)
      paths.push(path)
      if (paths.length < filesLookedAtOnceMax) continue
      yield await look(paths)
      paths = []
    }
    if (paths.length > 0) yield await look(paths)
  }
}

function look(paths: readonly string[]): Promise<Look[]> {
  return Promise.all(
    paths.map(async (path) => {
      const { mode, size, blocks, ino, mtimeNs, ctimeNs } = await lstat(path, { bigint: true })
      return { path, mode, size, blocks, ino, mtimeNs, ctimeNs }
    }),
  )
}
