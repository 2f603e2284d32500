import { constants } from 'node:fs'
import { open, opendir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { blobBytesMax } from '../../base/limits.ts'

/** What lies in a directory, in the words in which a repository tells what a commit holds; an id is a path here. */
export interface StagedFiles {
  listFiles(): Promise<{ path: string; oid: string }[]>
  /** @throws NodeError TOO_LARGE */
  readBlob(path: string): Promise<Uint8Array>
}

/** The plain files below a directory that a tool has written: links are neither told nor followed. */
export function stagedFiles(root: string): StagedFiles {
  return {
    async listFiles() {
      const found: { path: string; oid: string }[] = []
      const waiting = [root]
      for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
        for await (const entry of await opendir(directory)) {
          const full = join(directory, entry.name)
          const path = relative(root, full)
          if (entry.isDirectory()) waiting.push(full)
          else if (entry.isFile()) found.push({ path, oid: path })
        }
      }
      return found
    },
    async readBlob(path) {
      const { O_RDONLY, O_NOFOLLOW } = constants
      const file = await open(join(root, path), O_RDONLY | O_NOFOLLOW)
      try {
        const { size } = await file.stat()
        if (size <= blobBytesMax) return await file.readFile()
        throw new NodeError(
          'TOO_LARGE',
          `${path} has ${size} bytes, at most ${blobBytesMax} are read at once`,
        )
      } finally {
        await file.close()
      }
    },
  }
}
