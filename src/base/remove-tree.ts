import { chmod, opendir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Removes a directory and all below it, also what its owner may not enter: a tool that runs as the node's own user can
 * leave directories that even the node cannot look into until their modes are opened. No link is followed.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!isRefusal(error)) throw error
    await openDirectories(path)
    await rm(path, { recursive: true, force: true })
  }
}

async function openDirectories(path: string): Promise<void> {
  await chmod(path, 0o700)
  for await (const entry of await opendir(path)) {
    if (entry.isDirectory()) await openDirectories(join(path, entry.name))
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
}
