import { execFile } from 'node:child_process'
import { mkdtemp, open, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of its own that can be filled to the last byte. */
export interface SmallDisk {
  readonly directory: string
  /** Takes all the room there is left. */
  fill(): Promise<void>
  /** Gives back what `fill` took. */
  free(): Promise<void>
}

/** Mounts a tmpfs; it is gone when the test is over. @throws Error where this user may not mount. */
export async function smallDisk(t: TestContext, mebibytes: number): Promise<SmallDisk> {
  const directory = await mkdtemp(join(tmpdir(), 'mao-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', directory])
  } catch (cause) {
    const message = 'This test fills a disk and needs to mount a small one (mount -t tmpfs): run it as root'
    throw new Error(message, { cause })
  }
  t.after(async () => {
    // Lazily, since what runs on it is stopped later.
    await run('umount', ['-l', directory])
    await rmdir(directory)
  })
  let fillings = 0
  const fill = async () => {
    // Smaller and smaller pieces, into a new file: another may have been filled up already.
    fillings += 1
    const file = await open(join(directory, `filling-${fillings}`), 'a')
    for (let bytes = 1 << 20; bytes >= 1; bytes >>= 2) {
      const piece = Buffer.alloc(bytes)
      for (;;) {
        try {
          await file.writeFile(piece)
        } catch {
          break
        }
      }
    }
    await file.close()
  }
  const free = async () => {
    for (const name of await readdir(directory))
      if (name.startsWith('filling-')) await rm(join(directory, name))
  }
  return { directory, fill, free }
}
